// Reads a range of a target in order, several reads ahead of whoever consumes it. What both streams that read are made of.
//
//     consumed        slots, in the order of the file             not begun
//   ───────────── [ ready ][ ready ][ reading ][ ready ][ ... ] ─────────────▶
//              shift() ↑                                      ↑ advance()
//
// Reads cover whole blocks; a slot says which part of its lease was wanted. A read that comes back short is the end of the file,
// and an error is the end as well: either is handed out in its turn, after all that lies before it, and what lies behind is
// dropped.
//
// Bounded by `highWaterMark` bytes and by MAX_IN_FLIGHT reads. Memory is taken from a pool that others use too, and never
// waited for: where none is free, fewer reads are in flight, and it is asked for again when one of them has ended or one
// lease has come back. Only where there is nothing of its own to wait for, that is an error. A target that has no room for
// another operation is dealt with in the same way.
//
// The consumer calls advance() when it wants something or has consumed something, and shift() after that and in onProgress, which
// is called once for all reads that end together. What those make room for is begun in groups, since each group wakes a thread.

import type { Lease } from '../../memory/lease.js';
import { Fifo } from '../../schedule/fifo.js';
import type { StreamPlan } from './options.js';
import { promisedReads, type Reads, type StreamRead } from './reads.js';
import { MAX_IN_FLIGHT, isRefusal, roundDown, roundUp, type StreamSource } from './source.js';

class Slot implements StreamRead {
  readonly #owner: ReadAhead;
  readonly offset: number;
  /** Of the lease: whole blocks. */
  readonly bytes: number;
  readonly lease: Lease;
  state: 'reading' | 'refused' | 'ready' | 'failed' = 'reading';
  /** Bytes read. */
  got = 0;
  error: unknown = undefined;

  constructor(owner: ReadAhead, offset: number, bytes: number, lease: Lease) {
    this.#owner = owner;
    this.offset = offset;
    this.bytes = bytes;
    this.lease = lease;
  }

  succeeded(bytes: number): void {
    this.#owner.onRead(this, bytes);
  }

  failed(error: unknown): void {
    this.#owner.onFailure(this, error);
  }
}

/** What comes next: a part of a lease, which is the receiver's from then on; the end; or an error, and after it the end. */
export type Next =
  | { readonly kind: 'piece'; readonly lease: Lease; readonly skip: number; readonly bytes: number }
  | { readonly kind: 'end' }
  | { readonly kind: 'error'; readonly error: unknown };

export interface ReadAheadOptions {
  /** A lease of `bytes`, or `undefined` if none is free. */
  readonly tryAcquire: (bytes: number) => Lease | undefined;
  /** Bytes of what was handed out that count against highWaterMark. */
  readonly consumerBytes: () => number;
  /** Called when shift() may have something new. */
  readonly onProgress: () => void;
  /** The most bytes of the first read, if the range does not begin with a block. */
  readonly headBytes: number;
}

/** Reads are begun when there may be as many more as this part of highWaterMark, or when nothing is under way. */
const GROUPS = 4;

const END = { kind: 'end' } as const;
const SOON = Promise.resolve();

export class ReadAhead {
  readonly #source: StreamSource;
  readonly #plan: StreamPlan;
  readonly #options: ReadAheadOptions;
  /** What waits in a queue when this is stopped goes at once. */
  readonly #reads: Reads;
  readonly #slots = new Fifo<Slot>();
  readonly #refused = new Fifo<Slot>();
  /** The next byte that no slot covers. */
  #next: number;
  /** Bytes of all slots. */
  #bytes = 0;
  #reading = 0;
  /** Reads, since the consumer was told last. */
  #succeeded = 0;
  /** A read, since the consumer waited last. */
  #begun = false;
  #telling = false;
  /** Up to here there was data when it was read. */
  #seen = 0;
  /** Nothing more is to be begun. */
  #ended = false;
  #stopped = false;
  readonly #onStopped: (() => void)[] = [];
  /** Why there is no slot at all, where there should be one. */
  #obstacle: unknown;

  constructor(source: StreamSource, plan: StreamPlan, options: ReadAheadOptions) {
    this.#source = source;
    this.#plan = plan;
    this.#options = options;
    this.#reads = source.beginReading?.(plan.ioClass) ?? promisedReads(source.target, plan.ioClass);
    this.#next = plan.start;
  }

