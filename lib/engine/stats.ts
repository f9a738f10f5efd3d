// What an engine has done since its start, read from the queues' counters (native/engine/counters.h).

import type { CopyStats } from '../device/copier.js';
import type { PoolStats } from '../memory/pool-stats.js';
import { Histogram, type LatencySummary } from '../metrics/histogram.js';
import { LAYOUT, QUEUE_STATS_NUMBERS, type NativeEngine } from '../native.js';
import { IO_CLASSES, type IoClass } from '../schedule/operation.js';

/** Where the time of operations went, microseconds. */
export interface LatencyStats {
  /** From the call (of the tick's first operation: the clock is read once a batch) to the hand-over to the kernel. */
  readonly waiting: LatencySummary;
  /** From there to the end. */
  readonly kernel: LatencySummary;
  /** Both. The way back into JavaScript is not in it. */
  readonly total: LatencySummary;
}

/**
 * Operations of one class, as queues have them: of a transfer larger than `maxIoBytes` or copied, each part. Failed ones count
 * too, with the bytes they did.
 */
export interface ClassStats {
  readonly readsTotal: number;
  readonly writesTotal: number;
  readonly flushesTotal: number;
  readonly noopsTotal: number;
  readonly readBytes: number;
  readonly writtenBytes: number;
  readonly errorsTotal: number;
  /** Calls of {@link Engine.checksum} that a queue did, or parts of them. */
  readonly checksumsTotal: number;
  /** Hashed by the queue's thread: blocks of reads and writes, and memory alone. */
  readonly checksumBytes: number;
  /** How long that took, nanoseconds; not in any latency of reads, and in `waiting` of writes. */
  readonly checksumNs: number;
  /** Blocks whose checksum was not the expected one. */
  readonly mismatchesTotal: number;
  readonly latencyUs: LatencyStats;
}

export interface QueueStats {
  /** Operations in the kernel now, and most at once. */
  readonly inFlight: number;
  readonly depthMax: number;
  /** Times the thread slept and was woken by a submission. */
  readonly wakeUpsTotal: number;
  /** System calls that submitted and waited. */
  readonly waitsTotal: number;
  /** Turns of the thread that took submissions or completed operations, and the most in one. */
  readonly submissionBatchesTotal: number;
  readonly submissionBatchMax: number;
  readonly completionBatchesTotal: number;
  readonly completionBatchMax: number;
  /** Times JavaScript was told of completions. */
  readonly notificationsTotal: number;
  /** Repeated after EINTR or EAGAIN, continued after a short transfer. */
  readonly retriesTotal: number;
  readonly continuationsTotal: number;
  /** Op slots that native code refused: 0 unless somebody went round the API. */
  readonly rejectedTotal: number;
  readonly classes: Readonly<Record<IoClass, ClassStats>>;
}

export interface EngineStats {
  /** Milliseconds since the engine started. */
  readonly uptimeMs: number;
  /** Operations that wait in JavaScript for room in a queue; one in parts counts as one until its last has begun. */
  readonly waiting: number;
  /** Operations that were refused with `ERR_RINGBOLT_OVERLOADED`, as `maxQueued` waited. */
  readonly refusedTotal: number;
  readonly classes: Readonly<Record<IoClass, ClassStats>>;
  readonly queues: readonly QueueStats[];
  /** Of the ring that this thread drives, for single small reads; `undefined` if there is none (`engine.info.loopRing`). */
  readonly loopRing: QueueStats | undefined;
  readonly pool: PoolStats;
  /** Bytes copied on the JavaScript thread, for memory that was not a lease. */
  readonly copied: CopyStats;
}

const CLASS_COUNTERS = [
  'readsTotal',
  'writesTotal',
  'flushesTotal',
  'noopsTotal',
  'readBytes',
  'writtenBytes',
  'errorsTotal',
  'checksumsTotal',
  'checksumBytes',
  'checksumNs',
  'mismatchesTotal',
] as const;
type ClassCounter = (typeof CLASS_COUNTERS)[number];

const QUEUE_COUNTERS = [
  'inFlight',
  'depthMax',
  'wakeUpsTotal',
  'waitsTotal',
  'submissionBatchesTotal',
  'submissionBatchMax',
  'completionBatchesTotal',
  'completionBatchMax',
  'notificationsTotal',
  'retriesTotal',
  'continuationsTotal',
  'rejectedTotal',
] as const;
type QueueCounter = (typeof QUEUE_COUNTERS)[number];

/** Counters of one class before they are summed up for the user. */
export interface RawClass {
  readonly counters: Readonly<Record<ClassCounter, number>>;
  readonly waiting: Histogram;
  readonly kernel: Histogram;
  readonly total: Histogram;
}

export interface RawQueue {
  readonly counters: Readonly<Record<QueueCounter, number>>;
  readonly classes: readonly RawClass[];
}

function named<K extends string>(names: readonly K[], values: Float64Array): Record<K, number> {
  return Object.fromEntries(names.map((name, i) => [name, values[i] ?? 0])) as Record<K, number>;
}

export function readQueue(native: NativeEngine, queue: number): RawQueue {
  const row = new Float64Array(QUEUE_STATS_NUMBERS);
  native.queueStats(queue, row);
  const { queueNumbers, classNumbers, histogramBuckets } = LAYOUT;
  const classRow = classNumbers + 3 * histogramBuckets;
  const classes = IO_CLASSES.map((_, ioClass) => {
    const at = queueNumbers + ioClass * classRow;
    const maximaAt = at + CLASS_COUNTERS.length;
    const histogram = (which: number) => {
      const from = at + classNumbers + which * histogramBuckets;
      return new Histogram().add(
        row.subarray(from, from + histogramBuckets),
        row[maximaAt + which]!,
      );
    };
    const counters = named(CLASS_COUNTERS, row.subarray(at, maximaAt));
    return { counters, waiting: histogram(0), kernel: histogram(1), total: histogram(2) };
  });
  return { counters: named(QUEUE_COUNTERS, row.subarray(0, queueNumbers)), classes };
}

/** The sum of the same class in several queues. */
export function sumClasses(classes: readonly RawClass[]): RawClass {
  const counters = named(CLASS_COUNTERS, new Float64Array(CLASS_COUNTERS.length));
  const sum = { waiting: new Histogram(), kernel: new Histogram(), total: new Histogram() };
  for (const one of classes) {
    for (const name of CLASS_COUNTERS) counters[name] += one.counters[name];
    sum.waiting.merge(one.waiting);
    sum.kernel.merge(one.kernel);
    sum.total.merge(one.total);
  }
  return { counters, ...sum };
}

function summarizeClass({ counters, waiting, kernel, total }: RawClass): ClassStats {
  return {
    ...counters,
    latencyUs: {
      waiting: waiting.summary(),
      kernel: kernel.summary(),
      total: total.summary(),
    },
  };
}

function byClass(classes: readonly RawClass[]): Record<IoClass, ClassStats> {
  const [foreground, background] = classes.map(summarizeClass);
  return { foreground: foreground!, background: background! };
}

/** `driven`: the last of them is the loop ring's. */
export function summarizeQueues(
  queues: readonly RawQueue[],
  driven: boolean,
): Pick<EngineStats, 'classes' | 'queues' | 'loopRing'> {
  const summaries = queues.map(({ counters, classes }) => ({
    ...counters,
    classes: byClass(classes),
  }));
  const loopRing = driven ? summaries.pop() : undefined;
  return {
    classes: byClass(
      IO_CLASSES.map((_, ioClass) => sumClasses(queues.map((queue) => queue.classes[ioClass]!))),
    ),
    queues: summaries,
    loopRing,
  };
}
