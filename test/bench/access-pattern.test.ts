// Shows that offsets are whole blocks inside the target, evenly spread or in order, and the same for the same seed.

import { describe, expect, it } from 'vitest';
import { AccessPattern } from '../../dist/bench/access-pattern.js';
import type { IoWorkload } from '../../dist/bench/workloads.js';
import { Random } from '../support/random.js';

const BLOCK = 4096;

function workload(pattern: 'sequential' | 'random', readPercent = 100): IoWorkload {
  const name = 'test';
  return { kind: 'io', name, pattern, readPercent, blockBytes: BLOCK, depth: 1, main: false };
}

describe('AccessPattern', () => {
  it('goes through the target in order and wraps round before a last part of a block', () => {
    const pattern = new AccessPattern(workload('sequential'), 3 * BLOCK + 100, 1);
    const blocks = Array.from({ length: 7 }, () => pattern.nextOffset() / BLOCK);
    expect(blocks).toEqual([0, 1, 2, 0, 1, 2, 0]);
  });

  it('spreads random offsets evenly', () => {
    const { seed } = new Random();
    const pattern = new AccessPattern(workload('random'), 16 * BLOCK, seed);
    const counts = new Array<number>(16).fill(0);
    for (let i = 0; i < 160_000; i++) counts[pattern.nextOffset() / BLOCK]! += 1;
    // Ten thousand each; the standard deviation is 97.
    expect(Math.min(...counts)).toBeGreaterThan(9_300);
    expect(Math.max(...counts)).toBeLessThan(10_700);
  });

  it('gives the same offsets for the same seed, and others for the next', () => {
    const offsets = (seed: number) => {
      const pattern = new AccessPattern(workload('random'), 1000 * BLOCK, seed);
      return Array.from({ length: 50 }, () => pattern.nextOffset());
    };
    expect(offsets(7)).toEqual(offsets(7));
    expect(offsets(7)).not.toEqual(offsets(8));
  });

  it.each([
    [100, 1, 1],
    [0, 0, 0],
    [70, 0.69, 0.71],
  ])('reads %i %% of the time', (readPercent, low, high) => {
    const pattern = new AccessPattern(workload('random', readPercent), 16 * BLOCK, 12345);
    let reads = 0;
    for (let i = 0; i < 50_000; i++) if (pattern.nextIsRead()) reads++;
    expect(reads / 50_000).toBeGreaterThanOrEqual(low);
    expect(reads / 50_000).toBeLessThanOrEqual(high);
  });

  it('refuses a target smaller than a block', () => {
    expect(() => new AccessPattern(workload('random'), BLOCK - 1, 1)).toThrow(RangeError);
  });
});
