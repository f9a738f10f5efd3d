// Rates at an interval: two readings of the counters, and what lies between them.

import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import type { LatencySummary } from '../metrics/histogram.js';
import { checkInteger, checkOptions, invalidType } from '../validate.js';
import { sumClasses, type RawClass, type RawQueue } from './stats.js';

export interface WatchOptions {
  /** Milliseconds between two samples, 10 to 3,600,000. Default 1000. */
  readonly intervalMs?: number;
  /** Ends the iteration, without an error. */
  readonly signal?: AbortSignal;
}

/** What happened in one interval, all queues and classes together. */
export interface ThroughputSample {
  /** Milliseconds since the engine started, at the interval's end. */
  readonly uptimeMs: number;
  /** How long the interval really was, milliseconds. */
  readonly intervalMs: number;
  /** Reads and writes completed per second. */
  readonly iops: number;
  readonly readsPerSecond: number;
  readonly writesPerSecond: number;
  readonly readBytesPerSecond: number;
  readonly writtenBytesPerSecond: number;
  readonly errorsPerSecond: number;
  /** Operations in the kernel at the interval's end. */
  readonly inFlight: number;
  /** Of the operations completed in the interval, flushes and no-ops included; microseconds. */
  readonly latencyUs: LatencySummary;
}

export interface WatchSource {
  /** `undefined` once the engine has closed. */
  readonly read: () => readonly RawQueue[] | undefined;
  readonly startedAtMs: number;
  /** Aborts when the engine closes. */
  readonly closed: AbortSignal;
}

export function checkWatchOptions(
  options: WatchOptions,
): Required<Pick<WatchOptions, 'intervalMs'>> {
  checkOptions('options', options, ['intervalMs', 'signal']);
  const { intervalMs = 1000, signal } = options;
  checkInteger('options.intervalMs', intervalMs, 10, 3_600_000);
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw invalidType('options.signal', 'an AbortSignal', signal);
  }
  return { intervalMs };
}

/** Ends when the engine closes or the signal aborts. Its timer does not keep the process alive. */
export async function* watch(
  source: WatchSource,
  intervalMs: number,
  signal: AbortSignal | undefined,
): AsyncGenerator<ThroughputSample, void, void> {
  const either = signal === undefined ? source.closed : AbortSignal.any([source.closed, signal]);
  let before = take(source);
  while (before !== undefined) {
    try {
      await sleep(intervalMs, undefined, { ref: false, signal: either });
    } catch {
      return; // aborted, one way or the other
    }
    const after = take(source);
    if (after === undefined) return;
    yield compare(before, after, source.startedAtMs);
    before = after;
  }
}

interface Reading {
  readonly atMs: number;
  readonly all: RawClass;
  readonly inFlight: number;
}

function take(source: WatchSource): Reading | undefined {
  const queues = source.read();
  if (queues === undefined) return undefined;
  return {
    atMs: performance.now(),
    all: sumClasses(queues.flatMap((queue) => queue.classes)),
    inFlight: queues.reduce((sum, queue) => sum + queue.counters.inFlight, 0),
  };
}

function compare(before: Reading, after: Reading, startedAtMs: number): ThroughputSample {
  const intervalMs = after.atMs - before.atMs;
  const rate = (name: keyof RawClass['counters']) =>
    ((after.all.counters[name] - before.all.counters[name]) * 1000) / intervalMs;
  const readsPerSecond = rate('readsTotal');
  const writesPerSecond = rate('writesTotal');
  return {
    uptimeMs: after.atMs - startedAtMs,
    intervalMs,
    iops: readsPerSecond + writesPerSecond,
    readsPerSecond,
    writesPerSecond,
    readBytesPerSecond: rate('readBytes'),
    writtenBytesPerSecond: rate('writtenBytes'),
    errorsPerSecond: rate('errorsTotal'),
    inFlight: after.inFlight,
    latencyUs: after.all.total.since(before.all.total).summary(),
  };
}
