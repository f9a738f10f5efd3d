// The engine: its life, its files, its statistics. What it is made of is put together here and nowhere else.
//
// Native code calls `deliver` with completions. It holds that function weakly, by way of the native object, and this
// object strongly only while something is under way: an engine that is idle and forgotten is collected, and
// its threads with it.

import { performance } from 'node:perf_hooks';
import { blockFiles, type BlockFile, type FileHost } from '../device/block-file.js';
import { Copier } from '../device/copier.js';
import { withLockOwner } from '../device/lock-owner.js';
import {
  checkChecksumOptions,
  checkHashable,
  hashArray,
  hashLease,
  type ChecksumOptions,
} from '../device/memory-hasher.js';
import { Batch, promiseSink } from '../device/sinks.js';
import { Staging } from '../device/staging.js';
import type { StreamSource } from '../device/streams/source.js';
import { closedError, ringboltError, systemError, systemErrorReason } from '../errors.js';
import { Lease } from '../memory/lease.js';
import { pools, type BufferPool, type PoolLayout } from '../memory/pool.js';
import { slabsOf } from '../memory/slabs.js';
import {
  BACKEND_KINDS,
  HUGE_PAGES,
  NativeEngine,
  OpKind,
  isFailure,
  type BackendKind,
  type NativeInfo,
} from '../native.js';
import { checkSecret, SECRET } from '../secret.js';
import {
  beginWait,
  checkTimeout,
  Interrupt,
  untilInterrupted,
  type WaitOptions,
} from '../interrupt.js';
import { Scheduler, type EngineLimits } from '../schedule/scheduler.js';
import { readCpuTopology } from '../topology/cpus.js';
import { nodesInUse, placeQueues } from '../topology/placement.js';
import { checkInteger, checkOptions } from '../validate.js';
import { disabledFeatures } from './features.js';
import { FileNodes } from './file-nodes.js';
import { describeEngine, type EngineInfo } from './info.js';
import { startLoopRing } from './loop-ring.js';
import { poolLayout, whyCopied } from './memory-info.js';
import {
  resolveLimits,
  resolveEngineOptions,
  resolveOpenOptions,
  type EngineOptions,
  type OpenOptions,
} from './options.js';
import { planPool } from './pool-options.js';
import { Shutdown } from './shutdown.js';
import { readQueue, summarizeQueues, type EngineStats, type RawQueue } from './stats.js';
import { checkWatchOptions, watch, type ThroughputSample, type WatchOptions } from './watch.js';

/** Calls of open() that may be under way at once; each holds a place with the control thread. */
const MAX_OPENING = 1024;

export interface CloseOptions {
  /** When to give up on devices that do not answer, 1 to 2^31 - 1 ms. Default: never. */
  readonly timeoutMs?: number;
}

/** What an engine is put together of. */
interface Parts {
  readonly queues: number;
  readonly layout: PoolLayout;
  readonly fileNodes: FileNodes | undefined;
}

/** For what is built on an engine's files. */
interface EngineAccess {
  is(value: unknown): value is Engine;
  /** `close` is called when the engine closes, before its files are closed, unless the function that this returns was called first. */
  addDependent(engine: Engine, close: () => Promise<unknown>): () => void;
  streamParts(engine: Engine): Pick<StreamSource, 'pool' | 'budget'>;
}

export let engines: EngineAccess;

/** Queues, memory and files. Made by {@link Engine.start}. */
export class Engine {
  readonly #native: NativeEngine;
  readonly #scheduler: Scheduler;
  readonly #copier: Copier;
  readonly #staging: Staging | undefined;
  readonly #files = new Set<BlockFile>();
  readonly #dependents = new Set<() => Promise<unknown>>();
  /** If it matters on which node a file is. */
  readonly #fileNodes: FileNodes | undefined;
  readonly #host: FileHost;
  readonly #startedAtMs = performance.now();
  #opening = 0;
  #onOpened: (() => void) | undefined;
  /** Calls of open() whose file the control thread has yet to answer for. */
  readonly #openings = new Interrupt(undefined, undefined);
  readonly #shutdown = this.#makeShutdown();
  readonly #closed = new AbortController();

