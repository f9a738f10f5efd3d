// A regular file or block device, open on every queue of an engine.

import { closedError, ringboltError, systemError } from '../errors.js';
import { plainView, trueLength } from '../memory/intrinsics.js';
import { leases, Lease, type LeaseHome } from '../memory/lease.js';
import { OpKind, SpaceChange, type NativeEngine, type NativeFile } from '../native.js';
import { FileRef } from '../schedule/operation.js';
import { checkSecret, SECRET } from '../secret.js';
import {
  beginInterrupt,
  beginWait,
  untilInterrupted,
  type Interrupt,
  type WaitOptions,
} from '../schedule/interrupt.js';
import { checkRateLimit, type RateLimit } from '../schedule/rate-limiter.js';
import type { Scheduler } from '../schedule/scheduler.js';
import { checkInteger, invalidType, invalidValue } from '../validate.js';
import type { Readable, Writable } from 'node:stream';
import { types } from 'node:util';
import type {
  BatchResult,
  BlockTarget,
  FlushOptions,
  IoOptions,
  Transfer,
  WriteOptions,
} from './block-target.js';
import {
  beginMismatches,
  noPlaces,
  pieceBytesFor,
  type BlockPlace,
  type ChecksumRequest,
  type Cutting,
  type Extent,
} from './block-checksums.js';
import type { Copier } from './copier.js';
import { FLUSH_OPTIONS, READ_OPTIONS, readModes, WRITE_OPTIONS, type Modes } from './io-modes.js';
import { Batch, promiseSink } from './sinks.js';
import { changeSpace, isUnsupported, writeZeroBytes } from './space.js';
import { leases as leaseStream } from './streams/leases.js';
import type { StreamOptions, WritableOptions } from './streams/options.js';
import { readable } from './streams/readable.js';
import type { StreamSource } from './streams/source.js';
import { writable } from './streams/writable.js';

type TransferKind = typeof OpKind.read | typeof OpKind.write;

/** What a file needs of its engine. */
export interface FileHost {
  readonly native: NativeEngine;
  readonly scheduler: Scheduler;
  readonly home: LeaseHome;
  readonly copier: Copier;
  forget(file: BlockFile): void;
}

/** How an operation is done. */
interface Way {
  readonly modes: Modes;
  readonly interrupts: Interrupt | undefined;
  readonly place: BlockPlace | undefined;
}

/** A transfer as it was when it was checked. */
interface Part extends Extent {
  readonly offset: number;
  readonly memory: Lease | Uint8Array<ArrayBuffer>;
}

/** The engine's side of files. */
interface FileAccess {
  create(host: FileHost, path: string, opened: NativeFile): BlockFile;
  /** Makes the file known to all queues; must come before its use. */
  install(file: BlockFile): Promise<void>;
}

export let blockFiles: FileAccess;

/** An open file. Made by {@link Engine.open}. */
export class BlockFile implements BlockTarget {
  readonly #host: FileHost;
  readonly #ref: FileRef;
  readonly #opened: NativeFile;
  readonly #blockSize: number;
  #closing: Promise<void> | undefined;
  #flushing: Promise<void> | undefined;
  #nextFlush: Promise<void> | undefined;

