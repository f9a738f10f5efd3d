// Transfers to and from memory that is not a lease: through slabs of the pool, copied on the JavaScript thread.
//
//   write:  array ─ copy ─▶ slab ─▶ queue          read:  queue ─▶ slab ─ copy ─▶ array
//
// A reference does not pin foreign memory: its owner may transfer, resize or detach it at any time. So the kernel never
// sees it, and the array's length is looked at anew in the moment of each copy. At most COPY_BYTES_PER_TURN
// are copied in a turn of the event loop; larger transfers go in pieces, a few at a time.
//
// A transfer that finds no slab waits for one of its like to give one back. If none is under way, nothing would come, and it
// is refused.

import { RingboltError, ringboltError } from '../errors.js';
import type { Lease } from '../memory/lease.js';
import type { BufferPool } from '../memory/pool.js';
import { OpKind } from '../native.js';
import { Fifo } from '../schedule/fifo.js';
import type { FileRef, Operation, Sink } from '../schedule/operation.js';
import type { Scheduler } from '../schedule/scheduler.js';
import { COPY_BYTES_PER_TURN, TurnBudget } from '../schedule/turn-budget.js';
import { invalidValue } from '../validate.js';
import { noteProgress, operationError } from './sinks.js';

/** Pieces of one transfer under way at once: enough to keep a device busy, few enough to share the pool. */
const MAX_PIECES = 8;

export interface CopyRequest {
  readonly kind: typeof OpKind.read | typeof OpKind.write;
  readonly file: FileRef;
  readonly offset: number;
  readonly array: Uint8Array;
  readonly ioClass: number;
  readonly flags: number;
}

export interface CopyStats {
  readonly readBytes: number;
  readonly writtenBytes: number;
}

/** All copied transfers of an engine. */
export class Copier {
  readonly pool: BufferPool;
  readonly scheduler: Scheduler;
  readonly budget = new TurnBudget();
  readonly pieceBytes: number;
  readonly #waiting = new Fifo<CopyTransfer>();
  #slabs = 0;
  #retryPlanned = false;
  readBytes = 0;
  writtenBytes = 0;

