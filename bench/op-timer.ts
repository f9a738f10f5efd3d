// Which operations are timed. Reading the clock twice for each costs up to a tenth of what an engine does in a second, so
// with many in flight only a systematic sample is timed: of each loop's operations, one in eight.
//
//   loop 0   T · · · · · · · T · · ·        T: timed
//   loop 1   · T · · · · · · · T · ·        the loops begin at different places, so that
//   loop 2   · · T · · · · · · · T ·        at any time some of them are being timed
//
// Every operation is counted all the same, and sees whether the time is up. The same rule holds for every peer that runs
// in JavaScript (docs/bench.md).

import type { Workload } from './workloads.js';

/** With so many in flight, a sample of the latencies says as much as all of them. */
export const SAMPLED_FROM_DEPTH = 64;
export const OPS_A_SAMPLE = 8;
export const NOOPS_A_SAMPLE = 64;

/** One of so many operations is timed; 1: each. A batch of no-ops counts as one. */
export function opsPerSample(workload: Workload, depth: number): number {
  if (workload.kind === 'noop') return workload.mode === 'promises' ? NOOPS_A_SAMPLE : 1;
  return depth >= SAMPLED_FROM_DEPTH ? OPS_A_SAMPLE : 1;
}

/** What a timer needs of the measured time. */
interface Window {
  completed(begunMs: number, nowMs: number): boolean;
  completedUntimed(): boolean;
}

/** One loop's operations, one at a time. Where each is timed, the clock is read once: one's end is the next one's beginning. */
export class OpTimer {
  readonly #window: Window;
  readonly #stride: number;
  /** Operations that go by before the one that is timed. */
  #untimed: number;
  #begunMs: number;

  /** The first operation begins now. `place`: among the loops. */
  constructor(window: Window, stride: number, place: number) {
    this.#window = window;
    this.#stride = stride;
    this.#untimed = place % stride;
    this.#begunMs = performance.now();
  }

  /** An operation has completed and the next one begins. Returns whether to go on. */
  completed(): boolean {
    if (this.#untimed > 0) {
      const goOn = this.#window.completedUntimed();
      if (--this.#untimed === 0) this.#begunMs = performance.now();
      return goOn;
    }
    const nowMs = performance.now();
    const goOn = this.#window.completed(this.#begunMs, nowMs);
    this.#begunMs = nowMs;
    this.#untimed = this.#stride - 1;
    return goOn;
  }
}
