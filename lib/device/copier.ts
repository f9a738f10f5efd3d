// Transfers to and from memory that is not a lease: through slabs of the pool, copied on the JavaScript thread.
//
//   write:  array ─ copy ─▶ slab ─▶ queue          read:  queue ─▶ slab ─ copy ─▶ array
//
// A reference does not pin foreign memory: its owner may transfer, resize or detach it at any time. So the kernel never
// sees it, and the array's length is looked at anew in the moment of each copy. At most COPY_BYTES_PER_TURN
// are copied in a turn of the event loop; larger transfers go in pieces, a few at a time.
//
// A transfer that finds no slab waits for one of its like to give one back. If none is under way, nothing would come, and it
// is refused. Where that must not be, one slab is kept for all of them: a volume goes on though its users have the whole pool, and
// wait for it.

import { AbortError, RingboltError, ringboltError } from '../errors.js';
import { leases, type Lease } from '../memory/lease.js';
import { pools, type BufferPool } from '../memory/pool.js';
import type { Slabs } from '../memory/slabs.js';
import { OpKind, type NativeEngine } from '../native.js';
import { corruptError, goneError, markMissing } from '../schedule/checksums.js';
import type { Interrupt, Interruptible } from '../interrupt.js';
import type { FileRef, Operation, Sink } from '../schedule/operation.js';
import type { Scheduler } from '../schedule/scheduler.js';
import { COPY_BYTES_PER_TURN, type TurnBudget } from '../schedule/turn-budget.js';
import { invalidValue } from '../validate.js';
import type { BlockPlace } from './block-checksums.js';
import { interruptedError, takeOutcome } from './sinks.js';

/** Pieces of one transfer under way at once: enough to keep a device busy, few enough to share the pool. */
const MAX_PIECES = 8;

export interface CopyRequest {
  readonly kind: typeof OpKind.read | typeof OpKind.write;
  readonly file: FileRef;
  /** How large the pieces are, but the last: whole blocks, at most {@link Copier.pieceBytes}. */
  readonly pieceBytes: number;
  readonly offset: number;
  /** A plain one (see plainView): a subclass could do as it likes in the middle of a copy. */
  readonly array: Uint8Array;
  readonly ioClass: number;
  readonly flags: number;
  readonly interrupts: Interrupt | undefined;
  readonly place: BlockPlace | undefined;
}

export interface CopyStats {
  readonly readBytes: number;
  readonly writtenBytes: number;
  /** Of the written ones: hashed in the same pass. */
  readonly checksumBytes: number;
}

/** All copied transfers of an engine. */
export class Copier {
  readonly pool: BufferPool;
  readonly scheduler: Scheduler;
  readonly budget: TurnBudget;
  readonly pieceBytes: number;
  /** In order of arrival; one that is interrupted leaves from the middle. */
  readonly #waiting = new Set<CopyTransfer>();
  #slabs = 0;
  /** Those who need the slab that is kept; it, where it is not in use, and where it is. */
  #keepers = 0;
  #kept: Lease | undefined;
  #lent: Lease | undefined;
  #retryPlanned = false;
  readBytes = 0;
  writtenBytes = 0;
  checksumBytes = 0;
  readonly native: NativeEngine;
  readonly slabs: Slabs;

