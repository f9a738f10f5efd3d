// The reads and writes of one file: checks their arguments, then hands leases to the scheduler and everything else to the
// copier. Nothing has begun when an argument is refused.

import { types } from 'node:util';
import { closedError, ringboltError } from '../errors.js';
import { plainView, trueLength } from '../memory/intrinsics.js';
import { leases, Lease, type LeaseHome } from '../memory/lease.js';
import { OpKind } from '../native.js';
import { beginInterrupt, Interrupt } from '../interrupt.js';
import type { FileRef } from '../schedule/operation.js';
import type { Scheduler } from '../schedule/scheduler.js';
import { checkInteger, invalidType, invalidValue } from '../validate.js';
import {
  beginMismatches,
  noPlaces,
  pieceBytesFor,
  type BlockPlace,
  type ChecksumRequest,
  type Cutting,
  type Extent,
} from './block-checksums.js';
import type { BatchResult, Transfer, WriteBatchOptions, WriteOptions } from './block-target.js';
import type { Copier } from './copier.js';
import { checkDurable, type Flushes } from './flushes.js';
import { BATCH_OPTIONS, READ_OPTIONS, readModes, WRITE_OPTIONS, type Modes } from './io-modes.js';
import { Batch, promiseSink } from './sinks.js';
import type { Staging } from './staging.js';

type TransferKind = typeof OpKind.read | typeof OpKind.write;

/** What transfers need of their engine. */
export interface TransferHost {
  readonly scheduler: Scheduler;
  readonly home: LeaseHome;
  readonly copier: Copier;
  /** Where leases are copied too. */
  readonly staging: Staging | undefined;
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

export class Transfers {
  readonly #host: TransferHost;
  readonly #file: FileRef;
  readonly #flushes: Flushes;
  readonly #blockSize: number;

  constructor(host: TransferHost, file: FileRef, flushes: Flushes, blockSize: number) {
    this.#host = host;
    this.#file = file;
    this.#flushes = flushes;
    this.#blockSize = blockSize;
  }

  /** Reads or writes; every failure is a rejection. */
  one(
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
      const begun = this.#begin(kind, offset, memory, way);
      return modes.flags === 0 ? begun : this.#flushes.confirm(begun, () => false);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** Many of them, for one promise. */
  batch(
    kind: TransferKind,
    ops: readonly Transfer[],
    options: WriteBatchOptions | undefined,
  ): Promise<BatchResult> {
    try {
      const modes = readModes(options, BATCH_OPTIONS_OF[kind]);
      const { scheduler } = this.#host;
      const parts = this.#checkBatch(kind, ops, modes);
      const places = modes.checksums ? this.#place(kind, parts, modes.checksums) : noPlaces(parts);
      if (!scheduler.hasRoomFor(parts.length)) throw scheduler.overloaded(parts.length);
      let interrupts = beginInterrupt(modes.signal, modes.timeoutMs);
      if (modes.onError === 'abort') interrupts ??= new Interrupt(undefined, undefined);
      if (places[0] !== undefined) beginMismatches(places[0].plan);
      const batch = new Batch(parts.length, modes.onError, interrupts);
      interrupts?.add(batch); // until all have begun: the first may have ended before the last begins
      for (const [index, { offset, memory }] of parts.entries()) {
        const way: Way = { modes, interrupts, place: places[index] };
        if (memory instanceof Lease && this.#host.staging === undefined) {
          const op = this.#operation(kind, offset, memory, way);
          op.sink = batch;
          op.index = index;
          scheduler.submit(op);
        } else {
          const copied =
            memory instanceof Lease
              ? this.#stage(kind, offset, memory, way)
              : this.#copy(kind, offset, memory, way);
          copied.then(
            (bytes) => batch.succeed(index, bytes),
            (error: unknown) => batch.fail(index, error as Error),
          );
        }
      }
      interrupts?.delete(batch);
      if (modes.flags === 0) return batch.promise;
      return this.#flushes.confirm(batch.promise, ({ errors }) => errors.size > 0);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  #begin(kind: TransferKind, offset: number, memory: Part['memory'], way: Way): Promise<number> {
    if (!(memory instanceof Lease)) return this.#copy(kind, offset, memory, way);
    if (this.#host.staging !== undefined) return this.#stage(kind, offset, memory, way);
    return this.#submit(kind, offset, memory, way);
  }

  #submit(kind: TransferKind, offset: number, lease: Lease, way: Way): Promise<number> {
    const op = this.#operation(kind, offset, lease, way);
    op.sink = promiseSink;
    return this.#host.scheduler.submitForPromise(op);
  }

  #stage(kind: TransferKind, offset: number, lease: Lease, way: Way): Promise<number> {
    return this.#host.staging!.transfer({
      kind,
      file: this.#file,
      offset,
      lease,
      interrupts: way.interrupts,
      submit: () => this.#submit(kind, offset, lease, way),
    });
  }

  #operation(kind: TransferKind, offset: number, lease: Lease, { modes, interrupts, place }: Way) {
    const op = this.#host.scheduler.take();
    op.kind = kind;
    op.file = this.#file;
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
    const file = this.#file;
    const { ioClass, flags } = modes;
    const pieceBytes = pieceBytesFor(array.length, this.#cutting, place?.plan.blockSize);
    const request = { kind, file, pieceBytes, offset, array, ioClass, flags, interrupts, place };
    return copier.transfer(request);
  }

  /** Where copied memory may be cut. */
  get #cutting(): Cutting {
    const { copier, scheduler } = this.#host;
    const { pieceBytes: maxBytes } = copier;
    return { fileBlockSize: this.#blockSize, maxBytes, maxIoBytes: scheduler.maxIoBytes };
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
    if (this.#file.closing) throw closedError('file', this.#file.path);
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
      throw misaligned(this.#file.path, this.#blockSize, offset, length);
    }
    if (this.#file.closing) throw closedError('file', this.#file.path);
    if (modes.flags !== 0) checkDurable(this.#file, { offset, length, bytesDone: 0 });
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
}

export function misaligned(path: string, blockSize: number, offset: number, length: number): Error {
  const [name, value] = offset % blockSize === 0 ? ['length', length] : ['offset', offset];
  return ringboltError(
    'ERR_RINGBOLT_MISALIGNED',
    `The ${name} ${value} is not a multiple of the block size, ${blockSize} bytes`,
    { path, offset, length },
  );
}

const OPTIONS_OF = { [OpKind.read]: READ_OPTIONS, [OpKind.write]: WRITE_OPTIONS } as const;
const BATCH_OPTIONS_OF = {
  [OpKind.read]: [...READ_OPTIONS, ...BATCH_OPTIONS],
  [OpKind.write]: [...WRITE_OPTIONS, ...BATCH_OPTIONS],
} as const;

function extentOf(memory: Lease | Uint8Array, firstBlock: number | undefined): Extent {
  const copied = !(memory instanceof Lease);
  return { copied, length: copied ? memory.length : leases.bytes(memory), firstBlock };
}
