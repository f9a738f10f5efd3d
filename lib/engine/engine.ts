// The engine: its life, its files, its statistics. What it is made of is put together here and nowhere else.
//
// Native code calls `deliver` with completions. It holds that function weakly, by way of the native object, and this
// object strongly only while something is under way: an engine that is idle and forgotten is collected, and
// its threads with it.

import { performance } from 'node:perf_hooks';
import { blockFiles, type BlockFile, type FileHost } from '../device/block-file.js';
import { Copier } from '../device/copier.js';
import { Batch, promiseSink } from '../device/sinks.js';
import { closedError, ringboltError, systemError } from '../errors.js';
import { defaultPoolBytes } from '../memory/budget.js';
import { pools, type BufferPool } from '../memory/pool.js';
import { NativeEngine, OpKind, isFailure, type NativeInfo } from '../native.js';
import { checkSecret, SECRET } from '../secret.js';
import { Scheduler } from '../schedule/scheduler.js';
import { readCpuTopology } from '../topology/cpus.js';
import { checkInteger } from '../validate.js';
import { describeEngine, type EngineInfo } from './info.js';
import {
  placeQueues,
  resolveEngineOptions,
  resolveOpenOptions,
  type EngineOptions,
  type OpenOptions,
  type ResolvedEngineOptions,
} from './options.js';
import { readQueue, summarizeQueues, type EngineStats, type RawQueue } from './stats.js';
import { checkWatchOptions, watch, type ThroughputSample, type WatchOptions } from './watch.js';

/** Calls of open() that may be under way at once; each holds a place with the control thread. */
const MAX_OPENING = 1024;

/** Queues, memory and files. Made by {@link Engine.start}. */
export class Engine {
  readonly #native: NativeEngine;
  readonly #scheduler: Scheduler;
  readonly #copier: Copier;
  readonly #files = new Set<BlockFile>();
  readonly #host: FileHost;
  readonly #startedAtMs = performance.now();
  #opening = 0;
  #onOpened: (() => void) | undefined;
  #closing: Promise<void> | undefined;
  readonly #closed = new AbortController();

  readonly #info: EngineInfo;
  readonly #queues: number;
  readonly #pool: BufferPool;

  /** @internal */
  private constructor(
    secret: symbol,
    native: NativeEngine,
    scheduler: Scheduler,
    info: EngineInfo,
    options: ResolvedEngineOptions,
  ) {
    checkSecret(secret);
    this.#native = native;
    this.#scheduler = scheduler;
    this.#info = info;
    this.#queues = options.queues;
    this.#pool = pools.create(native, options.slabClasses, info.memory.poolBytes);
    this.#copier = new Copier(this.#pool, scheduler);
    const files = this.#files;
    this.#host = {
      native,
      scheduler,
      home: pools.home(this.#pool),
      copier: this.#copier,
      forget(file) {
        files.delete(file);
      },
    };
  }

  /** What the engine is made of, and why anything is missing. */
  get info(): EngineInfo {
    return this.#info;
  }

  /** Memory that goes to the kernel without a copy. */
  get pool(): BufferPool {
    return this.#pool;
  }

  /**
   * Makes memory and queues. The event loop is free meanwhile.
   *
   * @throws `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE`, `ERR_OUT_OF_RANGE`
   * @throws `ERR_RINGBOLT_UNSUPPORTED` where io_uring cannot be had, with the reason
   * @throws `ENOMEM` and the like, where memory or threads cannot
   */
  static async start(options: EngineOptions = {}): Promise<Engine> {
    const resolved = resolveEngineOptions(options);
    const largest = resolved.slabClasses.at(-1)!;
    const poolBytes = resolved.poolBytes ?? (await defaultPoolBytes(largest));
    const placement = placeQueues(resolved, await readCpuTopology());

    // The scheduler comes when the queues stand; nothing is delivered before.
    const late: { scheduler?: Scheduler } = {};
    const native = new NativeEngine(
      {
        queueCpus: placement.map(({ cpus }) => cpus),
        depth: resolved.depth,
        maxFiles: resolved.maxFiles,
        poolBytes: Math.floor(poolBytes / largest) * largest,
        hugePages: resolved.hugePages,
        slabClasses: resolved.slabClasses,
        without: (process.env['RINGBOLT_DISABLE'] ?? '').split(',').filter((name) => name !== ''),
      },
      (queue, count) => late.scheduler?.deliver(queue, count),
    );
    const got = await startNative(native);
    const scheduler = new Scheduler(native, resolved);
    late.scheduler = scheduler;
    return new Engine(
      SECRET,
      native,
      scheduler,
      describeEngine(got, placement, resolved),
      resolved,
    );
  }

