// A volume: blocks that can be checked. What it is made of is in core.ts; this is what users call.
//
//   write ─▶ VolumeWriter ─┐
//   read  ─▶ VolumeReader ─┼─▶ VolumeCore: locks, bits, tags, data          Epochs ─▶ tags and bits, behind it all
//   flush ─▶ data          ┘
//
// One thread. Every failure, wrong arguments included, arrives as a rejection.

import type { Readable, Writable } from 'node:stream';
import type {
  BatchResult,
  BlockTarget,
  FlushOptions,
  ReadBatchOptions,
  Transfer,
  WriteBatchOptions,
} from '../device/block-target.js';
import { leases as leaseStream } from '../device/streams/leases.js';
import type { StreamOptions, WritableOptions } from '../device/streams/options.js';
import { readable } from '../device/streams/readable.js';
import type { StreamSource } from '../device/streams/source.js';
import { writable } from '../device/streams/writable.js';
import { engines, type Engine } from '../engine/engine.js';
import { closedError, ringboltError } from '../errors.js';
import { beginWait, type WaitOptions } from '../interrupt.js';
import type { Lease } from '../memory/lease.js';
import { checkSecret, SECRET } from '../secret.js';
import { checkInteger, checkOptions, invalidType } from '../validate.js';
import type { BaselineRun } from './baseline.js';
import { runAlone, type Part } from './batch.js';
import { PIECE_BYTES } from './block-data.js';
import { createByPath, openByPath, protectByPath, sidecarBytes } from './by-path.js';
import type { Extent, VolumeCore } from './core.js';
import type { Epochs } from './epochs.js';
import { Gate } from './gate.js';
import { inspect, type VolumeInspectOptions, type VolumeInspection } from './inspect.js';
import {
  lengthOf,
  NO_OPTIONS,
  takeFlushOptions,
  takeMemory,
  takePassOptions,
  takeReadBatchOptions,
  takeReadOptions,
  takeWriteBatchOptions,
  takeWriteOptions,
  type VolumeReadOptions,
  type VolumeWriteOptions,
} from './io-options.js';
import { VolumeLife } from './life.js';
import { openParts, type OpenedVolume, type OpenVolumeOptions } from './open.js';
import type { VolumeCreateOptions, VolumeOpenOptions, VolumeProtectOptions } from './options.js';
import { Patience } from './patience.js';
import { VolumeReader } from './reader.js';
import type { RebaselineOptions, RebaselineReport } from './rebaseline.js';
import type { VolumeStats, VolumeStatus } from './status.js';
import { VolumeWriter } from './writer.js';

/** Bytes. */
export interface VolumeRange {
  readonly offset: number;
  readonly length: number;
}

/** Its targets are its own, and closed with it. Made by {@link openVolume}. */
export class Volume implements BlockTarget {
  readonly #opened: OpenedVolume;
  readonly #core: VolumeCore;
  readonly #reader: VolumeReader;
  readonly #writer: VolumeWriter;
  readonly #gate = new Gate();
  readonly #life: VolumeLife;
  #closing: Promise<void> | undefined;
  readonly #streams: Omit<StreamSource, 'target'> | undefined;
  readonly #forget: (() => void) | undefined;

  /** @internal */
  constructor(secret: symbol, opened: OpenedVolume, engine?: Engine) {
    checkSecret(secret);
    this.#opened = opened;
    this.#core = opened.core;
    this.#reader = new VolumeReader(opened.core);
    this.#writer = new VolumeWriter(opened.core);
    this.#life = new VolumeLife(opened, this.#gate);
    if (engine === undefined) return;
    this.#streams = engines.streamParts(engine);
    this.#forget = engines.addDependent(engine, () => this.close());
  }

  /**
   * Makes a new file of `options.size` bytes, all zeros, and a sidecar for it; or zeroes a device. Opens it.
   *
   * @throws `EEXIST` if there is such a file or sidecar, `ENOSPC` before anything is made, and what {@link open} does
   */
  static async create(engine: Engine, path: string, options: VolumeCreateOptions): Promise<Volume> {
    return new Volume(SECRET, await createByPath(engine, path, options), engine);
  }

