// What the benchmark found: the shape of its JSON, and how measurements become results.
//
// docs/bench.md describes every field. A run that failed has no statistics, only an error, so that nobody reads a zero
// as a measurement.

import type { Environment } from './environment.js';
import { opsPerSample } from './op-timer.js';
import type { FioPeer } from './peers.js';
import type { Comparison, Skipped, Step } from './plan.js';
import type { LatencyUs, Measurement, Outcome } from './protocol.js';
import { bootstrapMedian, median, spread, type Interval } from './statistics.js';

const US_PER_S = 1e6;

/** Pauses for garbage collection. */
interface GcShare {
  readonly msPerSecond: number;
  readonly longestMs: number;
  readonly count: number;
  readonly majorCount: number;
}

interface Figures {
  readonly iops: number;
  readonly bytesPerSecond: number;
  /** Null where the peer does not measure it. */
  readonly latencyUs: LatencyUs | null;
  readonly cpuUsPerOp: number;
  /** Null where the peer is not JavaScript. */
  readonly gc: GcShare | null;
  /** Null where the peer does not say. */
  readonly rssMaxBytes: number | null;
}

interface RoundBase {
  /** From 0. */
  readonly round: number;
}
interface MeasuredRound extends RoundBase, Figures {
  readonly status: 'ok';
  readonly ops: number;
  readonly seconds: number;
}
interface FailedRound extends RoundBase {
  readonly status: 'failed';
  readonly error: string;
}
type Round = MeasuredRound | FailedRound;

interface ResultBase {
  readonly workload: string;
  readonly peer: string;
  readonly depth: number;
  readonly blockBytes: number;
  /** One of so many operations was timed; null where the peer measures no latencies. */
  readonly opsPerSample: number | null;
  readonly rounds: readonly Round[];
}
/** Medians over the rounds that did not fail. */
export interface MeasuredResult extends ResultBase, Figures {
  readonly status: 'ok';
  /** Of the rounds' IOPS: (largest - smallest) / median. */
  readonly spread: number;
}
interface FailedResult extends ResultBase {
  readonly status: 'failed';
  readonly error: string;
}
export type Result = MeasuredResult | FailedResult;

/** ringbolt's figure divided by the peer's: the median of the rounds' ratios, and its 95 % interval. */
export interface Ratio {
  readonly workload: string;
  readonly peer: string;
  readonly pairs: number;
  /** Above 1: ringbolt does more. */
  readonly iops: number;
  readonly iopsInterval: Interval;
  /** CPU time per operation. Above 1: ringbolt uses more. */
  readonly cpu: number;
  readonly cpuInterval: Interval;
}

export interface FioCommand {
  readonly workload: string;
  readonly peer: string;
  readonly command: string;
}

export interface BenchReport {
  readonly schema: 3;
  readonly environment: Environment;
  /** `engine.info` of ringbolt's first measurement; null if there was none. */
  readonly engine: unknown;
  readonly results: readonly Result[];
  readonly ratios: readonly Ratio[];
  readonly skipped: readonly Skipped[];
  readonly commands: readonly FioCommand[];
  readonly warnings: readonly string[];
}

/** A step of the plan, and what came of it. */
export interface FinishedStep {
  readonly step: Step;
  readonly outcome: Outcome<Measurement>;
}

function figures(measurement: Measurement): Figures {
  const { ops, seconds } = measurement;
  return {
    iops: ops / seconds,
    bytesPerSecond: measurement.bytes / seconds,
    latencyUs: measurement.latencyUs ?? null,
    cpuUsPerOp: (measurement.cpuSeconds * US_PER_S) / ops,
    gc: gcShare(measurement),
    rssMaxBytes: measurement.rssMaxBytes ?? null,
  };
}

export function summarize(
  comparisons: readonly Comparison[],
  finished: readonly FinishedStep[],
): readonly Result[] {
  return comparisons.flatMap((comparison) =>
    comparison.peers.map((peer) => {
      const rounds = finished
        .filter(({ step }) => step.comparison === comparison && step.peer === peer)
        .map(({ step, outcome }) => toRound(step.round, outcome));
      const { workload, depth } = comparison;
      return toResult({
        workload: workload.name,
        peer: peer.name,
        depth,
        blockBytes: workload.blockBytes,
        opsPerSample: peer.kind === 'node' ? opsPerSample(workload, depth) : fioSample(peer),
        rounds,
      });
    }),
  );
}