  readonly #info: EngineInfo;
  readonly #pool: BufferPool;
  /** The driven one too, if there is one: it is the last. */
  readonly #queues: number;

  /** @internal */
  private constructor(
    secret: symbol,
    native: NativeEngine,
    scheduler: Scheduler,
    info: EngineInfo,
    { queues, layout, fileNodes }: Parts,
  ) {
    checkSecret(secret);
    this.#native = native;
    this.#scheduler = scheduler;
    this.#info = info;
    this.#fileNodes = fileNodes;
    this.#queues = info.loopRing.active ? queues + 1 : queues;
    this.#pool = pools.create(native, layout);
    const slabs = slabsOf(native, whyCopied(info.memory) === '');
    this.#copier = new Copier(native, this.#pool, slabs, scheduler);
    this.#staging = slabs.visible ? undefined : new Staging(this.#copier);
    const files = this.#files;
    this.#host = {
      native,
      scheduler,
      home: pools.home(this.#pool),
      copier: this.#copier,
      staging: this.#staging,
      acquire: (bytes, node) => pools.acquireOn(this.#pool, bytes, node),
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
   * @throws `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`
   * @throws `ERR_INVALID_ARG_VALUE`, also where the environment variable `RINGBOLT_DISABLE` names a feature that there is not
   * @throws `ERR_RINGBOLT_UNSUPPORTED` where the backend that was named cannot be had, with the reason
   * @throws `ENOMEM` where `pool.bytes` is more than the machine or the process's cgroup has
   * @throws `ENOMEM` and the like, where memory or threads cannot be had
   */
  static async start(options: EngineOptions = {}): Promise<Engine> {
    const resolved = resolveEngineOptions(options);
    const without = disabledFeatures();
    const topology = await readCpuTopology(resolved.roots);
    const placement = placeQueues(topology, resolved.affinity, resolved.queues);
    const nodes = nodesInUse(placement, topology).flatMap(({ memoryNode }) => memoryNode ?? []);
    const pool = await planPool(resolved.pool, [...new Set(nodes)]);

    // The scheduler comes when the queues stand; nothing is delivered before.
    const late: { scheduler?: Scheduler } = {};
    const native = new NativeEngine(
      {
        queueCpus: placement.map(({ cpus }) => cpus),
        depth: resolved.depth,
        maxFiles: resolved.maxFiles,
        poolParts: pool.parts,
        largeBytes: pool.largeBytes,
        hugePages: HUGE_PAGES.indexOf(resolved.pool.hugePages),
        slabClasses: resolved.pool.classes,
        backend: BACKEND_KINDS.indexOf(resolved.backend),
        faults: resolved.faults,
        without,
      },
      (queue, count) => late.scheduler?.deliver(queue, count),
    );
    const got = await startNative(native, resolved.backend);
    const loopRing = startLoopRing(native, got, resolved, without);
    const info = describeEngine(got, { placement, topology }, resolved, loopRing);
    const queueNodes = info.queues.map(({ node }) => node);
    const driven = loopRing.active;
    const scheduler = new Scheduler(native, { ...resolved, nodes: queueNodes, driven });
    late.scheduler = scheduler;
    if (info.remarks !== '') process.emitWarning(info.remarks, { type: 'RingboltWarning' });
    const layout = poolLayout(got, resolved.pool);
    return new Engine(SECRET, native, scheduler, info, {
      queues: resolved.queues,
      layout,
      fileNodes: FileNodes.forQueues(queueNodes, resolved.roots),
    });
  }

  /**
   * Opens a regular file or block device. A file that this call creates is in its directory for good when it resolves.
   *
   * @throws `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE`, `ERR_OUT_OF_RANGE`, `ERR_RINGBOLT_CLOSED`
   * @throws `ERR_RINGBOLT_OVERLOADED` if 1024 files are being opened, `ERR_RINGBOLT_TIMEOUT` if the engine gave up meanwhile
   * @throws `ERR_RINGBOLT_BUSY` if somebody else holds a conflicting lock; the message names the process, where that can be seen
   * @throws `ERR_RINGBOLT_UNSUPPORTED` for what is neither, and where `direct: true` cannot be had
   * @throws the operating system's code: `ENOENT`, `EACCES`, `EISDIR`, `ENFILE` (more than `maxFiles`), ...
   */
  async open(path: string, options: OpenOptions = {}): Promise<BlockFile> {
    const request = resolveOpenOptions(path, options);
    const { limit } = options;
    this.#checkOpen();
    if (this.#opening >= MAX_OPENING) {
      throw ringboltError('ERR_RINGBOLT_OVERLOADED', `${MAX_OPENING} files are being opened`);
    }
    this.#opening++;
    try {
      const opened = await untilInterrupted(this.#native.openFile(request), this.#openings);
      if (isFailure(opened)) throw systemError(await withLockOwner(opened, path), { path });
      const node = await this.#fileNodes?.nodeOf(path);
      const file = blockFiles.create(this.#host, path, { opened, node });
      this.#files.add(file);
      if (limit !== undefined) file.setLimit(limit);
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

  /**
   * An operation that does nothing, all the way to the kernel and back: for measuring the engine itself.
   *
   * @throws `ERR_RINGBOLT_CLOSED`, `ERR_RINGBOLT_OVERLOADED`, `ERR_RINGBOLT_TIMEOUT` if the engine gave up meanwhile
   */
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

  /**
   * `count` of them for one promise, as {@link BlockFile.readBatch} has reads.
   *
   * @throws `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`, and what {@link noop} does
   */
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

  /**
   * Replaces all rate limits: `{}` lifts them. A file may have one of its own besides. What waits follows the new limits at once.
   *
   * @throws `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE`, `ERR_OUT_OF_RANGE`, `ERR_RINGBOLT_CLOSED`
   */
  setLimits(limits: EngineLimits): void {
    const resolved = resolveLimits('limits', limits);
    this.#checkOpen();
    this.#scheduler.setLimits(resolved);
  }

  /** How full the engine is: of all operations that it takes, in flight and waiting, the share that it has. 0 to 1. */
  get pressure(): number {
    return this.#scheduler.pressure;
  }

  /**
   * Resolves when `count` operations may be submitted without `ERR_RINGBOLT_OVERLOADED`; callers are told in order. Room is not set
   * aside: submit before anything else is awaited.
   *
   * @throws `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE`, `ERR_OUT_OF_RANGE` if `count` is more than the engine ever takes,
   * `ERR_RINGBOLT_CLOSED`, `ERR_RINGBOLT_OVERLOADED` if too many wait already, `ERR_RINGBOLT_TIMEOUT`, an `AbortError`
   */
  async whenRoom(count = 1, options: WaitOptions = {}): Promise<void> {
    checkInteger('count', count, 1, this.#scheduler.capacity);
    const interrupts = beginWait(options);
    try {
      this.#checkOpen();
      await this.#scheduler.whenRoomFor(count, interrupts);
      this.#checkOpen();
    } finally {
      interrupts?.end();
    }
  }

  /**
   * The checksum of memory, however large, without holding up the event loop: a lease is hashed by a queue's thread, any other
   * memory on this one, 256 KiB in each turn. Leave it alone until the promise settles.
   *
   * @returns the checksum; of CRC-32C in the low 32 bits.
   * @throws `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE`, `ERR_OUT_OF_RANGE`, `ERR_RINGBOLT_CLOSED`,
   * `ERR_RINGBOLT_RELEASED`, `ERR_RINGBOLT_BUSY`, `ERR_RINGBOLT_OVERLOADED`, `ERR_RINGBOLT_UNSUPPORTED`,
   * `ERR_RINGBOLT_TIMEOUT`, an `AbortError`; all as rejections.
   */
  checksum(data: Lease | Uint8Array, options: ChecksumOptions): Promise<bigint> {
    try {
      const checked = checkChecksumOptions(options);
      const memory = checkHashable(data, pools.home(this.#pool));
      this.#checkRoom(1);
      if (!(memory instanceof Lease)) return hashArray(this.#copier, memory, checked);
      return this.#staging === undefined
        ? hashLease(this.#scheduler, memory, checked)
        : this.#staging.hash(memory, checked);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  #checkOpen(): void {
    if (this.#shutdown.begun) throw closedError('engine');
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
      refusedTotal: this.#scheduler.refusedTotal,
      ...summarizeQueues(this.#readQueues(), this.#info.loopRing.active),
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
   * promise. Leases stay valid memory until they are released or collected. If that takes longer than ten seconds, a
   * warning says what is waited for.
   *
   * With `timeoutMs` the engine gives up after that time: what the devices have not answered rejects, its outcome unknown, and threads,
   * rings and memory are left behind until the device answers or the process ends; neither keeps the process from ending.
   *
   * @throws `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE`, `ERR_OUT_OF_RANGE`, and nothing is closed
   * @throws `ERR_RINGBOLT_TIMEOUT` if it gave up; the message says on what
   * @throws the first error with which a file closed; everything is closed all the same.
   */
  close(options: CloseOptions = {}): Promise<void> {
    try {
      checkOptions('options', options, ['timeoutMs']);
      const { timeoutMs } = options;
      if (timeoutMs !== undefined) checkTimeout('options.timeoutMs', timeoutMs);
      return this.#shutdown.begin(timeoutMs);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #drain(): Promise<void> {
    const ended = await Promise.allSettled([...this.#dependents].map((close) => close()));
    pools.close(this.#pool, closedError('engine'));
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
    for (const outcome of [...ended, ...closed])
      if (outcome.status === 'rejected') throw outcome.reason;
  }

  #abandon(reason: Error): void {
    this.#closed.abort();
    pools.abandon(this.#pool, reason);
    this.#native.abandon();
    this.#openings.fire(reason);
    this.#copier.abandon(reason);
    this.#scheduler.abandon(reason);
  }

  #makeShutdown(): Shutdown {
    return new Shutdown({
      drain: () => this.#drain(),
      stop: () => this.#native.stop(),
      abandon: (reason) => this.#abandon(reason),
      describe: (count) => ({
        total: this.#scheduler.inFlight + this.#scheduler.waiting,
        examples: this.#scheduler.describe(count),
      }),
    });
  }

  static {
    engines = {
      is: (value): value is Engine =>
        typeof value === 'object' && value !== null && #native in value,
      addDependent(engine, close) {
        engine.#dependents.add(close);
        const giveUp = engine.#copier.keep(); // those who wait for it may have the whole pool
        return () => {
          engine.#dependents.delete(close);
          giveUp();
        };
      },
      streamParts: (engine) => ({ pool: engine.#pool, budget: engine.#copier.budget }),
    };
  }
}

/** System calls that make a backend, and nothing else. */
const BACKEND_CALLS = /^(io_uring_|io_setup$)/;

/** Says nothing about a backend: all of them need descriptors. */
const NO_DESCRIPTORS = ['EMFILE', 'ENFILE'];

async function startNative(native: NativeEngine, backend: BackendKind): Promise<NativeInfo> {
  const outcome = await native.start();
  if (!isFailure(outcome)) return outcome;
  await native.stop();
  const error = systemError(outcome);
  // With 'auto' the last resort failed too: not a matter of what this machine supports.
  const absent = BACKEND_CALLS.test(outcome.syscall) && !NO_DESCRIPTORS.includes(error.code);
  if (backend === 'auto' || !absent) throw error;
  const message = `The backend ${backend} cannot be had: ${systemErrorReason(outcome)}`;
  throw ringboltError('ERR_RINGBOLT_UNSUPPORTED', message, {
    errno: error.errno,
    syscall: error.syscall,
    cause: error,
  });
}