  /**
   * Begins as many reads as there may be once they are a group, or if there is a group for them to join: one that was begun
   * since the consumer was last `waiting`.
   */
  advance(waiting = false): void {
    if (this.#stopped) return;
    if (this.#refused.length > 0) {
      // One for each that ended: whoever refused it has no more room than that.
      this.#submit(this.#refused.shift()!);
      return;
    }
    const joins = waiting && this.#begun;
    if (waiting) this.#begun = false;
    const group = this.#plan.highWaterMark / GROUPS;
    if (!joins && this.#reading > 0 && this.#free() < group) return;
    while (this.#mayBegin()) if (!this.#begin()) return;
  }

  #free(): number {
    return this.#plan.highWaterMark - this.#bytes - this.#options.consumerBytes();
  }

  /** What comes next, if it is there; `undefined`: onProgress will be called, or the consumer has to give something back. */
  shift(): Next | undefined {
    const slot = this.#slots.peek();
    if (slot === undefined) return this.#whyNone();
    const { state, lease } = slot;
    if (state === 'refused' && this.#reading === 0) return this.#fail(slot.error);
    if (state === 'failed') return this.#fail(slot.error);
    if (state !== 'ready') return undefined;
    this.#slots.shift();
    this.#bytes -= slot.bytes;
    const wholeEnd = Math.min(slot.offset + slot.got, this.#plan.end);
    const skip = Math.max(this.#plan.start - slot.offset, 0);
    const bytes = Math.max(wholeEnd - slot.offset - skip, 0);
    if (slot.got < slot.bytes) this.#drop(); // the end of the file
    if (bytes > 0) return { kind: 'piece', lease, skip, bytes };
    lease.release();
    return END;
  }

  /** Gives everything back, and resolves once nothing is in flight. */
  async stop(): Promise<void> {
    this.#drop();
    if (this.#reading === 0) return;
    await new Promise<void>((resolve) => this.#onStopped.push(resolve));
  }

  /** Whether onProgress will be called. */
  get isReading(): boolean {
    return this.#reading > 0 || this.#telling;
  }

  /** Bytes in flight or ready. */
  get bytes(): number {
    return this.#bytes;
  }

  #whyNone(): Next | undefined {
    const error = this.#obstacle;
    if (error !== undefined) {
      this.#obstacle = undefined;
      return this.#fail(error);
    }
    return this.#ended || this.#next >= this.#plan.end ? END : undefined;
  }

  #fail(error: unknown): Next {
    this.#drop();
    return { kind: 'error', error };
  }

  #drop(): void {
    this.#ended = true;
    this.#stopped = true;
    this.#bytes = 0;
    while (this.#refused.length > 0) this.#refused.shift();
    for (let slot = this.#slots.shift(); slot !== undefined; slot = this.#slots.shift()) {
      if (slot.state !== 'reading') slot.lease.release(); // else when it has been read
    }
    if (this.#reading > 0) this.#reads.cancel();
  }

  #mayBegin(): boolean {
    if (this.#ended || this.#next >= this.#plan.end || this.#reading >= MAX_IN_FLIGHT) return false;
    return this.#reading === 0 || this.#next < this.#trustedEnd();
  }

  /**
   * Reads behind it would probably find nothing, so they are made one at a time; but if the file has grown behind the target's
   * back, as much again may be read ahead as was found there.
   */
  #trustedEnd(): number {
    const { size } = this.#source.target;
    return Math.max(size, 2 * this.#seen - size);
  }

  /** False if it could not: no room, or no memory. */
  #begin(): boolean {
    const { target, pool } = this.#source;
    const { highWaterMark, end } = this.#plan;
    const offset = roundDown(this.#next, target.blockSize);
    const bytes = this.#lengthAt(offset);
    const own = this.#bytes + this.#options.consumerBytes();
    if (own > 0 && own + bytes > highWaterMark) return false;
    let lease = this.#options.tryAcquire(bytes);
    if (lease === undefined) {
      if (own > 0) return false;
      try {
        lease = pool.acquire(bytes); // for its error
      } catch (error) {
        this.#obstacle = error;
        this.#ended = true;
        return false;
      }
    }
    const slot = new Slot(this, offset, bytes, lease);
    this.#slots.push(slot);
    this.#bytes += bytes;
    this.#next = Math.min(offset + bytes, end);
    this.#submit(slot);
    return true;
  }

  /** One byte more than there should be shows by its absence that this is the end. */
  #lengthAt(offset: number): number {
    const { blockSize, size } = this.#source.target;
    const { chunkBytes, end } = this.#plan;
    const most = offset < this.#next ? Math.min(this.#options.headBytes, chunkBytes) : chunkBytes;
    const last = this.#next < size ? Math.min(end, size + 1) : end;
    return last - offset >= most ? most : roundUp(last - offset, blockSize);
  }

  #submit(slot: Slot): void {
    slot.state = 'reading';
    this.#reading++;
    this.#begun = true;
    this.#reads.begin(slot);
  }

  /** For the slot. */
  onRead(slot: Slot, got: number): void {
    if (this.#isLate(slot)) return;
    slot.state = 'ready';
    slot.got = got;
    if (got < slot.bytes) this.#ended = true;
    else this.#seen = Math.max(this.#seen, slot.offset + got);
    this.#succeeded++;
    this.#tellSoon();
  }

  /** For the slot. */
  onFailure(slot: Slot, error: unknown): void {
    if (this.#isLate(slot)) return;
    slot.error = error;
    if (isRefusal(error)) {
      slot.state = 'refused';
      this.#refused.push(slot);
      // Not begun again at once: it would be refused at once, for ever.
      if (this.#reading === 0) this.#tellSoon();
    } else {
      slot.state = 'failed';
      this.#ended = true;
      this.#tellSoon();
    }
  }

  /** Once for all that ends together, and when no queue is in the middle of something: the consumer may do as it likes. */
  #tellSoon(): void {
    if (this.#telling) return;
    this.#telling = true;
    void SOON.then(this.#tell);
  }

  readonly #tell = (): void => {
    const succeeded = this.#succeeded;
    this.#succeeded = 0;
    this.#telling = false;
    if (this.#stopped) return;
    // One for each that ended: whoever refused it has no more room than that.
    for (let i = 1; i < succeeded && this.#refused.length > 0; i++)
      this.#submit(this.#refused.shift()!);
    if (succeeded > 0) this.advance();
    this.#options.onProgress();
  };

  /** Ends the read; true if nobody wants what was read. */
  #isLate(slot: Slot): boolean {
    this.#reading--;
    if (!this.#stopped) return false;
    slot.lease.release();
    if (this.#reading === 0) for (const resolve of this.#onStopped.splice(0)) resolve();
    return true;
  }
}