  /**
   * Makes a sidecar for a file or device that is there, and opens it as a volume. Data stays as it is.
   *
   * @throws `EEXIST` if there is a sidecar, `ENOSPC` before anything is made, and what {@link open} does
   */
  static async protect(
    engine: Engine,
    path: string,
    options: VolumeProtectOptions = {},
  ): Promise<Volume> {
    return new Volume(SECRET, await protectByPath(engine, path, options), engine);
  }

  /**
   * Opens a volume; if it was not closed the last time, it is recovered first: `status().recovery` says what was found. Closed before its
   * engine is, if nobody does.
   *
   * @throws `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE`, `ERR_OUT_OF_RANGE`, `ERR_RINGBOLT_CLOSED`
   * @throws `ERR_RINGBOLT_BUSY` if somebody has it open; the message names the process, where that can be seen
   * @throws `ERR_RINGBOLT_FORMAT` if the sidecar is none, and nothing was written
   * @throws `ERR_RINGBOLT_UNSUPPORTED` for a sidecar in memory, and for data whose units are larger than its blocks
   * @throws the operating system's code: `ENOENT`, `EACCES`, `EIO`, ...
   */
  static async open(
    engine: Engine,
    path: string,
    options: VolumeOpenOptions = {},
  ): Promise<Volume> {
    return new Volume(SECRET, await openByPath(engine, path, options), engine);
  }

  /**
   * What a volume is, or would be, without opening it: also while somebody else has it open.
   *
   * @throws what {@link open} does, but for `ERR_RINGBOLT_BUSY`, and for `ENOENT` if there is no sidecar
   */
  static inspect(
    engine: Engine,
    path: string,
    options: VolumeInspectOptions = {},
  ): Promise<VolumeInspection> {
    return inspect(engine, path, options);
  }

  /**
   * Bytes that a sidecar takes for so many bytes of data: 0.4 % of them with blocks of 4 KiB, 0.026 % with 64 KiB, and 1 MiB.
   *
   * @throws `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`
   */
  static sidecarBytes(dataBytes: number, blockSize = 4096): number {
    return sidecarBytes(dataBytes, blockSize);
  }

  get path(): string {
    return this.#core.path;
  }

  /** Bytes. */
  get size(): number {
    return this.#core.geometry.dataBytes;
  }

  get blockSize(): number {
    return this.#core.geometry.blockSize;
  }

  status(): VolumeStatus {
    const { sidecar, changedWhileClosed, epochs } = this.#opened;
    const { dirty, failure, locks, outOfStep } = this.#core;
    const open = epochs === undefined ? 'read-only' : 'open';
    const inStep = outOfStep ? 'out-of-step' : open;
    const running = failure === undefined ? inStep : 'failed';
    return {
      uuid: Buffer.from(sidecar.superblocks.current.uuid).toString('hex'),
      metaPath: sidecar.target.path,
      metaBytes: this.#core.geometry.sidecarBytes,
      algorithm: sidecar.superblocks.current.algorithm,
      state: this.#closing === undefined ? running : 'closed',
      failure: failure?.error,
      recovery: this.#life.recovery,
      changedWhileClosed,
      truncated: this.#life.isTruncated,
      baseline: this.#life.baseline.status,
      epoch: dirty?.epoch ?? 0,
      dirtyRegions: dirty === undefined ? 0 : dirty.regions + dirty.oldRegions,
      dirtyBytes: dirty?.bytes ?? 0,
      waiting: locks.waiting,
    };
  }

  /** Totals since it was opened. */
  stats(): VolumeStats {
    const { data, sidecar } = this.#opened.targets;
    return {
      data: data.stats,
      sidecar: sidecar.stats,
      tags: this.#core.tags.cache.stats(),
      readsRepeated: this.#reader.repeated,
      blocksDamaged: this.#reader.damaged,
    };
  }