function fioSample({ latencies }: FioPeer): number | null {
  return latencies ? 1 : null;
}

function toRound(round: number, outcome: Outcome<Measurement>): Round {
  if (outcome.status === 'failed') return { status: 'failed', round, error: outcome.error };
  const { ops, seconds } = outcome.value;
  if (ops === 0) return { status: 'failed', round, error: `no operation in ${seconds} s` };
  return { status: 'ok', round, ...figures(outcome.value), ops, seconds };
}

function measured(rounds: readonly Round[]): readonly MeasuredRound[] {
  return rounds.filter((round) => round.status === 'ok');
}

function toResult(base: ResultBase): Result {
  const rounds = measured(base.rounds);
  if (rounds.length === 0) {
    const [first] = base.rounds;
    const error = first?.status === 'failed' ? first.error : 'it was not run';
    return { status: 'failed', ...base, error };
  }
  return {
    status: 'ok',
    ...base,
    iops: median(rounds.map(({ iops }) => iops)),
    bytesPerSecond: median(rounds.map(({ bytesPerSecond }) => bytesPerSecond)),
    latencyUs: medianLatency(rounds),
    cpuUsPerOp: median(rounds.map(({ cpuUsPerOp }) => cpuUsPerOp)),
    gc: medianGc(rounds),
    rssMaxBytes: medianOf(rounds.map(({ rssMaxBytes }) => rssMaxBytes)),
    spread: spread(rounds.map(({ iops }) => iops)),
  };
}

function medianLatency(rounds: readonly MeasuredRound[]): LatencyUs | null {
  const all = rounds.flatMap(({ latencyUs }) => (latencyUs === null ? [] : [latencyUs]));
  if (all.length === 0) return null;
  return {
    p50: median(all.map(({ p50 }) => p50)),
    p99: median(all.map(({ p99 }) => p99)),
    p999: median(all.map(({ p999 }) => p999)),
    max: median(all.map(({ max }) => max)),
  };
}

function gcShare({ gc, seconds }: Measurement): GcShare | null {
  if (gc === undefined) return null;
  const { totalMs, longestMs, count, majorCount } = gc;
  return { msPerSecond: totalMs / seconds, longestMs, count, majorCount };
}

function medianGc(rounds: readonly MeasuredRound[]): GcShare | null {
  const all = rounds.flatMap(({ gc }) => (gc === null ? [] : [gc]));
  if (all.length === 0) return null;
  return {
    msPerSecond: median(all.map(({ msPerSecond }) => msPerSecond)),
    longestMs: median(all.map(({ longestMs }) => longestMs)),
    count: median(all.map(({ count }) => count)),
    majorCount: median(all.map(({ majorCount }) => majorCount)),
  };
}

function medianOf(values: readonly (number | null)[]): number | null {
  const known = values.filter((value) => value !== null);
  return known.length === 0 ? null : median(known);
}

/** ringbolt beside every other peer of the same workload, paired by round. */
export function compare(results: readonly Result[], seed: number): readonly Ratio[] {
  return results.flatMap((other) => {
    const ours = results.find(
      ({ workload, peer }) => workload === other.workload && peer === 'ringbolt',
    );
    if (ours === undefined || ours === other) return [];
    const theirs = measured(other.rounds);
    const pairs = measured(ours.rounds).flatMap((mine) => {
      const its = theirs.find(({ round }) => round === mine.round);
      return its === undefined ? [] : [{ mine, its }];
    });
    if (pairs.length === 0) return [];
    const iops = pairs.map(({ mine, its }) => mine.iops / its.iops);
    const cpu = pairs.map(({ mine, its }) => mine.cpuUsPerOp / its.cpuUsPerOp);
    return [
      {
        workload: other.workload,
        peer: other.peer,
        pairs: pairs.length,
        iops: median(iops),
        iopsInterval: bootstrapMedian(iops, seed),
        cpu: median(cpu),
        cpuInterval: bootstrapMedian(cpu, seed),
      },
    ];
  });
}
