// A regular file or block device, open on every queue of an engine.

import type { Readable, Writable } from 'node:stream';
import { closedError, systemError } from '../errors.js';
import type { Lease } from '../memory/lease.js';
import { OpKind, SpaceChange, type NativeEngine, type NativeFile } from '../native.js';
import {
  beginInterrupt,
  beginWait,
  untilInterrupted,
  type Interrupt,
  type WaitOptions,
} from '../interrupt.js';
import { FileRef } from '../schedule/operation.js';
import { checkRateLimit, type RateLimit } from '../schedule/rate-limiter.js';
import { checkSecret, SECRET } from '../secret.js';
import { checkInteger } from '../validate.js';
import type {
  BatchResult,
  BlockTarget,
  FlushOptions,
  IoOptions,
  ReadBatchOptions,
  Transfer,
  WriteBatchOptions,
  WriteOptions,
} from './block-target.js';
import { Flushes } from './flushes.js';
import { FLUSH_OPTIONS, readModes } from './io-modes.js';
import { QueuedReads } from './queued-reads.js';
import { changeSpace, isUnsupported, writeZeroBytes } from './space.js';
import { leases as leaseStream } from './streams/leases.js';
import type { StreamOptions, WritableOptions } from './streams/options.js';
import { readable } from './streams/readable.js';
import type { StreamSource } from './streams/source.js';
import { writable } from './streams/writable.js';
import { misaligned, Transfers, type TransferHost } from './transfers.js';

/** What a file needs of its engine. */
export interface FileHost extends TransferHost {
  readonly native: NativeEngine;
  /** {@link BufferPool.acquire}, near a node if one is known. */
  acquire(bytes: number, node: number | undefined): Lease;
  forget(file: BlockFile): void;
}

/** What there is to know of a file that was opened. */
interface OpenedFile {
  readonly opened: NativeFile;
  /** Of its device, if it matters and is known. */
  readonly node: number | undefined;
}

/** The engine's side of files. */
interface FileAccess {
  create(host: FileHost, path: string, found: OpenedFile): BlockFile;
  /** Makes the file known to all queues; must come before its use. */
  install(file: BlockFile): Promise<void>;
}

export let blockFiles: FileAccess;

/** An open file. Made by {@link Engine.open}. */
export class BlockFile implements BlockTarget {
  readonly #host: FileHost;
  readonly #ref: FileRef;
  readonly #opened: NativeFile;
  readonly #node: number | undefined;
  readonly #blockSize: number;
  #closing: Promise<void> | undefined;
  readonly #flushes: Flushes;
  readonly #transfers: Transfers;

  /** @internal */
  constructor(secret: symbol, host: FileHost, path: string, { opened, node }: OpenedFile) {
    checkSecret(secret);
    this.#host = host;
    this.#ref = new FileRef(path, opened);
    this.#node = node;
    if (node !== undefined) this.#ref.near = host.scheduler.lanesNear(node);
    this.#opened = opened;
    this.#blockSize = opened.alignment;
    this.#flushes = new Flushes(host.scheduler, this.#ref);
    this.#transfers = new Transfers(host, this.#ref, this.#flushes, opened.alignment);
  }

  /** Offsets and lengths must be multiples of it; 1 for a file opened with `direct: false`. */
  get blockSize(): number {
    return this.#blockSize;
  }

  /** Whether reads and writes bypass the page cache (O_DIRECT). */
  get direct(): boolean {
    return this.#opened.direct;
  }

  /** What was asked for and could not be had, in words; empty if nothing. */
  get remarks(): string {
    return this.#opened.remarks;
  }

  /**
   * The NUMA node that the file's device is attached to, and whose queues its reads and writes go to. Undefined where the engine's
   * queues are all on one node, and where the device's is not known, or it has several.
   */
  get node(): number | undefined {
    return this.#node;
  }

  /** As it was given to {@link Engine.open}. */
  get path(): string {
    return this.#ref.path;
  }

  /** Bytes: at opening, grown by this file's own writes. */
  get size(): number {
    return this.#ref.size;
  }

