// A simulated disk behind `BlockTarget`: whatever a disk may do to those who trust it, from a seed, without a disk.
//
//   world ── turns
//     ├── medium of the data    ◀── disk (a handle; after a crash or a closing, another one)
//     └── medium of the sidecar ◀── disk
//
// Each medium has a cache of its own, which loses what it loses by itself. A write goes into the cache in two halves, some sectors first;
// a read takes some sectors before and some after its wait; what is not synced is lost, torn between sectors and reordered
// by a crash (simulated-medium.ts). Faults come by chance or when they are asked for. Operations take a few turns, not time: `timeoutMs`
// are turns.
//
// It keeps to what `BlockFile` promises: other memory than leases is copied when a write begins, a lease is not, and belongs to the
// disk meanwhile; a flush covers what had resolved before it; after a flush or durable write that failed, later ones
// reject until the disk is opened again. Zeroing beyond the end makes a medium longer, up to its drive's limit; other writes there fail with
// ENOSPC, as they would on a device.

import {
  AbortError,
  RingboltError,
  type BatchResult,
  type BlockTarget,
  type FlushOptions,
  type IoOptions,
  type Lease,
  type ReadBatchOptions,
  type Transfer,
  type WaitOptions,
  type WriteBatchOptions,
  type WriteOptions,
} from 'ringbolt';
import { leases } from '../../dist/lib/memory/lease.js';
import {
  checkWrite,
  placeChecksums,
  recheckWrite,
  useChecksums,
  type ChecksumPlace,
} from './simulated-checksums.js';
import type { OperationKind, SimulatedDrive } from './simulated-drive.js';
import { Pending, SECTOR } from './simulated-medium.js';
import type { Turns } from './turns.js';

interface Memory {
  readonly lease: Lease | undefined;
  readonly bytes: Uint8Array;
}

/** One handle; a process that crashed has lost it. */
export class SimulatedDisk implements BlockTarget {
  readonly drive: SimulatedDrive;
  readonly path: string;
  readonly blockSize: number;
  readonly #generation: number;
  readonly #running = new Set<Promise<unknown>>();
  #closed = false;
  #flushError: RingboltError | undefined;

  constructor(drive: SimulatedDrive, generation: number) {
    this.drive = drive;
    this.path = drive.path;
    this.blockSize = drive.blockSize;
    this.#generation = generation;
  }

  get size(): number {
    return this.drive.medium.size;
  }