  constructor(pool: BufferPool, scheduler: Scheduler) {
    this.pool = pool;
    this.scheduler = scheduler;
    this.pieceBytes = Math.min(COPY_BYTES_PER_TURN, pool.maxBytes);
    pool.onRelease = () => {
      if (this.#waiting.length > 0) this.#planRetry();
    };
  }

  /** Resolves to the bytes transferred. Requires scheduler.hasRoomFor(1). */
  transfer(request: CopyRequest): Promise<number> {
    return new Promise((resolve, reject) => {
      new CopyTransfer(this, request, resolve, reject).launch();
    });
  }

  stats(): CopyStats {
    return { readBytes: this.readBytes, writtenBytes: this.writtenBytes };
  }

  /** A slab for a piece; `undefined` and `waiter.launch()` later; or an error if none would ever come. */
  lease(bytes: number, waiter: CopyTransfer): Lease | Error | undefined {
    const lease = this.pool.tryAcquire(bytes);
    if (lease !== undefined) {
      this.#slabs++;
      return lease;
    }
    if (this.#slabs === 0) {
      return ringboltError(
        'ERR_RINGBOLT_POOL_EXHAUSTED',
        'No slab is free to copy through: all are leased out',
      );
    }
    this.#waiting.push(waiter);
    return undefined;
  }

  giveBack(lease: Lease): void {
    this.#slabs--;
    lease.release();
  }

  #planRetry(): void {
    if (this.#retryPlanned) return;
    this.#retryPlanned = true;
    process.nextTick(() => {
      this.#retryPlanned = false;
      // Each that still finds none queues up again, behind this round.
      for (let count = this.#waiting.length; count > 0; count--) this.#waiting.shift()!.launch();
    });
  }
}

class CopyTransfer implements Sink {
  readonly #copier: Copier;
  readonly #request: CopyRequest;
  readonly #length: number;
  readonly #resolve: (bytes: number) => void;
  readonly #reject: (reason: Error) => void;
  /** Bytes of each finished piece, by its place. */
  readonly #pieceBytes: number[] = [];
  #launched = 0; // bytes
  #pieces = 0; // under way
  #ended = false; // no more pieces: end of file, or an error
  #waiting = false;
  #error: Error | undefined;

  constructor(
    copier: Copier,
    request: CopyRequest,
    resolve: (bytes: number) => void,
    reject: (reason: Error) => void,
  ) {
    this.#copier = copier;
    this.#request = request;
    this.#length = request.array.length;
    this.#resolve = resolve;
    this.#reject = reject;
    request.file.begin();
  }

  /** Begins as many pieces as there may be. */
  launch(): void {
    this.#waiting = false;
    while (!this.#ended && this.#launched < this.#length && this.#pieces < MAX_PIECES) {
      const start = this.#launched;
      const bytes = Math.min(this.#copier.pieceBytes, this.#length - start);
      const lease = this.#copier.lease(bytes, this);
      if (lease === undefined) {
        this.#waiting = true;
        return;
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
    this.#finishIfDone();
  }

  settle(op: Operation, result: number, bytesDone: number): void {
    const lease = op.lease!;
    const start = op.offset - this.#request.offset;
    if (result < 0) {
      this.#fail(operationError(op, result, bytesDone));
      return this.#pieceDone(lease, start, bytesDone);
    }
    noteProgress(op, result);
    if (op.kind === OpKind.write) return this.#pieceDone(lease, start, result);
    if (result < op.length) this.#ended = true;
    if (result === 0) return this.#pieceDone(lease, start, 0);
    this.#copier.budget.spend(result, () => {
      if (this.#arrayIsWhole()) {
        this.#request.array.set(lease.buffer.subarray(0, result), start);
        this.#copier.readBytes += result;
      }
      this.#pieceDone(lease, start, result);
    });
  }

  #copyAndSubmit(start: number, lease: Lease, bytes: number): void {
    if (this.#ended || !this.#arrayIsWhole()) return this.#pieceDone(lease, start, 0);
    lease.buffer.set(this.#request.array.subarray(start, start + bytes));
    this.#copier.writtenBytes += bytes;
    this.#submit(start, lease, bytes);
  }

  #submit(start: number, lease: Lease, bytes: number): void {
    const { scheduler } = this.#copier;
    if (!scheduler.hasRoomFor(1)) {
      this.#fail(scheduler.overloaded(1));
      return this.#pieceDone(lease, start, 0);
    }
    const op = scheduler.take();
    op.kind = this.#request.kind;
    op.file = this.#request.file;
    op.offset = this.#request.offset + start;
    op.length = bytes;
    op.unit = lease.unit;
    op.lease = lease;
    op.ioClass = this.#request.ioClass;
    op.flags = this.#request.flags;
    op.sink = this;
    scheduler.submit(op);
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
    this.#pieceBytes[start / this.#copier.pieceBytes] = bytes;
    this.#pieces--;
    this.#copier.giveBack(lease);
    if (this.#waiting) return this.#finishIfDone(); // the copier will launch
    this.launch();
  }

  #finishIfDone(): void {
    const all = this.#ended || this.#launched === this.#length;
    if (!all || this.#pieces > 0 || this.#waiting) return;
    this.#request.file.end();
    const bytes = this.#contiguousBytes();
    if (this.#error === undefined) return this.#resolve(bytes);
    if (this.#error instanceof RingboltError && this.#error.bytesDone !== undefined) {
      const { offset } = this.#request;
      const { code, message, errno, syscall, path } = this.#error;
      const details = { errno, syscall, path, offset, length: this.#length, bytesDone: bytes };
      this.#error = new RingboltError(code, message, details);
    }
    this.#reject(this.#error);
  }

  /** Bytes from the beginning on, up to the first piece that was short. */
  #contiguousBytes(): number {
    let total = 0;
    for (let start = 0; start < this.#launched; start += this.#copier.pieceBytes) {
      const bytes = this.#pieceBytes[start / this.#copier.pieceBytes] ?? 0;
      total += bytes;
      if (bytes < Math.min(this.#copier.pieceBytes, this.#length - start)) break;
    }
    return total;
  }
}