  /**
   * Opens a regular file or block device. A file that this call creates is in its directory for good when it resolves.
   *
   * @throws `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE`, `ERR_OUT_OF_RANGE`, `ERR_RINGBOLT_CLOSED`
   * @throws `ERR_RINGBOLT_BUSY` if somebody else holds a conflicting lock
   * @throws `ERR_RINGBOLT_UNSUPPORTED` for what is neither, and where `direct: true` cannot be had
   * @throws the operating system's code: `ENOENT`, `EACCES`, `EISDIR`, `ENFILE` (more than `maxFiles`), ...
   */
  async open(path: string, options: OpenOptions = {}): Promise<BlockFile> {
    const request = resolveOpenOptions(path, options);
    this.#checkOpen();
    if (this.#opening >= MAX_OPENING) {
      throw ringboltError('ERR_RINGBOLT_OVERLOADED', `${MAX_OPENING} files are being opened`);
    }
    this.#opening++;
    try {
      const opened = await this.#native.openFile(request);
      if (isFailure(opened)) throw systemError(opened, { path });
      const file = blockFiles.create(this.#host, path, opened);
      this.#files.add(file);
      await this.#install(file);
      return file;
    } finally {
      this.#opening--;
      this.#onOpened?.();
    }
  }

  async #install(file: BlockFile): Promise<void> {
    try {
      await blockFiles.install(file);
      this.#checkOpen(); // close() may have begun meanwhile; it waits for this call
    } catch (error) {
      await file.close().catch(() => undefined); // the first error says more
      throw error;
    }
  }

  /** An operation that does nothing, all the way to the kernel and back: for measuring the engine itself. */
  noop(): Promise<void> {
    try {
      this.#checkRoom(1);
    } catch (error) {
      return Promise.reject(error);
    }
    const op = this.#scheduler.take();
    op.kind = OpKind.noop;
    op.sink = promiseSink;
    // Not awaited: that would measure a second promise.
    return this.#scheduler.submitForPromise(op) as Promise<unknown> as Promise<void>;
  }

  /** `count` of them for one promise, as {@link BlockFile.readBatch} has reads. */
  async noopBatch(count: number): Promise<void> {
    checkInteger('count', count, 1, 2 ** 24);
    this.#checkRoom(count);
    const batch = new Batch(count);
    for (let index = 0; index < count; index++) {
      const op = this.#scheduler.take();
      op.kind = OpKind.noop;
      op.sink = batch;
      op.index = index;
      this.#scheduler.submit(op);
    }
    await batch.promise;
  }

  #checkOpen(): void {
    if (this.#closing !== undefined) throw closedError('engine');
  }

  #checkRoom(count: number): void {
    this.#checkOpen();
    if (!this.#scheduler.hasRoomFor(count)) throw this.#scheduler.overloaded(count);
  }

  /**
   * Totals since the start.
   *
   * @throws `ERR_RINGBOLT_CLOSED`
   */
  stats(): EngineStats {
    if (this.#closed.signal.aborted) throw closedError('engine');
    return {
      uptimeMs: performance.now() - this.#startedAtMs,
      waiting: this.#scheduler.waiting,
      ...summarizeQueues(this.#readQueues()),
      pool: this.#pool.stats(),
      copied: this.#copier.stats(),
    };
  }

  /**
   * Rates at an interval, until the engine closes or the signal aborts. Does not keep the process alive.
   *
   * @throws `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE`, `ERR_OUT_OF_RANGE`
   */
  watch(options: WatchOptions = {}): AsyncIterable<ThroughputSample> {
    const { intervalMs } = checkWatchOptions(options);
    const source = {
      read: () => (this.#closed.signal.aborted ? undefined : this.#readQueues()),
      startedAtMs: this.#startedAtMs,
      closed: this.#closed.signal,
    };
    return watch(source, intervalMs, options.signal);
  }

  #readQueues(): RawQueue[] {
    return Array.from({ length: this.#queues }, (_, index) => readQueue(this.#native, index));
  }

  /**
   * Refuses new work, waits for what is under way, closes all files and ends the threads. A second call returns the same
   * promise. Leases stay valid memory until they are released or collected.
   *
   * @throws the first error with which a file closed; everything is closed all the same.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #close(): Promise<void> {
    if (this.#opening > 0) {
      await new Promise<void>((resolve) => {
        this.#onOpened = () => {
          if (this.#opening === 0) resolve();
        };
      });
    }
    const closed = await Promise.allSettled([...this.#files].map((file) => file.close()));
    await this.#scheduler.whenIdle();
    this.#closed.abort();
    await this.#native.stop();
    for (const outcome of closed) if (outcome.status === 'rejected') throw outcome.reason;
  }
}

async function startNative(native: NativeEngine): Promise<NativeInfo> {
  const outcome = await native.start();
  if (!isFailure(outcome)) return outcome;
  await native.stop();
  const error = systemError(outcome);
  // Forbidden or unknown here; anything else (no memory, no descriptors) may be had another time.
  const absent = ['ENOSYS', 'EPERM', 'EACCES', 'ENOTSUP'].includes(error.code);
  if (!absent || !outcome.syscall.startsWith('io_uring')) throw error;
  throw ringboltError('ERR_RINGBOLT_UNSUPPORTED', `io_uring cannot be had here: ${error.message}`, {
    errno: error.errno,
    syscall: error.syscall,
    cause: error,
  });
}