  /**
   * {@link BufferPool.acquire} of the engine's pool, for this file: near its device, where that makes a difference.
   *
   * @throws what that does, and `ERR_RINGBOLT_CLOSED`
   */
  acquire(bytes: number): Lease {
    if (this.#ref.closing) throw closedError('file', this.path);
    return this.#host.acquire(bytes, this.#node);
  }

  /**
   * Reads from byte `offset` until `into` is full.
   *
   * @returns the bytes read; fewer than asked for only at the end of the file.
   * @throws `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE`, `ERR_OUT_OF_RANGE`, `ERR_RINGBOLT_MISALIGNED`,
   * `ERR_RINGBOLT_CLOSED`, `ERR_RINGBOLT_RELEASED`, `ERR_RINGBOLT_BUSY`, `ERR_RINGBOLT_OVERLOADED`,
   * `ERR_RINGBOLT_POOL_EXHAUSTED`, `ERR_RINGBOLT_TIMEOUT`, an `AbortError`, or the operating system's code; all as rejections.
   * @throws `ERR_RINGBOLT_UNSUPPORTED` for another engine's lease, and where an array is to be copied but the pool has no slab
   * as large as a block of this file, or a checksum cannot be had.
   */
  read(offset: number, into: Lease | Uint8Array, options?: IoOptions): Promise<number> {
    return this.#transfers.one(OpKind.read, offset, into, options);
  }

  /**
   * Writes all of `from` at byte `offset`, or rejects with `bytesDone`.
   *
   * @returns the bytes written, always the length of `from`.
   * @throws what {@link read} does, and with `durable` the code of a flush that failed before, whose error is the `cause`.
   * @throws `ERR_RINGBOLT_CORRUPT` for data that does not have the expected checksums: it is not written.
   */
  write(offset: number, from: Lease | Uint8Array, options?: WriteOptions): Promise<number> {
    return this.#transfers.one(OpKind.write, offset, from, options);
  }

  /**
   * Many reads, one promise. Nothing is read if any argument is wrong; otherwise it settles when all have ended, with the
   * error of the first that failed, if any, unless `onError` says otherwise.
   *
   * @throws what {@link read} does.
   */
  readBatch(ops: readonly Transfer[], options?: ReadBatchOptions): Promise<BatchResult> {
    return this.#transfers.batch(OpKind.read, ops, options);
  }

  /**
   * Many writes, one promise; otherwise as {@link readBatch}.
   *
   * @throws what {@link write} does.
   */
  writeBatch(ops: readonly Transfer[], options?: WriteBatchOptions): Promise<BatchResult> {
    return this.#transfers.batch(OpKind.write, ops, options);
  }

  /**
   * Puts every write that had resolved before this call on stable storage. Concurrent flushes join: one runs, one waits.
   * After a flush has failed, all later ones and all durable writes reject until the file is opened again: Linux reports
   * such an error once, and a flush that succeeded afterwards would not mean that the data is safe. Their `cause` is the
   * first error. A `signal` or deadline ends this call only: the flush itself goes on.
   *
   * @throws `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE`, `ERR_OUT_OF_RANGE`, `ERR_RINGBOLT_CLOSED`,
   * `ERR_RINGBOLT_OVERLOADED`, `ERR_RINGBOLT_TIMEOUT`, an `AbortError`, or the operating system's code; all as rejections.
   */
  flush(options?: FlushOptions): Promise<void> {
    try {
      const modes = readModes(options, FLUSH_OPTIONS);
      if (this.#ref.closing) throw closedError('file', this.path);
      const interrupts = beginInterrupt(modes.signal, modes.timeoutMs);
      const flushed = this.#flushes.join(modes.ioClass);
      // Others may have joined it, so it goes on.
      return interrupts === undefined ? flushed : untilInterrupted(flushed, interrupts);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /**
   * Gives up the contents of a range: holes in a file, trimmed blocks of a device. What is read there afterwards is undefined
   * until it is written again.
   *
   * @throws `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`, `ERR_RINGBOLT_MISALIGNED`, `ERR_RINGBOLT_CLOSED`,
   * `ERR_RINGBOLT_TIMEOUT`, an `AbortError`
   * @throws `ERR_RINGBOLT_UNSUPPORTED` where the file system or device cannot
   */
  async discard(offset: number, length: number, options: WaitOptions = {}): Promise<void> {
    const interrupts = this.#beginRange(offset, length, options);
    await this.#changeSpace(SpaceChange.discard, offset, length, interrupts);
  }

  /**
   * Makes a range read as zeros. Where the file system or device can, without sending any; elsewhere by writing them. A file
   * that ends before grows.
   *
   * @throws what {@link write} and {@link discard} do, but for `ERR_RINGBOLT_UNSUPPORTED`
   */
  async writeZeroes(offset: number, length: number, options: WaitOptions = {}): Promise<void> {
    const interrupts = this.#beginRange(offset, length, options);
    const { signal, timeoutMs = Infinity } = options;
    const deadlineMs = performance.now() + timeoutMs;
    try {
      await this.#changeSpace(SpaceChange.zero, offset, length, interrupts);
    } catch (error) {
      if (!isUnsupported(error)) throw error;
      await writeZeroBytes(offset, length, (at, zeros) => {
        const leftMs = Math.max(1, Math.ceil(deadlineMs - performance.now()));
        return this.write(at, zeros, {
          ...(signal !== undefined && { signal }),
          ...(leftMs < Infinity && { timeoutMs: leftMs }),
        });
      });
    }
  }

  #beginRange(offset: number, length: number, options: WaitOptions): Interrupt | undefined {
    checkInteger('offset', offset, 0);
    checkInteger('length', length, 1);
    checkInteger('offset + length', offset + length, 0);
    if (offset % this.#blockSize !== 0 || length % this.#blockSize !== 0) {
      throw misaligned(this.path, this.#blockSize, offset, length);
    }
    if (this.#ref.closing) throw closedError('file', this.path);
    return beginWait(options);
  }

  #changeSpace(
    change: SpaceChange,
    offset: number,
    length: number,
    interrupts: Interrupt | undefined,
  ): Promise<void> {
    const { native } = this.#host;
    return changeSpace({ native, file: this.#ref, change, offset, length, interrupts });
  }

  /**
   * Limits the rate of this file's operations, besides the engine's limits; `undefined` lifts the limit. May be changed at any
   * time: what waits follows the new one.
   *
   * @throws `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE`, `ERR_OUT_OF_RANGE`, `ERR_RINGBOLT_CLOSED`
   */
  setLimit(limit: RateLimit | undefined): void {
    if (limit !== undefined) checkRateLimit('limit', limit);
    if (this.#ref.closing) throw closedError('file', this.path);
    if (limit === undefined && this.#ref.limiter === undefined) return;
    this.#ref.limiter ??= this.#host.scheduler.makeFileLimiter();
    this.#ref.limiter.set(limit);
  }

  /**
   * A stream of the file's bytes, several reads ahead. Its chunks, of at most 64 KiB, are copies and the receiver's to keep.
   * The file stays open.
   *
   * @throws `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE`, `ERR_OUT_OF_RANGE`, `ERR_RINGBOLT_UNSUPPORTED` (no slab holds a
   * block); later errors, those of {@link read}, are the stream's, once all that lies before them was read.
   */
  readable(options?: StreamOptions): Readable {
    return readable(this.#streamSource(), options);
  }

  /**
   * A stream that writes the file, several writes at a time; chunks of any size are gathered into leases. A chunk's callback
   * says that it was copied, `'finish'` that all is written, with `flush` durably. The file stays open. A stream that idles
   * keeps a lease of `chunkBytes` for what is too little to write: many slow ones want small chunks, or a larger pool.
   *
   * On a direct file, what is around the stream in the blocks at its ends is read and kept: nobody else must write these
   * meanwhile. Where there is nothing behind its end, it needs `padEnd` or fails there with `ERR_RINGBOLT_MISALIGNED`.
   *
   * @throws what {@link readable} does. An error's `bytesDone` counts what was written without a gap.
   */
  writable(options?: WritableOptions): Writable {
    return writable(this.#streamSource(), options);
  }

  /**
   * The file's bytes without a copy: each lease's `buffer` is the next piece, `chunkBytes` long but at the ends. Whoever
   * iterates releases them; those that are held count against `highWaterMark`, where the iteration waits.
   *
   * @throws what {@link readable} does; while iterating, what {@link read} does, and an `AbortError`.
   */
  leases(options?: StreamOptions): AsyncIterable<Lease> {
    return leaseStream(this.#streamSource(), options);
  }

  #streamSource(): StreamSource {
    const { copier, scheduler, staging } = this.#host;
    return {
      target: this,
      pool: copier.pool,
      budget: copier.budget,
      // Where leases are copied, that is for Transfers to do.
      ...(staging === undefined && {
        beginReading: (ioClass) => new QueuedReads(scheduler, this.#ref, ioClass),
      }),
    };
  }

  /**
   * Refuses new operations, waits for those that are under way, and closes the file. A second call returns the same promise. Does
   * not flush.
   *
   * @throws the operating system's code, where closing found that earlier buffered writes had failed.
   * @throws `ERR_RINGBOLT_TIMEOUT` if the engine gave up meanwhile.
   */
  close(): Promise<void> {
    this.#ref.closing = true;
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #close(): Promise<void> {
    const { native, scheduler } = this.#host;
    await this.#flushes.whenIdle();
    await this.#ref.whenIdle();
    if (this.#ref.limiter !== undefined) scheduler.dropFileLimiter(this.#ref.limiter);
    const removed = await scheduler.control(OpKind.removeFile, this.#ref);
    if (removed < 0)
      throw systemError({ errno: -removed, syscall: 'close', detail: '' }, this.#ref);
    const failure = await native.closeFile(this.#ref.slot, this.#ref.generation);
    this.#host.forget(this);
    if (failure.errno !== 0) throw systemError(failure, { path: this.path });
  }

  /** Makes the file known to all queues; must come first. */
  async #install(): Promise<void> {
    const result = await this.#host.scheduler.control(OpKind.installFile, this.#ref);
    if (result < 0) throw systemError({ errno: -result, syscall: 'open', detail: '' }, this.#ref);
  }

  static {
    blockFiles = {
      create: (host, path, found) => new BlockFile(SECRET, host, path, found),
      install: (file) => file.#install(),
    };
  }
}