  read(offset: number, into: Lease | Uint8Array, options: IoOptions = {}): Promise<number> {
    return this.#run(async () => {
      const memory = memoryOf(into);
      const transfer = { length: memory.bytes.length, firstBlock: undefined };
      const { checksum } = options;
      const place = checksum && placeChecksums(checksum, [transfer])[0];
      return this.#read(offset, memory, options, place);
    });
  }

  write(offset: number, from: Lease | Uint8Array, options: WriteOptions = {}): Promise<number> {
    return this.#run(async () => {
      const memory = memoryOf(from);
      const transfer = { length: memory.bytes.length, firstBlock: undefined };
      const { checksum } = options;
      const place = checksum && placeChecksums(checksum, [transfer])[0];
      return this.#write('write', offset, memory, options, place);
    });
  }

  readBatch(ops: readonly Transfer[], options: ReadBatchOptions = {}): Promise<BatchResult> {
    return this.#batch(ops, options, (offset, memory, place) =>
      this.#read(offset, memory, options, place),
    );
  }

  writeBatch(ops: readonly Transfer[], options: WriteBatchOptions = {}): Promise<BatchResult> {
    return this.#batch(ops, options, (offset, memory, place) =>
      this.#write('write', offset, memory, options, place),
    );
  }

  flush(options: FlushOptions = {}): Promise<void> {
    return this.#run(async () => {
      this.#checkDurable();
      this.#begin('flush', 0, 0, options);
      const { order } = this.drive.medium;
      const done = this.#later(() => {
        this.#sync(order, 0, this.size);
      });
      await this.#interruptible(done, options);
    });
  }

  discard(offset: number, length: number, options: WaitOptions = {}): Promise<void> {
    return this.#run(async () => {
      const bytes = this.drive.medium.visible(offset, length).slice();
      // Of each sector the old contents, zeros, or anything.
      for (let at = 0; at < bytes.length; at += SECTOR) {
        const what = this.drive.random.below(3);
        if (what > 0) bytes.fill(what === 1 ? 0 : this.drive.random.below(256), at, at + SECTOR);
      }
      await this.#write('discard', offset, { lease: undefined, bytes }, options, undefined);
    });
  }

  writeZeroes(offset: number, length: number, options: WaitOptions = {}): Promise<void> {
    return this.#run(async () => {
      const memory = { lease: undefined, bytes: new Uint8Array(length) };
      await this.#write('writeZeroes', offset, memory, options, undefined);
    });
  }

  readable(): never {
    throw new Error('a simulated disk has no streams');
  }

  writable(): never {
    throw new Error('a simulated disk has no streams');
  }

  leases(): never {
    throw new Error('a simulated disk has no streams');
  }

  /** What is in the cache stays there. */
  async close(): Promise<void> {
    this.#closed = true;
    if (this.#isAlive()) await Promise.allSettled(this.#running);
  }

  /** An operation: it never settles once there was a crash. */
  async #run<T>(operation: () => Promise<T>): Promise<T> {
    if (!this.#isAlive()) return never();
    if (this.#closed) throw new RingboltError('ERR_RINGBOLT_CLOSED', 'The disk is closed');
    const running = operation();
    this.#running.add(running);
    try {
      return await running;
    } finally {
      this.#running.delete(running);
      if (!this.#isAlive()) await never();
    }
  }

  #isAlive(): boolean {
    return this.drive.isAlive(this.#generation);
  }

  /** The lease is the disk's, until the function that is returned is called, or the power fails. */
  #depart(lease: Lease | undefined): () => void {
    if (lease === undefined) return () => undefined;
    try {
      leases.depart(lease);
    } catch (cause) {
      throw new RingboltError('ERR_RINGBOLT_BUSY', 'The lease is in an operation', { cause });
    }
    const { onCrash } = this.drive;
    const end = () => {
      if (onCrash.delete(end)) leases.arrive(lease);
    };
    onCrash.add(end);
    return end;
  }

  /**
   * What the disk does some turns from now, unless the power has failed by then: at once in that turn, as what came a promise later might
   * come after a crash.
   */
  #later<T>(action: () => T): Promise<T> {
    const turns = 1 + this.drive.random.below(this.drive.maxDelay);
    return new Promise((resolve, reject) => {
      this.drive.turns.after(turns, () => {
        if (!this.#isAlive()) return;
        try {
          resolve(action());
        } catch (error) {
          reject(error);
        }
      });
    });
  }

  /** @throws if it is not to begin, or if that was when the power failed */
  #begin(kind: OperationKind, offset: number, length: number, options: WriteOptions): void {
    const { signal, durable = false } = options;
    if (signal?.aborted === true) throw aborted(signal);
    for (const value of [offset, length]) {
      if (Number.isSafeInteger(value) && value >= 0 && value % this.blockSize === 0) continue;
      const text = `${length} bytes at ${offset} are not in units of ${this.blockSize}`;
      throw new RingboltError('ERR_RINGBOLT_MISALIGNED', text, { offset, length });
    }
    this.drive.counts[kind]++;
    this.drive.onOperation?.({ kind, offset, length, durable });
    if (!this.#isAlive()) throw new Error('The power failed');
  }

  async #read(
    offset: number,
    { lease, bytes }: Memory,
    options: IoOptions,
    place: ChecksumPlace | undefined,
  ): Promise<number> {
    this.#begin('read', offset, bytes.length, options);
    const { medium } = this.drive;
    const length = Math.max(0, Math.min(bytes.length, medium.size - offset));
    const reading = medium.beginRead(offset, length);
    const end = this.#depart(lease);
    const rejection = interruption(options, this.drive.turns);
    const done = this.#later(() => {
      end();
      const failed = medium.unreadableIn(offset, length);
      const isGood = failed === undefined && !this.drive.happens('read');
      const interrupted = rejection();
      medium.endRead(reading, isGood && interrupted === undefined ? bytes : undefined);
      if (interrupted !== undefined) throw interrupted;
      if (!isGood) {
        const bytesDone = this.#whole((failed ?? offset) - offset);
        throw ioError('EIO', 'read', { offset, length, bytesDone });
      }
      if (place !== undefined) useChecksums(place, bytes.subarray(0, length));
      return length;
    });
    return this.#interruptible(done, options);
  }

  async #write(
    kind: 'write' | 'discard' | 'writeZeroes',
    offset: number,
    { lease, bytes }: Memory,
    options: WriteOptions,
    place: ChecksumPlace | undefined,
  ): Promise<number> {
    const durable = options.durable ?? false;
    const { length } = bytes;
    if (durable) this.#checkDurable();
    // A lease is looked at until the write is done, anything else now.
    const data = lease === undefined ? Uint8Array.from(bytes) : bytes;
    if (place !== undefined) checkWrite(place, data);
    // What was hashed, if it is to be seen whether that is what was written.
    const hashed =
      place?.options.recheck === true && lease !== undefined ? Uint8Array.from(data) : undefined;
    this.#begin(kind, offset, length, options);
    const end = this.#depart(lease);
    const rejection = interruption(options, this.drive.turns);
    const { limit } = this.drive;
    if (kind === 'writeZeroes') this.drive.medium.grow(Math.min(limit, offset + length));
    const fault = this.#writeFault(offset, length);
    const start = fault === undefined ? this.#placeOf(offset, length) : offset;
    const room = Math.min(length, Math.max(0, this.size - start));
    const bytesDone = fault === undefined ? length : this.#whole(this.drive.random.below(room + 1));
    const { medium } = this.drive;
    const pending = new Pending(start, data);
    for (let at = 0; at < room; at += SECTOR) {
      if (at >= bytesDone && this.drive.random.below(2) === 0) continue; // this one it does not come to
      pending.left[at / SECTOR] = 1;
    }
    medium.pending.add(pending);
    await this.#later(() => {
      this.#apply(pending, 2);
    });
    return this.#later(() => {
      const interrupted = rejection();
      const rejects = interrupted !== undefined && this.drive.happens('interrupt');
      this.#apply(pending, rejects ? 2 : 1);
      medium.pending.delete(pending);
      end();
      if (rejects) throw interrupted;
      if (fault !== undefined) throw ioError(fault, kind, { offset, length, bytesDone });
      if (hashed !== undefined) recheckWrite(data, hashed);
      if (durable) this.#sync(medium.order, start, length);
      return length;
    });
  }

  /** Of the sectors that it has still to come to each, or one of so many. */
  #apply(pending: Pending, oneOf: number): void {
    for (let index = 0; index < pending.left.length; index++) {
      if (pending.left[index] === 0) continue;
      if (oneOf === 1 || this.drive.random.below(oneOf) === 0)
        this.drive.medium.writeSector(pending, index);
    }
  }

  #writeFault(offset: number, length: number): 'EIO' | 'ENOSPC' | undefined {
    if (offset + length > this.size || this.drive.happens('noSpace')) return 'ENOSPC';
    return this.drive.happens('write') ? 'EIO' : undefined;
  }

  /** Where it really goes. */
  #placeOf(offset: number, length: number): number {
    if (!this.drive.happens('misdirect')) return offset;
    const places = Math.floor((this.size - length) / this.blockSize);
    return this.drive.random.below(places + 1) * this.blockSize;
  }

  #whole(bytes: number): number {
    return bytes - (bytes % this.blockSize);
  }

  /** @throws EIO, by chance */
  #sync(order: number, offset: number, length: number): void {
    if (this.drive.happens('flush')) {
      this.drive.medium.lose(order, offset, length);
      this.#flushError = ioError('EIO', 'flush', {});
      throw this.#flushError;
    }
    if (!this.drive.happens('lie')) this.drive.medium.sync(order, offset, length);
  }

  #checkDurable(): void {
    const cause = this.#flushError;
    if (cause === undefined) return;
    throw new RingboltError(cause.code, 'a flush or durable write failed before', { cause });
  }

  /** Rejects as soon as it is interrupted; what it does goes on. */
  async #interruptible<T>(promise: Promise<T>, options: WaitOptions): Promise<T> {
    const { signal, timeoutMs } = options;
    if (signal === undefined && timeoutMs === undefined) return promise;
    return new Promise((resolve, reject) => {
      const rejection = interruption(options, this.drive.turns);
      const interrupt = () => {
        reject(rejection() ?? new Error('not interrupted'));
      };
      signal?.addEventListener('abort', interrupt, { once: true });
      if (timeoutMs !== undefined) this.drive.turns.after(timeoutMs, interrupt);
      promise.then(resolve, reject);
    });
  }

  #batch(
    ops: readonly Transfer[],
    { checksum, onError = 'wait' }: ReadBatchOptions,
    one: (offset: number, memory: Memory, place: ChecksumPlace | undefined) => Promise<number>,
  ): Promise<BatchResult> {
    return this.#run(async () => {
      const memories = ops.map(({ buffer }) => memoryOf(buffer));
      const extents = ops.map(({ firstBlock }, i) => ({
        firstBlock,
        length: memories[i]!.bytes.length,
      }));
      const places = checksum && placeChecksums(checksum, extents);
      const results = await Promise.allSettled(
        ops.map(({ offset }, i) => one(offset, memories[i]!, places?.[i])),
      );
      const transferred = Float64Array.from(results, (result) =>
        result.status === 'fulfilled' ? result.value : 0,
      );
      const errors = new Map<number, Error>();
      for (const [index, result] of results.entries()) {
        if (result.status === 'rejected') errors.set(index, result.reason as Error);
      }
      const [first] = errors.values();
      if (first !== undefined && onError !== 'collect') throw first;
      return {
        transferred,
        errors,
        bytesTotal: transferred.reduce((sum, bytes) => sum + bytes, 0),
      };
    });
  }
}

function never(): Promise<never> {
  return new Promise<never>(() => undefined);
}

function memoryOf(memory: Lease | Uint8Array): Memory {
  if (!leases.is(memory)) return { lease: undefined, bytes: memory };
  return { lease: memory, bytes: memory.buffer };
}

function aborted({ reason }: AbortSignal): Error {
  return new AbortError('The operation was aborted', { cause: reason });
}

/** Tells why the operation that begins here was interrupted, if it was. */
function interruption({ signal, timeoutMs }: WaitOptions, turns: Turns): () => Error | undefined {
  const begun = turns.now;
  return () => {
    if (signal?.aborted === true) {
      return aborted(signal);
    }
    if (timeoutMs === undefined || turns.now - begun < timeoutMs) return undefined;
    return new RingboltError('ERR_RINGBOLT_TIMEOUT', `It took longer than ${timeoutMs} turns`);
  };
}

function ioError(
  code: 'EIO' | 'ENOSPC',
  syscall: string,
  details: { offset?: number; length?: number; bytesDone?: number },
): RingboltError {
  return new RingboltError(code, `${code}: simulated, ${syscall}`, { syscall, ...details });
}
