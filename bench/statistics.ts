// Medians, pair-wise ratios and their uncertainty.
//
// A shared disk's speed drifts by more than any two programs differ. What stays comparable are two measurements made one
// after the other: so a comparison is the median of the rounds' ratios, never the ratio of two medians.

import { Random } from './random.js';

export type Interval = readonly [low: number, high: number];

/** NaN if there are no values. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const upper = Math.floor(sorted.length / 2);
  const lower = Math.floor((sorted.length - 1) / 2);
  return ((sorted[lower] ?? NaN) + (sorted[upper] ?? NaN)) / 2;
}

/** How far values lie apart: (largest - smallest) / median. */
export function spread(values: readonly number[]): number {
  return values.length < 2 ? 0 : (Math.max(...values) - Math.min(...values)) / median(values);
}

const RESAMPLES = 2000;

/**
 * Percentile bootstrap, 95 %, of the median: the range in which the medians of 95 % of 2,000 resamples lie.
 *
 * With few values it is too narrow, because a resample can show nothing that was not measured: from three pairs it is
 * their range, which holds the true median three times in four only (1 - 2 × 0.5³).
 */
export function bootstrapMedian(values: readonly number[], seed: number): Interval {
  if (values.length === 0) return [NaN, NaN];
  const random = new Random(seed);
  const medians = Array.from({ length: RESAMPLES }, () =>
    median(values.map(() => values[random.below(values.length)] ?? NaN)),
  ).sort((a, b) => a - b);
  const at = (share: number) => medians[Math.round(share * (RESAMPLES - 1))] ?? NaN;
  return [at(0.025), at(0.975)];
}
