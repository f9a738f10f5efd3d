// Random numbers that a failed test can be repeated with: RINGBOLT_SEED=<the seed it printed>.

import { randomInt } from 'node:crypto';
import { onTestFailed } from 'vitest';

export class Random {
  readonly seed: number;
  #state: number;

  constructor() {
    this.seed = Number(process.env['RINGBOLT_SEED'] ?? randomInt(1, 2 ** 31));
    this.#state = this.seed;
    onTestFailed(() => {
      console.log(`repeat with RINGBOLT_SEED=${this.seed}`);
    });
  }

  /** A whole number from 0 to `below` - 1. */
  below(below: number): number {
    // xorshift32
    this.#state ^= this.#state << 13;
    this.#state ^= this.#state >>> 17;
    this.#state ^= this.#state << 5;
    return (this.#state >>> 0) % below;
  }
}
