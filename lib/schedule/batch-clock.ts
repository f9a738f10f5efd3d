// CLOCK_MONOTONIC, from which native code subtracts, read once a batch and not once an operation: reading it costs as much as all
// else that submitting does.

import { performance } from 'node:perf_hooks';

const NS_PER_MS = 1e6;

export class BatchClock {
  /** Of performance.now(). */
  readonly #originNs = Number(process.hrtime.bigint()) - performance.now() * NS_PER_MS;
  nowNs = 0;

  read(): void {
    this.nowNs = this.#originNs + performance.now() * NS_PER_MS;
  }
}
