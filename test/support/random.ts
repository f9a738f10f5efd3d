// Random numbers that a failed test can be repeated with: RINGBOLT_SEED=<the seed it printed>.

import { randomInt } from 'node:crypto';
import { onTestFailed } from 'vitest';
import { Seeded } from './seeded.js';

export class Random extends Seeded {
  /** `seed`: from 1 on, of one that says by itself what it was. */
  constructor(seed?: number) {
    super(seed ?? Number(process.env['RINGBOLT_SEED'] ?? randomInt(1, 2 ** 31)));
    if (seed !== undefined) return;
    onTestFailed(() => {
      console.log(`repeat with RINGBOLT_SEED=${this.seed}`);
    });
  }

  override fork(): Random {
    return new Random(1 + this.below(2 ** 31 - 1));
  }
}