  constructor(native: NativeEngine, pool: BufferPool, slabs: Slabs, scheduler: Scheduler) {
    this.native = native;
    this.pool = pool;
    this.slabs = slabs;
    this.scheduler = scheduler;
    this.budget = scheduler.budget;
    this.pieceBytes = Math.min(COPY_BYTES_PER_TURN, pool.maxSlabBytes);
    pools.setOnRelease(pool, () => {
      if (this.#waiting.size > 0) this.#planRetry();
    });
  }

  /** Resolves to the bytes transferred. Requires scheduler.hasRoomFor(1). */
  transfer(request: CopyRequest): Promise<number> {
    return new Promise((resolve, reject) => {
      new CopyTransfer(this, request, resolve, reject).launch();
    });
  }

  stats(): CopyStats {
    const { readBytes, writtenBytes, checksumBytes } = this;
    return { readBytes, writtenBytes, checksumBytes };
  }

  /** A slab for a piece; `undefined` and `waiter.launch()` later; or an error if none would ever come. */
  lease(bytes: number, waiter: CopyTransfer): Lease | Error | undefined {
    const [first] = this.#waiting;
    if (first === undefined || first === waiter) {
      const lease = pools.tryAcquire(this.pool, bytes) ?? this.#lend();
      if (lease !== undefined) {
        this.#slabs++;
        return lease;
      }
      if (this.#slabs === 0) {
        return ringboltError(
          'ERR_RINGBOLT_POOL_EXHAUSTED',
          `No slab of ${bytes} bytes is free to copy through: ${pools.describeFree(this.pool)}`,
        );
      }
    }
    this.#waiting.add(waiter);
    return undefined;
  }

  /** `waiter` needs no slab any more; those behind it may. */
  forget(waiter: CopyTransfer): void {
    if (this.#waiting.delete(waiter) && this.#waiting.size > 0) this.#planRetry();
  }

  /** No slab will come back: ends what waits for one. */
  abandon(reason: Error): void {
    for (const waiter of this.#waiting) waiter.interrupt(reason);
  }

  giveBack(lease: Lease): void {
    this.#slabs--;
    if (lease !== this.#lent) return lease.release();
    this.#lent = undefined;
    if (this.#keepers === 0) return lease.release();
    this.#kept = lease;
    if (this.#waiting.size > 0) this.#planRetry();
  }

  /** A slab is kept from here on, if there is one, until what this returns is called. */
  keep(): () => void {
    this.#keepers++;
    if (this.#lent === undefined) this.#kept ??= pools.tryAcquire(this.pool, this.pieceBytes);
    return () => {
      this.#keepers--;
      if (this.#keepers > 0) return;
      this.#kept?.release();
      this.#kept = undefined;
    };
  }

  #lend(): Lease | undefined {
    this.#lent ??= this.#kept;
    const lease = this.#kept;
    this.#kept = undefined;
    return lease;
  }

  #planRetry(): void {
    if (this.#retryPlanned) return;
    this.#retryPlanned = true;
    process.nextTick(() => {
      this.#retryPlanned = false;
      // In order of arrival, until one still finds none.
      for (const first of this.#waiting) {
        first.launch();
        if (first.waiting) return;
        this.#waiting.delete(first);
      }
    });
  }
}

class CopyTransfer implements Sink, Interruptible {
  /** Its pieces' slabs are in use until they have ended; what it tells its caller early, it tells itself. */
  readonly answersReadsAtOnce = false;
  readonly #copier: Copier;
  readonly #request: CopyRequest;
  readonly #length: number;
  readonly #pieceBytes: number;
  readonly #resolve: (bytes: number) => void;
  readonly #reject: (reason: Error) => void;
  /** Bytes of each finished piece, by its place. */
  readonly #doneBytes: number[] = [];
  #launched = 0; // bytes
  #submitted = 0; // bytes
  #reserved = true;
  #pieces = 0; // under way
  #launching = false;
  #ended = false; // no more pieces: end of file, or an error
  #finished = false;
  #answered = false; // the array is its owner's again
  #error: Error | undefined;
  /** Pieces that the scheduler has. */
  readonly #submittedOps = new Set<Operation>();
  /** For the copier: found no slab. */
  waiting = false;

  constructor(
    copier: Copier,
    request: CopyRequest,
    resolve: (bytes: number) => void,
    reject: (reason: Error) => void,
  ) {
    this.#copier = copier;
    this.#request = request;
    this.#length = request.array.length;
    this.#pieceBytes = request.pieceBytes;
    this.#resolve = resolve;
    this.#reject = reject;
    request.file.begin();
    copier.scheduler.reserve();
    request.interrupts?.add(this);
  }

  /** No further pieces; those under way are cancelled. A read is answered at once, a write when they have ended. */
  interrupt(reason: Error): void {
    if (this.#finished) return;
    this.#fail(reason);
    this.#copier.forget(this);
    for (const op of [...this.#submittedOps]) {
      if (op.kind === OpKind.read) op.checksums = undefined; // their arrays are their owner's again, too
      op.interrupt(reason);
    }
    if (this.#request.kind === OpKind.read) this.#answer();
    this.#finishIfDone();
  }

  /** Begins as many pieces as there may be. */
  launch(): void {
    if (this.#launching) return; // a piece ended at once: the loop below goes on
    this.#launching = true;
    this.waiting = false;
    while (!this.#ended && this.#launched < this.#length && this.#pieces < MAX_PIECES) {
      const start = this.#launched;
      const bytes = Math.min(this.#pieceBytes, this.#length - start);
      const lease = this.#copier.lease(bytes, this);
      if (lease === undefined) {
        this.waiting = true;
        break;
      }
      if (lease instanceof Error) {
        this.#fail(lease);
        break;
      }
      this.#launched += bytes;
      this.#pieces++;
      if (this.#request.kind === OpKind.read) this.#submit(start, lease, bytes);
      else this.#copier.budget.spend(bytes, () => this.#copyAndSubmit(start, lease, bytes));
    }
    this.#launching = false;
    this.#finishIfDone();
  }

  settle(op: Operation, result: number, bytesDone: number): void {
    const lease = op.lease!;
    const start = op.offset - this.#request.offset;
    this.#submittedOps.delete(op);
    const error = takeOutcome(op, result, bytesDone);
    if (error !== undefined) {
      this.#fail(error);
      return this.#pieceDone(lease, start, op.kind === OpKind.write ? bytesDone : 0);
    }
    if (op.kind === OpKind.write) return this.#pieceDone(lease, start, result);
    if (result < op.length) this.#ended = true;
    if (result === 0 || this.#answered) return this.#pieceDone(lease, start, 0);
    this.#copier.budget.spend(result, () => {
      const whole = !this.#answered && this.#arrayIsWhole();
      if (whole) {
        this.#copier.slabs.read(lease, 0, this.#request.array.subarray(start, start + result));
        this.#copier.readBytes += result;
      }
      this.#pieceDone(lease, start, whole ? result : 0);
    });
  }

  #copyAndSubmit(start: number, lease: Lease, bytes: number): void {
    if (this.#ended || !this.#arrayIsWhole()) return this.#pieceDone(lease, start, 0);
    const { place, array } = this.#request;
    if (place?.plan.copiesInOnePass === true) {
      const error = this.#copyChecksummed(place, start, lease, bytes);
      if (error !== undefined) {
        this.#fail(error);
        return this.#pieceDone(lease, start, 0);
      }
    } else {
      this.#copier.slabs.fill(lease, 0, array.subarray(start, start + bytes));
    }
    this.#copier.writtenBytes += bytes;
    this.#submit(start, lease, bytes);
  }

  /** Goes through the memory once: what is hashed is what was copied, whatever happens to the array afterwards. */
  #copyChecksummed(
    { plan, valueIndex, blockNumber }: BlockPlace,
    start: number,
    lease: Lease,
    bytes: number,
  ): Error | undefined {
    const { file, offset, array } = this.#request;
    const { flags, blockSize, seedLow, seedHigh, expected, out, mismatches } = plan;
    const before = start / blockSize; // blocks
    const first = valueIndex + before;
    const wrong = this.#copier.native.copyChecksummed(
      leases.unit(lease),
      array,
      start,
      bytes,
      flags,
      blockSize,
      seedLow,
      seedHigh,
      blockNumber + before,
      first,
      expected,
      out,
      mismatches,
    );
    if (wrong < 0) return goneError(plan);
    this.#copier.checksumBytes += bytes;
    if (wrong === 0) return undefined;
    const piece = { valueIndex: first, file, offset: offset + start, length: bytes };
    return corruptError(plan, piece, Math.ceil(bytes / blockSize));
  }

  #submit(start: number, lease: Lease, bytes: number): void {
    const { scheduler } = this.#copier;
    const op = scheduler.take();
    op.kind = this.#request.kind;
    op.file = this.#request.file;
    op.offset = this.#request.offset + start;
    op.length = bytes;
    op.unit = leases.unit(lease);
    op.lease = lease;
    op.ioClass = this.#request.ioClass;
    op.flags = this.#request.flags;
    const { place } = this.#request;
    if (place !== undefined && (op.kind === OpKind.read || !place.plan.copiesInOnePass)) {
      const before = start / place.plan.blockSize; // blocks
      op.checksums = place.plan;
      op.valueIndex = place.valueIndex + before;
      op.blockNumber = place.blockNumber + before;
    }
    op.sink = this;
    this.#submitted += bytes;
    if (this.#submitted === this.#length) this.#unreserve();
    this.#submittedOps.add(op);
    scheduler.submit(op);
  }

  #unreserve(): void {
    if (!this.#reserved) return;
    this.#reserved = false;
    this.#copier.scheduler.unreserve();
  }

  #arrayIsWhole(): boolean {
    if (this.#request.array.length === this.#length) return true;
    const reason = 'was detached or resized while it was in an operation';
    this.#fail(invalidValue('buffer', reason, this.#request.array));
    return false;
  }

  #fail(error: Error): void {
    this.#ended = true;
    this.#error ??= error;
  }

  #pieceDone(lease: Lease, start: number, bytes: number): void {
    this.#doneBytes[start / this.#pieceBytes] = bytes;
    this.#pieces--;
    this.#copier.giveBack(lease);
    if (this.waiting && !this.#ended) return; // the copier will launch
    this.launch();
  }

  #finishIfDone(): void {
    const all = this.#ended || this.#launched === this.#length;
    if (!all || this.#pieces > 0 || this.#finished) return;
    this.#finished = true;
    this.#request.file.end();
    this.#unreserve();
    this.#request.interrupts?.delete(this);
    this.#answer();
  }

  /** Settles the promise; the second time nothing comes of it. */
  #answer(): void {
    const bytes = this.#contiguousBytes();
    const { kind, place } = this.#request;
    if (kind === OpKind.read && place !== undefined && !this.#answered) {
      markMissing(place, bytes, this.#length);
    }
    this.#answered = true;
    if (this.#error === undefined) this.#resolve(bytes);
    else this.#reject(this.#describe(this.#error, bytes));
  }

  /** The error as one of the whole transfer, and not of the piece that met it. */
  #describe(error: Error, bytesDone: number): Error {
    const { offset, file } = this.#request;
    if (error instanceof AbortError) return interruptedError(error, { bytesDone });
    if (!(error instanceof RingboltError)) return Object.assign(error, { bytesDone });
    const { code, message, errno, syscall } = error;
    const details = { errno, syscall, path: file.path, offset, length: this.#length, bytesDone };
    return new RingboltError(code, message, details);
  }

  /** Bytes from the beginning on, up to the first piece that was short. */
  #contiguousBytes(): number {
    let total = 0;
    for (let start = 0; start < this.#launched; start += this.#pieceBytes) {
      const bytes = this.#doneBytes[start / this.#pieceBytes] ?? 0;
      total += bytes;
      if (bytes < Math.min(this.#pieceBytes, this.#length - start)) break;
    }
    return total;
  }
}
