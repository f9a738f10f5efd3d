// Which operation comes next: its offset, and whether it reads. One for a measurement, shared by all operations in flight,
// so that a sequential workload is one sequence and not `depth` of them.

import { Random } from './random.js';
import type { IoWorkload } from './workloads.js';

export class AccessPattern {
  readonly #random: Random;
  readonly #sequential: boolean;
  readonly #readPercent: number;
  readonly #blockBytes: number;
  readonly #blocks: number;
  #next = 0;

  constructor(workload: IoWorkload, sizeBytes: number, seed: number) {
    this.#random = new Random(seed);
    this.#sequential = workload.pattern === 'sequential';
    this.#readPercent = workload.readPercent;
    this.#blockBytes = workload.blockBytes;
    this.#blocks = Math.floor(sizeBytes / workload.blockBytes);
    if (this.#blocks === 0) throw new RangeError('The target is smaller than one block');
  }

  /** In bytes; whole blocks inside the target. */
  nextOffset(): number {
    if (!this.#sequential) return this.#random.below(this.#blocks) * this.#blockBytes;
    const block = this.#next;
    this.#next = block + 1 === this.#blocks ? 0 : block + 1;
    return block * this.#blockBytes;
  }

  nextIsRead(): boolean {
    if (this.#readPercent === 100) return true;
    return this.#readPercent > 0 && this.#random.below(100) < this.#readPercent;
  }
}
