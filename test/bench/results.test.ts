// Shows how measurements become medians and pair-wise ratios, and that a failed run has no figures.

import { describe, expect, it } from 'vitest';
import { PEERS, type PeerName } from '../../dist/bench/peers.js';
import type { Measurement, Outcome } from '../../dist/bench/protocol.js';
import { compare, summarize, type FinishedStep } from '../../dist/bench/results.js';
import { WORKLOADS } from '../../dist/bench/workloads.js';

const workload = WORKLOADS.find(({ name }) => name === 'rand-read-4k-qd128')!;
const ringbolt = PEERS.find(({ name }) => name === 'ringbolt')!;
const fio = PEERS.find(({ name }) => name === 'fio')!;
const fioTuned = PEERS.find(({ name }) => name === 'fio-tuned')!;
const comparison = { workload, depth: 128, peers: [ringbolt, fio] };

/** Two seconds of it. */
function measurement(iops: number, cpuUsPerOp: number, p50 = 100): Measurement {
  const ops = iops * 2;
  return {
    ops,
    bytes: ops * 4096,
    seconds: 2,
    cpuSeconds: (ops * cpuUsPerOp) / 1e6,
    latencyUs: { p50, p99: 2 * p50, p999: 3 * p50, max: 4 * p50 },
    gc: { totalMs: 2 * p50, longestMs: p50, count: 10 * p50, majorCount: p50 },
    rssMaxBytes: 1000,
    engine: undefined,
  };
}

function finish(peer: PeerName, outcomes: readonly (Measurement | string)[]): FinishedStep[] {
  return outcomes.map((given, round) => {
    const outcome: Outcome<Measurement> =
      typeof given === 'string'
        ? { status: 'failed', error: given }
        : { status: 'ok', value: given };
    return {
      step: { round, comparison, peer: PEERS.find(({ name }) => name === peer)! },
      outcome,
    };
  });
}

describe('summarize', () => {
  it('takes medians over rounds, each figure for itself', () => {
    const steps = finish('ringbolt', [
      measurement(1000, 3, 10),
      measurement(3000, 1, 20),
      measurement(2000, 2, 90),
    ]);
    const [result] = summarize([comparison], steps);
    expect(result).toMatchObject({
      status: 'ok',
      workload: 'rand-read-4k-qd128',
      peer: 'ringbolt',
      depth: 128,
      blockBytes: 4096,
      opsPerSample: 8,
      iops: 2000,
      bytesPerSecond: 2000 * 4096,
      latencyUs: { p50: 20, p99: 40, p999: 60, max: 80 },
      gc: { msPerSecond: 20, longestMs: 20, count: 200, majorCount: 20 },
      rssMaxBytes: 1000,
      spread: 1,
    });
    expect(result).toHaveProperty('cpuUsPerOp', expect.closeTo(2));
    expect(result?.rounds).toHaveLength(3);
  });

  it('says nothing of garbage where a peer has none', () => {
    const none = { ...measurement(1000, 1), gc: undefined };
    const [, result] = summarize([comparison], finish('fio', [none, none, none]));
    expect(result).toMatchObject({ status: 'ok', gc: null });
  });

  it('leaves failed rounds out of the medians, and shows them', () => {
    const steps = finish('ringbolt', [measurement(1000, 1), 'EIO', measurement(2000, 1)]);
    const [result] = summarize([comparison], steps);
    expect(result).toMatchObject({ status: 'ok', iops: 1500 });
    expect(result?.rounds[1]).toEqual({ status: 'failed', round: 1, error: 'EIO' });
  });

  it('has an error and no figures where every round failed', () => {
    const [, result] = summarize([comparison], finish('fio', ['no memory', 'b', 'c']));
    expect(result).toMatchObject({ status: 'failed', error: 'no memory' });
    expect(result).not.toHaveProperty('iops');
  });

  it('says which share of the operations the latencies are of', () => {
    const shares = (depth: number) =>
      summarize([{ workload, depth, peers: [ringbolt, fio, fioTuned] }], []).map(
        ({ opsPerSample }) => opsPerSample,
      );
    expect(shares(64)).toEqual([8, 1, null]);
    expect(shares(63)).toEqual([1, 1, null]);
  });

  it('calls a measurement without operations failed', () => {
    const [result] = summarize([comparison], finish('ringbolt', [measurement(0, 0)]));
    expect(result?.status).toBe('failed');
  });
});

describe('compare', () => {
  it('is the median of the ratios, not the ratio of the medians', () => {
    // The disk slows down by ten from round to round; within each, ringbolt does 20 % more.
    const results = summarize(
      [comparison],
      [
        ...finish('ringbolt', [measurement(12000, 2), measurement(1200, 2), measurement(240, 2)]),
        ...finish('fio', [measurement(10000, 1), measurement(1000, 1), measurement(400, 1)]),
      ],
    );
    const [ratio, ...others] = compare(results, 1);
    expect(others).toEqual([]);
    expect(ratio).toMatchObject({ workload: 'rand-read-4k-qd128', peer: 'fio', pairs: 3 });
    expect(ratio?.iops).toBeCloseTo(1.2);
    expect(ratio?.cpu).toBeCloseTo(2);
    expect(ratio?.iopsInterval[0]).toBeCloseTo(0.6);
    expect(ratio?.iopsInterval[1]).toBeCloseTo(1.2);
  });

  it('pairs only rounds in which both were measured', () => {
    const results = summarize(
      [comparison],
      [
        ...finish('ringbolt', ['x', measurement(200, 1), measurement(300, 1)]),
        ...finish('fio', [measurement(1, 1), measurement(100, 1), 'y']),
      ],
    );
    expect(compare(results, 1)).toMatchObject([{ pairs: 1, iops: 2 }]);
  });

  it('says nothing where there is no pair', () => {
    const results = summarize([comparison], finish('fio', [measurement(1, 1)]));
    expect(compare(results, 1)).toEqual([]);
  });
});
