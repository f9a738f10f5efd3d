// Shows that the list keeps order while it wraps round and grows.

import { describe, expect, it } from 'vitest';
import { Fifo } from '../../dist/lib/schedule/fifo.js';
import { Random } from '../support/random.js';

describe('Fifo', () => {
  it('agrees with an array over random pushes and shifts', () => {
    const random = new Random();
    const fifo = new Fifo<number>();
    const model: number[] = [];
    for (let step = 0; step < 50_000; step++) {
      // Long phases of filling and of emptying, so that it grows and drains.
      if (random.below(10) < ((step >> 10) & 1 ? 6 : 4)) {
        fifo.push(step);
        model.push(step);
      } else {
        expect(fifo.peek()).toBe(model[0]);
        expect(fifo.shift()).toBe(model.shift());
      }
      expect(fifo.length).toBe(model.length);
    }
  });
});
