// Random numbers that a failed test can be repeated with: RINGBOLT_SEED=<the seed it printed>.

import { randomInt } from 'node:crypto';
import { onTestFailed } from 'vitest';

export class Random {
  readonly seed: number;
  #state: number;

  /** `seed`: from 1 on, of one that says by itself what it was. */
  constructor(seed?: number) {
    this.seed = seed ?? Number(process.env['RINGBOLT_SEED'] ?? randomInt(1, 2 ** 31));
    this.#state = this.seed;
    if (seed !== undefined) return;
    onTestFailed(() => {
      console.log(`repeat with RINGBOLT_SEED=${this.seed}`);
    });
  }

  /** Another one, that goes its own way from here, whatever is asked of this one. */
  fork(): Random {
    return new Random(1 + this.below(2 ** 31 - 1));
  }

  /** A whole number from 0 to `below` - 1. */
  below(below: number): number {
    // xorshift32
    this.#state ^= this.#state << 13;
    this.#state ^= this.#state >>> 17;
    this.#state ^= this.#state << 5;
    return (this.#state >>> 0) % below;
  }

  /** True in so many of cases, from 0 to 1. */
  chance(share: number): boolean {
    return share > 0 && this.below(2 ** 24) < share * 2 ** 24;
  }
}