  /**
   * Reads and verifies. Offset and length are multiples of the block size, or end where the volume does.
   *
   * @throws `ERR_RINGBOLT_CORRUPT`, `ERR_RINGBOLT_TORN` with the numbers of the `blocks`, and what the data's own read does
   */
  read(
    offset: number,
    into: Lease | Uint8Array,
    options: VolumeReadOptions = NO_OPTIONS,
  ): Promise<number> {
    return this.#run(() => {
      const taken = takeReadOptions(options);
      const memory = takeMemory('into', into);
      const extent = this.#core.extent(offset, lengthOf(memory), true);
      if (extent.bytes === 0) return Promise.resolve(0);
      if (taken.verify === undefined) return this.#reader.read(extent, memory, taken);
      const { verify, ...rest } = taken;
      return verify
        ? this.#reader.read(extent, memory, rest)
        : this.#reader.readUnverified(extent, memory, rest);
    });
  }

  /**
   * Writes, and keeps the checksums. Of many blocks each is old or new after a crash.
   *
   * @throws what the data's own write does: then each block is what it was, or as it was to be, or torn
   */
  write(
    offset: number,
    from: Lease | Uint8Array,
    options: VolumeWriteOptions = NO_OPTIONS,
  ): Promise<number> {
    return this.#run(() => {
      const taken = takeWriteOptions(options);
      this.#life.checkWritable();
      const memory = takeMemory('from', from);
      const extent = this.#core.extent(offset, lengthOf(memory), false);
      this.#life.checkThere(offset + extent.bytes);
      return this.#writer.write(extent, memory, taken);
    });
  }

  /** Many reads, one promise. */
  async readBatch(
    ops: readonly Transfer[],
    options: ReadBatchOptions & VolumeReadOptions = NO_OPTIONS,
  ): Promise<BatchResult> {
    this.#checkOpen();
    const taken = takeReadBatchOptions(options);
    const parts = this.#partsOf(ops, true);
    const { verify = true, ...rest } = taken;
    if (verify && taken.onError !== 'abort') {
      return this.#run(() => this.#reader.readBatch(parts, rest));
    }
    return runAlone(parts, taken, ({ offset, buffer }, each) => this.read(offset, buffer, each));
  }

  /** Many writes, one promise. */
  async writeBatch(
    ops: readonly Transfer[],
    options: WriteBatchOptions & VolumeWriteOptions = NO_OPTIONS,
  ): Promise<BatchResult> {
    this.#checkOpen();
    const taken = takeWriteBatchOptions(options);
    this.#life.checkWritable();
    const parts = this.#partsOf(ops, false);
    if (taken.onError !== 'abort') {
      return this.#run(() => this.#writer.writeBatch(parts, taken));
    }
    return runAlone(parts, taken, ({ offset, buffer }, each) => this.write(offset, buffer, each));
  }

  /** Rule 6: makes durable every write that had resolved before the call. Its tags may lag, under their regions' bits. */
  flush(options: FlushOptions = NO_OPTIONS): Promise<void> {
    return this.#run(async () => this.#core.flushData(takeFlushOptions(options)));
  }

  /**
   * Gives up the contents of a range: what is read there afterwards is undefined, and not verified, until it is written again. Ended
   * early, a part of the range is.
   */
  discard(offset: number, length: number, options: WaitOptions = {}): Promise<void> {
    return this.#inPieces(offset, length, options, (...piece) => this.#writer.discard(...piece));
  }

  /** Makes a range read as zeros. Ended early, a part of it does. */
  writeZeroes(offset: number, length: number, options: WaitOptions = {}): Promise<void> {
    return this.#inPieces(offset, length, options, (...piece) =>
      this.#writer.writeZeroes(...piece),
    );
  }

  /**
   * As {@link BlockFile.readable}; of verified data.
   *
   * @throws what that does; later errors, those of {@link read}, are the stream's
   */
  readable(options?: StreamOptions): Readable {
    return readable(this.#streamSource(), options);
  }

  /** As {@link BlockFile.writable}; what is around the stream in the blocks at its ends is read, verified, and kept. */
  writable(options?: WritableOptions): Writable {
    this.#life.checkWritable();
    return writable(this.#streamSource(), options);
  }

  /** As {@link BlockFile.leases}; of verified data. */
  leases(options?: StreamOptions): AsyncIterable<Lease> {
    return leaseStream(this.#streamSource(), options);
  }

  #streamSource(): StreamSource {
    if (this.#streams !== undefined) return { target: this, fixedSize: true, ...this.#streams };
    const text = 'A volume on targets that are no files of an engine has no streams';
    throw ringboltError('ERR_RINGBOLT_UNSUPPORTED', text, { path: this.path });
  }

  /** Ends the epoch now: what was flushed needs no recovery after a crash. */
  settle(): Promise<void> {
    return this.#run(async () => {
      this.#life.checkWritable();
      await this.#opened.epochs!.change();
    });
  }

  /**
   * The baseline of a volume that was made around data: begins, goes on, or joins what is under way. Resolves when all blocks have tags,
   * durably. `status().baseline` says how far it has come.
   *
   * @throws `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE`, `ERR_RINGBOLT_CLOSED`; `ERR_RINGBOLT_UNSUPPORTED` if it was opened for reading;
   * `ERR_RINGBOLT_OUT_OF_STEP`, also if the data is truncated
   * @throws `ABORT_ERR` if it is paused, by {@link pauseBaseline}, a signal, or since the volume is closed; what it failed with
   */
  async baseline(run: BaselineRun = {}): Promise<void> {
    this.#checkOpen();
    const taken = takePassOptions(run);
    this.#life.checkWritable();
    this.#life.checkThere();
    await this.#life.baseline.run(taken);
  }

  /** Resolves when nothing of it is under way any more. {@link baseline} goes on with it. */
  pauseBaseline(): Promise<void> {
    return this.#life.baseline.pause();
  }

  /**
   * Dangerous: takes what is there now for good, in the whole volume or in a range of bytes, whatever was known of it. Damage that was
   * found, and all that was not found yet, cannot be told from good data afterwards. Besides overwriting it is the only way to make damage go
   * away, and the way to go on with a volume that is out of step, which is looked at again then. Blocks that cannot be read
   * keep their tags. Other operations go on meanwhile. Resolves when the new tags are durable.
   *
   * @throws `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE`, `ERR_OUT_OF_RANGE`, `ERR_RINGBOLT_MISALIGNED`; `ERR_RINGBOLT_UNSUPPORTED` if it was
   * opened for reading; what it has failed with before
   * @throws `ABORT_ERR` if the signal was aborted: what was done until then stays; `ERR_RINGBOLT_CLOSED` if the volume is closed under it
   */
  async rebaseline(
    range: VolumeRange = { offset: 0, length: this.size },
    options: RebaselineOptions = {},
  ): Promise<RebaselineReport> {
    this.#checkOpen();
    const taken = takePassOptions(options);
    checkOptions('range', range, ['offset', 'length']);
    const { offset, length } = range;
    checkInteger('length', length, 0);
    const { first, count } = this.#core.extent(offset, length, false);
    return this.#life.rebaseline(first, first + count, taken);
  }

  /**
   * Makes the volume larger, data and sidecar: what is new is zeros, whatever was there in a file or device that was longer than the
   * volume. Other operations wait meanwhile. The baseline of a volume that was made around data goes on over what is new. After a crash it
   * has the old size or the new one.
   *
   * @throws `ENOSPC` before anything is taken, where that can be known; `ERR_OUT_OF_RANGE` if it would become smaller; `ERR_RINGBOLT_CORRUPT` if its last block was shorter than the others and is
   * damaged: it has to be overwritten first; `ERR_RINGBOLT_OUT_OF_STEP` if the data is truncated
   */
  async grow(size: number): Promise<void> {
    this.#checkOpen();
    checkInteger('size', size, 1);
    await this.#life.grow(size);
  }

  /**
   * Refuses new operations, stops baseline and rebaseline, waits for those under way, makes data and tags durable, and closes both
   * targets. A second call returns the same promise.
   *
   * @throws what the volume failed with, before or now: it is recovered when it is opened again
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #close(): Promise<void> {
    const { sidecar, epochs } = this.#opened;
    await this.#life.stop();
    await this.#gate.whenEmpty();
    await this.#core.whenAbandonedLeft();
    try {
      await epochs?.stop();
      if (epochs !== undefined && !this.#core.outOfStep) await this.#closeCleanly(epochs);
    } finally {
      this.#forget?.();
      await Promise.all([this.#core.data.target.close(), sidecar.target.close()]);
    }
  }

  /** Rule 7, and rule 12: the superblock says clean when nothing is dirty any more. */
  async #closeCleanly(epochs: Epochs): Promise<void> {
    const { sidecar, identify, nextGeneration } = this.#opened;
    this.#core.checkFailure();
    await epochs.change();
    const identity = await identify?.();
    await sidecar.superblocks.update(() => ({
      clean: true,
      identity,
      generationReservation: nextGeneration(),
    }));
  }

  #run<T>(operation: () => Promise<T>): Promise<T> {
    if (this.#closing !== undefined) return Promise.reject(closedError('volume', this.path));
    return this.#gate.run(operation);
  }

  #checkOpen(): void {
    if (this.#closing !== undefined) throw closedError('volume', this.path);
  }

  #inPieces(
    offset: number,
    length: number,
    options: WaitOptions,
    one: (extent: Extent, patience: Patience) => Promise<void>,
  ): Promise<void> {
    return this.#run(async () => {
      checkInteger('length', length, 0);
      const { bytes } = this.#core.extent(offset, length, false);
      this.#life.checkThere(offset + bytes);
      const interrupts = beginWait(options);
      const patience = new Patience(options);
      try {
        this.#life.checkWritable();
        for (let at = 0; at < bytes; at += PIECE_BYTES) {
          const piece = this.#core.extent(offset + at, Math.min(PIECE_BYTES, bytes - at), false);
          await one(piece, patience);
          if (interrupts?.reason !== undefined) throw interrupts.reason;
        }
      } finally {
        interrupts?.end();
      }
    });
  }

  /** Nothing of a batch begins if any of it is wrong. */
  #partsOf(ops: readonly Transfer[], isRead: boolean): Part[] {
    if (!Array.isArray(ops)) throw invalidType('ops', 'an array', ops);
    const count = ops.length; // a proxy may say anything
    checkInteger('ops.length', count, 0, 2 ** 32 - 1);
    const parts: Part[] = [];
    for (let index = 0; index < count; index++) {
      const op = ops[index] as unknown; // or nothing, in a hole
      if (typeof op !== 'object' || op === null) {
        throw invalidType(`ops[${index}]`, 'an object', op);
      }
      const { offset, buffer } = op as Transfer;
      const memory = takeMemory(`ops[${index}].buffer`, buffer);
      const length = lengthOf(memory);
      const extent = this.#core.extent(offset, length, isRead);
      if (!isRead) this.#life.checkThere(offset + extent.bytes);
      parts.push({ extent, buffer: memory, length });
    }
    return parts;
  }
}

/**
 * Opens a volume on two targets; they are its own from then on, but are not closed if this rejects.
 *
 * @throws `ERR_RINGBOLT_FORMAT`, `ERR_RINGBOLT_UNSUPPORTED`, and what reading and writing do
 */
export async function openVolume(options: OpenVolumeOptions): Promise<Volume> {
  return new Volume(SECRET, await openParts(options));
}
