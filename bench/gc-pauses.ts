// How long the garbage collector held up the JavaScript thread, as V8 tells Node: scavenges, major collections and the steps of
// both. What it does on threads of its own is CPU time of the process, and counts there.

import { constants, PerformanceObserver, type PerformanceEntry } from 'node:perf_hooks';

export interface GcFigures {
  readonly totalMs: number;
  readonly longestMs: number;
  readonly count: number;
  readonly majorCount: number;
}

/** An entry of type 'gc'. */
export interface GcEntry {
  /** performance.now() */
  readonly startTime: number;
  readonly duration: number;
  readonly detail?: unknown;
}

/** Those that began between two times. */
export function sumPauses(
  entries: readonly GcEntry[],
  openedMs: number,
  closedMs: number,
): GcFigures {
  const inside = entries.filter(({ startTime }) => startTime >= openedMs && startTime < closedMs);
  return {
    totalMs: inside.reduce((sum, { duration }) => sum + duration, 0),
    longestMs: inside.reduce((most, { duration }) => Math.max(most, duration), 0),
    count: inside.length,
    majorCount: inside.filter(isMajor).length,
  };
}

function isMajor({ detail }: GcEntry): boolean {
  return (detail as { kind?: unknown } | undefined)?.kind === constants.NODE_PERFORMANCE_GC_MAJOR;
}

/** Listens from its making on. */
export class GcPauses {
  readonly #entries: PerformanceEntry[] = [];
  readonly #observer = new PerformanceObserver((list) => {
    this.#entries.push(...list.getEntries());
  });

  constructor() {
    this.#observer.observe({ entryTypes: ['gc'] });
  }

  /** Ends listening. */
  async between(openedMs: number, closedMs: number): Promise<GcFigures> {
    // Node hears of a collection in a later turn of the event loop, and tells its observers in another.
    for (let turns = 0; turns < 3; turns++) await new Promise((resolve) => setImmediate(resolve));
    this.#entries.push(...this.#observer.takeRecords());
    this.#observer.disconnect();
    return sumPauses(this.#entries, openedMs, closedMs);
  }
}
