// Shows that percentiles from buckets are within 3 % of exact ones, and that histograms merge and subtract.

import { describe, expect, it } from 'vitest';
import { Histogram, bucketMiddleNs } from '../../dist/lib/metrics/histogram.js';
import { LAYOUT } from '../../dist/lib/native.js';
import { Random } from '../support/random.js';

/** The bucket whose middle is nearest: an independent way to the one native code computes with shifts. */
function bucketOf(ns: number): number {
  let best = 0;
  let low = 0;
  let high = LAYOUT.histogramBuckets - 1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    if (bucketMiddleNs(middle) <= ns) {
      best = middle;
      low = middle + 1;
    } else {
      high = middle - 1;
    }
  }
  const next = Math.min(best + 1, LAYOUT.histogramBuckets - 1);
  return ns - bucketMiddleNs(best) <= bucketMiddleNs(next) - ns ? best : next;
}

function histogramOf(values: readonly number[]): Histogram {
  const counts = new Float64Array(LAYOUT.histogramBuckets);
  for (const ns of values) counts[bucketOf(ns)]! += 1;
  return new Histogram().add(counts, Math.max(0, ...values));
}

describe('Histogram', () => {
  it('gives percentiles within 3 % of exact ones, from 1 us to 60 s', () => {
    const random = new Random();
    const values = Array.from({ length: 5000 }, () => 1000 * 60e6 ** (random.below(1e6) / 1e6));
    const sorted = values.toSorted((a, b) => a - b);
    const histogram = histogramOf(values);
    for (const share of [0.01, 0.25, 0.5, 0.9, 0.99, 0.999, 1]) {
      const exact = sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)]!;
      const error = Math.abs(histogram.quantileNs(share) - exact) / exact;
      expect(error, `p${share * 100}`).toBeLessThan(0.03);
    }
  });

  it('is empty without values', () => {
    const empty = { count: 0, p50: 0, p90: 0, p99: 0, p999: 0, max: 0 };
    expect(new Histogram().summary()).toEqual(empty);
  });

  it('never reports a percentile above the largest value', () => {
    const summary = histogramOf([1_000_001]).summary();
    expect(summary.p50).toBeLessThanOrEqual(summary.max);
    expect(summary.max).toBeCloseTo(1000.001);
  });

  it('merges, and gives back what came between two states', () => {
    const early = histogramOf([2000, 3000]);
    const late = histogramOf([2000, 3000, 500_000, 600_000]);
    const between = late.since(early);
    expect(between.count).toBe(2);
    expect(between.quantileNs(0.5) / 500_000).toBeCloseTo(1, 1);
    expect(early.merge(between).count).toBe(4);
  });
});
