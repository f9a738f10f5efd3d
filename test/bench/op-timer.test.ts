// Shows which operations are timed: each, or one in a stride, loop by loop at different places; and that all are counted.

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { MeasuredWindow } from '../../dist/bench/measured-window.js';
import { OpTimer, opsPerSample } from '../../dist/bench/op-timer.js';
import { WORKLOADS } from '../../dist/bench/workloads.js';

/** Of the clock: it goes only where a test says so. */
let nowMs = 0;
let readings = 0;

beforeEach(() => {
  nowMs = 0;
  readings = 0;
  vi.spyOn(performance, 'now').mockImplementation(() => {
    readings++;
    return nowMs;
  });
});

afterEach(() => {
  vi.restoreAllMocks();
});

/** Begins and ends of the timed ones among `ops` operations of a millisecond each, and how many there were in all. */
function run(stride: number, place: number, ops: number) {
  const timed: [number, number][] = [];
  let count = 0;
  const window = {
    completed(begunMs: number, endedMs: number) {
      timed.push([begunMs, endedMs]);
      return ++count < ops;
    },
    completedUntimed: () => ++count < ops,
  };
  const timer = new OpTimer(window, stride, place);
  do nowMs++;
  while (timer.completed());
  return { timed, count };
}

describe('opsPerSample', () => {
  it.each([
    ['rand-read-4k-qd1', 1, 1],
    ['rand-read-4k-qd128', 63, 1],
    ['rand-read-4k-qd128', 64, 8],
    ['seq-read-1m-qd16', 128, 8],
    ['noop-promises-qd128', 1, 64],
    ['noop-batches-qd128', 128, 1],
  ])('%s with %d in flight: one of %d', (name, depth, expected) => {
    const workload = WORKLOADS.find((one) => one.name === name)!;
    expect(opsPerSample(workload, depth)).toBe(expected);
  });
});

describe('OpTimer', () => {
  it('times each operation from the end of the one before, with one reading of the clock', () => {
    expect(run(1, 5, 4)).toEqual({
      timed: [0, 1, 2, 3].map((begun) => [begun, begun + 1]),
      count: 4,
    });
    expect(readings).toBe(5);
  });

  it('times one in eight, for as long as that one alone takes', () => {
    const { timed, count } = run(8, 0, 24);
    expect(timed).toEqual([0, 8, 16].map((begun) => [begun, begun + 1]));
    expect(count).toBe(24);
    expect(readings).toBe(7); // two each, and the beginning of the next
  });

  it('times another eighth of the loops at each place', () => {
    const begins = Array.from({ length: 16 }, (_, place) => {
      nowMs = 0;
      return run(8, place, 8).timed.map(([begun]) => begun);
    });
    expect(begins).toEqual(Array.from({ length: 16 }, (_, place) => [place % 8]));
  });
});

describe('a measurement with a stride', () => {
  it('counts every operation between the ends, and ends every loop at once when the time is up', async () => {
    const window = new MeasuredWindow({ seconds: 0.04, warmUpSeconds: 0.02 });
    // Two loops in turn, half a millisecond an operation; loop 0 times its operations 0, 8, 16, ..., loop 1 one later.
    const timers = [0, 1].map((place) => new OpTimer(window, 8, place));
    const ended: number[] = [];
    for (let step = 0; ended.length < 2; step++) {
      nowMs += 0.5;
      const loop = step % 2;
      if (!ended.includes(loop) && !timers[loop]!.completed()) ended.push(loop);
    }
    const { ops, seconds, latencyUs } = await window.measurement(4096, undefined);
    // Whatever was timed or not: one operation a half millisecond of the time that really passed.
    expect(ops).toBe(Math.round((seconds * 1000) / 0.5) - 1);
    expect(latencyUs!.max).toBeCloseTo(1000);
    expect(ended).toHaveLength(2);
  });
});
