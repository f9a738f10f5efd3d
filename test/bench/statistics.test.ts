// Shows medians, spread and the bootstrap on data whose answers are known.

import { describe, expect, it } from 'vitest';
import { bootstrapMedian, median, spread } from '../../dist/bench/statistics.js';

describe('median', () => {
  it.each([
    [[3, 1, 2], 2],
    [[4, 1, 3, 2], 2.5],
    [[5], 5],
    [[10, 9, 1000], 10],
  ])('of %j is %d', (values, expected) => {
    expect(median(values)).toBe(expected);
  });

  it('of nothing is not a number', () => {
    expect(median([])).toBeNaN();
  });
});

describe('spread', () => {
  it('is the range as a share of the median', () => {
    expect(spread([90, 100, 120])).toBeCloseTo(0.3);
    expect(spread([100])).toBe(0);
  });
});

describe('bootstrapMedian', () => {
  it('is the range of three values: a resample is all the smallest in 7 of 27 cases', () => {
    expect(bootstrapMedian([1.1, 0.9, 1], 1)).toEqual([0.9, 1.1]);
  });

  it('agrees with the order statistics of many values', () => {
    // For 101 values the exact 95 % interval of the median is from the 41st to the 61st, give or take one.
    const [low, high] = bootstrapMedian(
      Array.from({ length: 101 }, (_, index) => index + 1),
      99,
    );
    expect(Math.abs(low - 41)).toBeLessThanOrEqual(2);
    expect(Math.abs(high - 61)).toBeLessThanOrEqual(2);
  });

  it('is the same for the same seed', () => {
    const values = Array.from({ length: 9 }, (_, index) => index * index);
    expect(bootstrapMedian(values, 5)).toEqual(bootstrapMedian(values, 5));
  });

  it('has no width where there is no variation', () => {
    expect(bootstrapMedian([2, 2, 2, 2], 3)).toEqual([2, 2]);
  });
});
