// The time in which operations count: after the warm-up, until the time is up.
//
//   start ── warm-up ──▶│◀──── measured ────▶│
//                       └ CPU time is read at both ends ┘
//
// There is no timer. Whoever completes operations says when, and the first timed one beyond an end closes or opens the
// window: a busy event loop would make a timer late, and the two readings of CPU time would then not match the counted
// operations. What was in flight at an end counts where it completes.

import { GcPauses } from './gc-pauses.js';
import { LatencyRecorder } from './latency-recorder.js';
import type { LatencyUs, Measurement } from './protocol.js';

const NS_PER_MS = 1e6;
const NS_PER_US = 1e3;
const US_PER_S = 1e6;
const MS_PER_S = 1e3;

export interface WindowOptions {
  readonly seconds: number;
  readonly warmUpSeconds: number;
}

export class MeasuredWindow {
  readonly #latencies = new LatencyRecorder();
  readonly #gcPauses = new GcPauses();
  readonly #opensMs: number;
  readonly #measuredMs: number;
  #phase: 'warm-up' | 'measured' | 'over' = 'warm-up';
  #openedMs = 0;
  #closesMs = Infinity;
  #closedMs = 0;
  #cpuAtOpening = process.cpuUsage();
  #cpuSeconds = 0;
  #ops = 0;

  /** The warm-up begins now. */
  constructor({ seconds, warmUpSeconds }: WindowOptions) {
    this.#opensMs = performance.now() + warmUpSeconds * MS_PER_S;
    this.#measuredMs = seconds * MS_PER_S;
  }

  /**
   * Counts `count` operations of which the last ran from `begunMs` to `nowMs` (performance.now).
   * Returns whether to go on.
   */
  completed(begunMs: number, nowMs: number, count = 1): boolean {
    if (nowMs >= this.#closesMs) {
      this.#close(nowMs);
      return false;
    }
    if (this.#phase === 'measured') {
      this.#ops += count;
      this.#latencies.record((nowMs - begunMs) * NS_PER_MS);
    } else if (nowMs >= this.#opensMs) {
      this.#open(nowMs);
    }
    return true;
  }

  /** Counts an operation of which nobody knows when it completed: now. Returns whether to go on. */
  completedUntimed(): boolean {
    if (this.#phase === 'measured') this.#ops++;
    return this.#phase !== 'over';
  }

  #open(nowMs: number): void {
    this.#phase = 'measured';
    this.#openedMs = nowMs;
    this.#closesMs = nowMs + this.#measuredMs;
    this.#cpuAtOpening = process.cpuUsage();
  }

  #close(nowMs: number): void {
    if (this.#phase === 'over') return; // others in flight come here, too
    const { user, system } = process.cpuUsage(this.#cpuAtOpening);
    this.#phase = 'over';
    this.#closedMs = nowMs;
    this.#cpuSeconds = (user + system) / US_PER_S;
  }

  /** After every operation has settled. */
  async measurement(blockBytes: number, engine: unknown): Promise<Measurement> {
    if (this.#phase !== 'over') throw new Error('The measured time was not over');
    return {
      ops: this.#ops,
      bytes: this.#ops * blockBytes,
      seconds: (this.#closedMs - this.#openedMs) / MS_PER_S,
      cpuSeconds: this.#cpuSeconds,
      latencyUs: this.#ops === 0 ? undefined : this.#latencyUs(),
      gc: await this.#gcPauses.between(this.#openedMs, this.#closedMs),
      rssMaxBytes: process.resourceUsage().maxRSS * 1024,
      engine,
    };
  }

  #latencyUs(): LatencyUs {
    const quantile = (share: number) => this.#latencies.quantileNs(share) / NS_PER_US;
    return {
      p50: quantile(0.5),
      p99: quantile(0.99),
      p999: quantile(0.999),
      max: this.#latencies.maxNs / NS_PER_US,
    };
  }
}
