// Latencies in the log-linear buckets that native code counts in (native/engine/histogram.h has the picture): 32 a
// factor of two, so that the middle of a bucket is within 1.6 % of every value in it, from 1 us to 68 s. Below 1024 ns
// buckets are 32 ns wide.

import { LAYOUT } from '../native.js';

const { histogramBuckets, histogramSubBuckets, histogramFirstOctave } = LAYOUT;
const NS_PER_US = 1000;

/** A latency distribution in a few numbers, microseconds. All are 0 where nothing was counted. */
export interface LatencySummary {
  readonly count: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly p999: number;
  /** Exact in totals since the start; in a sample of an interval within 1.6 %, as the rest is. */
  readonly max: number;
}

/** The middle of a bucket, nanoseconds. */
export function bucketMiddleNs(bucket: number): number {
  const octave = Math.floor(bucket / histogramSubBuckets) - 1;
  const sub = bucket % histogramSubBuckets;
  if (octave < 0) return (sub + 0.5) * (2 ** histogramFirstOctave / histogramSubBuckets);
  const start = 2 ** (histogramFirstOctave + octave);
  return start + (sub + 0.5) * (start / histogramSubBuckets);
}

/** A distribution that can be merged with others and from which an earlier state can be taken away. */
export class Histogram {
  readonly #counts = new Float64Array(histogramBuckets);
  #maxNs = 0;

  /** Adds the counts of `histogramBuckets` buckets, and the largest value seen. */
  add(counts: Float64Array, maxNs: number): this {
    for (let i = 0; i < histogramBuckets; i++) this.#counts[i]! += counts[i]!;
    this.#maxNs = Math.max(this.#maxNs, maxNs);
    return this;
  }

  merge(other: Histogram): this {
    return this.add(other.#counts, other.#maxNs);
  }

  /** What was counted since `earlier`, a state of the same histogram. The maximum becomes that of the buckets. */
  since(earlier: Histogram): Histogram {
    const difference = new Histogram();
    for (let i = 0; i < histogramBuckets; i++) {
      const count = this.#counts[i]! - earlier.#counts[i]!;
      difference.#counts[i] = count;
      if (count > 0) difference.#maxNs = Math.min(bucketMiddleNs(i), this.#maxNs);
    }
    return difference;
  }

  get count(): number {
    return this.#counts.reduce((sum, count) => sum + count, 0);
  }

  /** The smallest recorded value that at least `share` (0 to 1) of all are not above, nanoseconds. */
  quantileNs(share: number): number {
    const rank = Math.max(1, Math.ceil(share * this.count));
    let seen = 0;
    for (let i = 0; i < histogramBuckets; i++) {
      seen += this.#counts[i]!;
      if (seen >= rank) return Math.min(bucketMiddleNs(i), this.#maxNs);
    }
    return 0;
  }

  summary(): LatencySummary {
    const us = (share: number) => this.quantileNs(share) / NS_PER_US;
    return {
      count: this.count,
      p50: us(0.5),
      p90: us(0.9),
      p99: us(0.99),
      p999: us(0.999),
      max: this.#maxNs / NS_PER_US,
    };
  }
}
