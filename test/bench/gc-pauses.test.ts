// Shows that pauses for garbage collection are counted from when to when, and that those of this very process are heard of.

import { constants } from 'node:perf_hooks';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, it } from 'vitest';
import { GcPauses, sumPauses } from '../../dist/bench/gc-pauses.js';

const { NODE_PERFORMANCE_GC_MAJOR: MAJOR, NODE_PERFORMANCE_GC_MINOR: MINOR } = constants;

it('sums what began inside', () => {
  const entry = (startTime: number, duration: number, kind: number) => ({
    startTime,
    duration,
    detail: { kind },
  });
  const entries = [
    entry(9, 100, MAJOR),
    entry(10, 1, MINOR),
    entry(15, 4, MAJOR),
    entry(19.9, 2, MINOR),
    entry(20, 100, MAJOR),
  ];
  const expected = { totalMs: 7, longestMs: 4, count: 3, majorCount: 1 };
  expect(sumPauses(entries, 10, 20)).toEqual(expected);
  expect(sumPauses([], 10, 20)).toEqual({ totalMs: 0, longestMs: 0, count: 0, majorCount: 0 });
});

it('hears of a collection of the last moment', async () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const begun = performance.now();
  const pauses = new GcPauses();
  collect();
  const { majorCount, totalMs, longestMs } = await pauses.between(begun, performance.now());
  expect(majorCount).toBeGreaterThanOrEqual(1);
  expect(longestMs).toBeGreaterThan(0);
  expect(totalMs).toBeGreaterThanOrEqual(longestMs);
});