  /** @internal */
  constructor(secret: symbol, host: FileHost, path: string, opened: NativeFile) {
    checkSecret(secret);
    this.#host = host;
    this.#ref = new FileRef(path, opened.slot, opened.generation, opened.size);
    this.#opened = opened;
    this.#blockSize = opened.alignment;
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

  /** As it was given to {@link Engine.open}. */
  get path(): string {
    return this.#ref.path;
  }

  /** Bytes: at opening, grown by this file's own writes. */
  get size(): number {
    return this.#ref.size;
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
    return this.#transfer(OpKind.read, offset, into, options);
  }

  /**
   * Writes all of `from` at byte `offset`, or rejects with `bytesDone`.
   *
   * @returns the bytes written, always the length of `from`.
   * @throws what {@link read} does, and with `durable` the error of a flush that failed before.
   * @throws `ERR_RINGBOLT_CORRUPT` for data that does not have the expected checksums: it is not written.
   */
  write(offset: number, from: Lease | Uint8Array, options?: WriteOptions): Promise<number> {
    return this.#transfer(OpKind.write, offset, from, options);
  }

  /**
   * Many reads, one promise. Nothing is read if any argument is wrong; otherwise it settles when all have ended, with the
   * error of the first that failed, if any.
   *
   * @throws what {@link read} does.
   */
  readBatch(ops: readonly Transfer[], options?: IoOptions): Promise<BatchResult> {
    return this.#batch(OpKind.read, ops, options);
  }

  /**
   * Many writes, one promise; otherwise as {@link readBatch}.
   *
   * @throws what {@link write} does.
   */
  writeBatch(ops: readonly Transfer[], options?: WriteOptions): Promise<BatchResult> {
    return this.#batch(OpKind.write, ops, options);
  }

  /**
   * Puts every write that had resolved before this call on stable storage. Concurrent flushes join: one runs, one waits.
   * After a flush has failed, all later ones and all durable writes reject until the file is opened again: Linux reports
   * such an error once, and a flush that succeeded afterwards would not mean that the data is safe. A `signal` or
   * deadline ends this call only: the flush itself goes on.
   *
   * @throws `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE`, `ERR_OUT_OF_RANGE`, `ERR_RINGBOLT_CLOSED`,
   * `ERR_RINGBOLT_OVERLOADED`, `ERR_RINGBOLT_TIMEOUT`, an `AbortError`, or the operating system's code; all as rejections.
   */
  flush(options?: FlushOptions): Promise<void> {
    try {
      const modes = readModes(options, FLUSH_OPTIONS);
      if (this.#closing !== undefined) throw closedError('file', this.path);
      const interrupts = beginInterrupt(modes.signal, modes.timeoutMs);
      const flushed = this.#joinFlush(modes.ioClass);
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
      throw this.#misaligned(offset, length);
    }
    if (this.#closing !== undefined) throw closedError('file', this.path);
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

  #joinFlush(ioClass: number): Promise<void> {
    if (this.#nextFlush !== undefined) return this.#nextFlush;
    if (this.#flushing === undefined) return this.#startFlush(ioClass);
    // The one that runs began before this call, so it does not cover all that it must.
    const startNext = () => {
      this.#nextFlush = undefined;
      return this.#startFlush(ioClass);
    };
    this.#nextFlush = this.#flushing.then(startNext, startNext);
    return this.#nextFlush;
  }

  /**
   * Limits the rate of this file's operations, besides the engine's limits; `undefined` lifts the limit. May be changed at any
   * time: what waits follows the new one.
   *
   * @throws `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE`, `ERR_OUT_OF_RANGE`, `ERR_RINGBOLT_CLOSED`
   */
  setLimit(limit: RateLimit | undefined): void {
    if (limit !== undefined) checkRateLimit('limit', limit);
    if (this.#closing !== undefined) throw closedError('file', this.path);
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
   * says that it was copied, `'finish'` that all is written, with `flush` durably. The file stays open.
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
    const { copier } = this.#host;
    return { target: this, pool: copier.pool, budget: copier.budget };
  }

  /**
   * Refuses new operations, waits for those that are under way, and closes the file. A second call returns the same promise. Does
   * not flush.
   *
   * @throws the operating system's code, where closing found that earlier buffered writes had failed.
   * @throws `ERR_RINGBOLT_TIMEOUT` if the engine gave up meanwhile.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #close(): Promise<void> {
    const { native, scheduler } = this.#host;
    await Promise.allSettled([this.#flushing, this.#nextFlush]);
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
      create: (host, path, opened) => new BlockFile(SECRET, host, path, opened),
      install: (file) => file.#install(),
    };
  }

  #startFlush(ioClass: number): Promise<void> {
    this.#flushing = this.#runFlush(ioClass).finally(() => {
      this.#flushing = undefined;
    });
    return this.#flushing;
  }

  async #runFlush(ioClass: number): Promise<void> {
    if (this.#ref.flushError !== undefined) throw this.#ref.flushError;
    const { scheduler } = this.#host;
    if (!scheduler.hasRoomFor(1)) throw scheduler.overloaded(1);
    const op = scheduler.take();
    op.kind = OpKind.dataSync;
    op.file = this.#ref;
    op.ioClass = ioClass;
    op.sink = promiseSink;
    await scheduler.submitForPromise(op);
  }

  #transfer(
    kind: TransferKind,
    offset: number,
    buffer: Lease | Uint8Array,
    options: WriteOptions | undefined,
  ): Promise<number> {
    try {
      const modes = readModes(options, OPTIONS_OF[kind]);
      const { scheduler } = this.#host;
      const memory = this.#check(kind, offset, buffer, modes);
      const place =
        modes.checksums && this.#place(kind, [extentOf(memory, undefined)], modes.checksums)[0];
      if (!scheduler.hasRoomFor(1)) throw scheduler.overloaded(1);
      const interrupts = beginInterrupt(modes.signal, modes.timeoutMs);
      if (place !== undefined) beginMismatches(place.plan);
      const way: Way = { modes, interrupts, place };
      if (!(memory instanceof Lease)) return this.#copy(kind, offset, memory, way);
      const op = this.#operation(kind, offset, memory, way);
      op.sink = promiseSink;
      return scheduler.submitForPromise(op);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  #batch(
    kind: TransferKind,
    ops: readonly Transfer[],
    options: WriteOptions | undefined,
  ): Promise<BatchResult> {
    try {
      const modes = readModes(options, OPTIONS_OF[kind]);
      const { scheduler } = this.#host;
      const parts = this.#checkBatch(kind, ops, modes);
      const places = modes.checksums ? this.#place(kind, parts, modes.checksums) : noPlaces(parts);
      if (!scheduler.hasRoomFor(parts.length)) throw scheduler.overloaded(parts.length);
      const interrupts = beginInterrupt(modes.signal, modes.timeoutMs);
      if (places[0] !== undefined) beginMismatches(places[0].plan);
      const batch = new Batch(parts.length);
      interrupts?.add(batch); // until all have begun: the first may have ended before the last begins
      for (const [index, { offset, memory }] of parts.entries()) {
        const way: Way = { modes, interrupts, place: places[index] };
        if (memory instanceof Lease) {
          const op = this.#operation(kind, offset, memory, way);
          op.sink = batch;
          op.index = index;
          scheduler.submit(op);
        } else {
          this.#copy(kind, offset, memory, way).then(
            (bytes) => batch.succeed(index, bytes),
            (error: unknown) => batch.fail(index, error as Error),
          );
        }
      }
      interrupts?.delete(batch);
      return batch.promise;
    } catch (error) {
      return Promise.reject(error);
    }
  }

  #operation(kind: TransferKind, offset: number, lease: Lease, { modes, interrupts, place }: Way) {
    const op = this.#host.scheduler.take();
    op.kind = kind;
    op.file = this.#ref;
    op.offset = offset;
    op.length = leases.bytes(lease);
    op.unit = leases.unit(lease);
    op.lease = lease;
    op.ioClass = modes.ioClass;
    op.flags = modes.flags;
    op.interrupts = interrupts;
    if (place !== undefined) {
      op.checksums = place.plan;
      op.valueIndex = place.valueIndex;
      op.blockNumber = place.blockNumber;
    }
    return op;
  }

  #copy(
    kind: TransferKind,
    offset: number,
    array: Uint8Array,
    { modes, interrupts, place }: Way,
  ): Promise<number> {
    const { copier } = this.#host;
    const file = this.#ref;
    const { ioClass, flags } = modes;
    const pieceBytes = pieceBytesFor(array.length, this.#cutting, place?.plan.blockSize);
    const request = { kind, file, pieceBytes, offset, array, ioClass, flags, interrupts, place };
    return copier.transfer(request);
  }

  /** Where copied memory may be cut. */
  get #cutting(): Cutting {
    return { fileBlockSize: this.#blockSize, maxBytes: this.#host.copier.pieceBytes };
  }

  #place(
    kind: TransferKind,
    extents: readonly Extent[],
    checksums: ChecksumRequest,
  ): readonly BlockPlace[] {
    const places = checksums.place(kind === OpKind.write, extents, this.#cutting);
    this.#host.scheduler.prepareChecksums();
    return places;
  }

  /** Reads each part once: a getter may answer differently the second time. */
  #checkBatch(kind: TransferKind, ops: readonly Transfer[], modes: Modes): Part[] {
    if (!Array.isArray(ops)) throw invalidType('ops', 'an array', ops);
    const count = ops.length; // a proxy may say anything
    if (count === 0) throw invalidValue('ops', 'must not be empty', ops);
    checkInteger('ops.length', count, 1, 2 ** 32 - 1);
    const { scheduler } = this.#host;
    if (!scheduler.hasRoomFor(count)) throw scheduler.overloaded(count);
    const parts: Part[] = [];
    const seen = new Set<Lease>();
    for (let index = 0; index < count; index++) {
      const op = ops[index] as unknown;
      if (typeof op !== 'object' || op === null) {
        throw invalidType(`ops[${index}]`, 'an object', op);
      }
      const { offset, buffer, firstBlock } = op as Transfer;
      if (firstBlock !== undefined) checkInteger(`ops[${index}].firstBlock`, firstBlock, 0);
      const memory = this.#check(kind, offset, buffer, modes);
      parts.push({ offset, memory, ...extentOf(memory, firstBlock) });
      if (!(memory instanceof Lease)) continue;
      if (seen.has(memory)) {
        throw ringboltError('ERR_RINGBOLT_BUSY', 'The lease is in this batch twice');
      }
      seen.add(memory);
    }
    // Once more, since a getter may have closed the file or released a lease that was looked at before.
    if (this.#closing !== undefined) throw closedError('file', this.path);
    for (const lease of seen) {
      const obstacle = leases.obstacle(lease, this.#host.home);
      if (obstacle !== undefined) throw obstacle;
    }
    return parts;
  }

  #check(
    kind: TransferKind,
    offset: unknown,
    buffer: unknown,
    modes: Modes,
  ): Lease | Uint8Array<ArrayBuffer> {
    checkInteger('offset', offset, 0);
    const memory = this.#checkMemory(kind, buffer);
    const { length } = extentOf(memory, undefined);
    if (offset > Number.MAX_SAFE_INTEGER - length) {
      checkInteger('offset + length', offset + length, 0);
    }
    if (offset % this.#blockSize !== 0 || length % this.#blockSize !== 0) {
      throw this.#misaligned(offset, length);
    }
    if (this.#closing !== undefined) throw closedError('file', this.path);
    if (modes.flags !== 0 && this.#ref.flushError !== undefined) throw this.#ref.flushError;
    return memory;
  }

  /** `buffer`, if it can be used at all; an array as a plain one. */
  #checkMemory(kind: TransferKind, buffer: unknown): Lease | Uint8Array<ArrayBuffer> {
    const name = kind === OpKind.read ? 'into' : 'from';
    if (leases.is(buffer)) {
      const obstacle = leases.obstacle(buffer, this.#host.home);
      if (obstacle !== undefined) throw obstacle;
      if (leases.bytes(buffer) === 0) throw invalidValue(name, 'must not be detached', buffer);
      return buffer;
    }
    if (!types.isUint8Array(buffer)) throw invalidType(name, 'a Lease or Uint8Array', buffer);
    if (trueLength(buffer) === 0) {
      throw invalidValue(name, 'must not be empty or detached', buffer);
    }
    const view = plainView(buffer);
    if (types.isSharedArrayBuffer(view.buffer)) {
      throw invalidType(name, 'memory of one thread, not a SharedArrayBuffer', buffer);
    }
    if (this.#blockSize > this.#host.copier.pieceBytes) {
      throw ringboltError(
        'ERR_RINGBOLT_UNSUPPORTED',
        `The pool has no slab of ${this.#blockSize} bytes, a block of this file, to copy through`,
      );
    }
    return view;
  }

  #misaligned(offset: number, length: number): Error {
    const [name, value] = offset % this.#blockSize === 0 ? ['length', length] : ['offset', offset];
    return ringboltError(
      'ERR_RINGBOLT_MISALIGNED',
      `The ${name} ${value} is not a multiple of the block size, ${this.#blockSize} bytes`,
      { path: this.path, offset, length },
    );
  }
}

const OPTIONS_OF = { [OpKind.read]: READ_OPTIONS, [OpKind.write]: WRITE_OPTIONS } as const;

function extentOf(memory: Lease | Uint8Array, firstBlock: number | undefined): Extent {
  const copied = !(memory instanceof Lease);
  return { copied, length: copied ? memory.length : leases.bytes(memory), firstBlock };
}
