// Shows that recorded quantiles stay within 3 % of exact ones, over eleven decades of nanoseconds.

import { describe, expect, it } from 'vitest';
import { LatencyRecorder } from '../../dist/bench/latency-recorder.js';
import { Random } from '../support/random.js';

const QUANTILES = [0, 0.01, 0.25, 0.5, 0.9, 0.99, 0.999, 1];

function exactQuantile(sorted: readonly number[], quantile: number): number {
  return sorted[Math.max(1, Math.ceil(quantile * sorted.length)) - 1]!;
}

describe('LatencyRecorder', () => {
  it.each([
    ['uniform up to 1 ms', (unit: number) => unit * 1e6],
    ['log-uniform from 1 ns to 100 s', (unit: number) => 10 ** (unit * 11)],
    ['around 2^32 ns, where 32 bits end', (unit: number) => 2 ** (31 + 2 * unit)],
  ])('is within 3 %% of exact quantiles: %s', (_, shape) => {
    const random = new Random();
    const recorder = new LatencyRecorder();
    const values = Array.from({ length: 20_000 }, () => shape(random.below(1e9) / 1e9));
    for (const value of values) recorder.record(value);
    const sorted = values.toSorted((a, b) => a - b);
    for (const quantile of QUANTILES) {
      const exact = exactQuantile(sorted, quantile);
      const error = Math.abs(recorder.quantileNs(quantile) - exact);
      // Below 64 ns the parts are 1 ns wide, whatever share of the value that is.
      expect(error, `quantile ${quantile}`).toBeLessThanOrEqual(Math.max(0.03 * exact, 1));
    }
    expect(recorder.maxNs).toBe(sorted.at(-1));
    expect(recorder.count).toBe(values.length);
  });

  it('answers 0 when nothing was recorded, and after a reset', () => {
    const recorder = new LatencyRecorder();
    expect(recorder.quantileNs(0.5)).toBe(0);
    recorder.record(1000);
    recorder.reset();
    expect([recorder.count, recorder.maxNs, recorder.quantileNs(1)]).toEqual([0, 0, 0]);
  });

  it('keeps what is out of range at the ends', () => {
    const recorder = new LatencyRecorder();
    recorder.record(-5); // a clock that was set back
    recorder.record(1e18);
    expect(recorder.quantileNs(0)).toBe(0);
    expect(recorder.quantileNs(1)).toBeGreaterThan(1e13);
  });
});
