// Gathers chunks of any size into leases, and writes these, several at a time. What a stream that writes is made of.
//
//   chunks ─ copied, so much a turn ─▶ one lease being filled ─ full, or the last ─▶ writes in flight ─▶ target
//
// On a target with blocks, the blocks at both ends of the stream may belong to it in part only: just before the write, what is
// there already is read and put around the stream's own bytes.
//
// Bounded by `highWaterMark` bytes of leases and by MAX_IN_FLIGHT writes. One lease is held while it is filled, and another is
// taken only when that one is on its way; if none is free, or the target refuses a write for want of room, the end of a
// write in flight is waited for. Only where there is none, that is an error.

import { RingboltError, ringboltError } from '../../errors.js';
import { plainView, trueLength } from '../../memory/intrinsics.js';
import { leases, type Lease } from '../../memory/lease.js';
import { pools } from '../../memory/pool.js';
import { Fifo } from '../../schedule/fifo.js';
import { COPY_BYTES_PER_TURN } from '../../schedule/turn-budget.js';
import { invalidValue, outOfRange } from '../../validate.js';
import type { WritablePlan } from './options.js';
import { MAX_IN_FLIGHT, isRefusal, roundDown, roundUp, type StreamSource } from './source.js';

/** One write: a lease, and the stream's own bytes in it. */
interface Slot {
  /** Of the lease, in the target. */
  readonly offset: number;
  readonly lease: Lease;
  readonly memory: Uint8Array;
  /** The stream's own bytes begin here, */
  readonly from: number;
  /** and end before this. */
  to: number;
  /** Once its write has ended: how much of the lease, up to `to`, was written. */
  done: number | undefined;
}

/** Chunks that are being taken, and who is told when they have been. */
interface Job {
  readonly chunks: readonly Uint8Array[];
  readonly lengths: readonly number[];
  readonly done: () => void;
  index: number;
  /** Bytes of the chunk at `index` that have been copied. */
  taken: number;
}

export class WriteBehind {
  readonly #source: StreamSource;
  readonly #plan: WritablePlan;
  readonly #onError: (error: Error) => void;
  /** Of all reads and writes: what waits in a queue when this ends early goes at once. */
  readonly #cancel = new AbortController();
  /** All that are not known to be written, in the order of the target. */
  readonly #slots = new Fifo<Slot>();
  readonly #refused = new Fifo<Slot>();
  #filling: Slot | undefined;
  /** The next byte, in the target. */
  #position: number;
  /** All before it has been written. */
  #writtenTo: number;
  #job: Job | undefined;
  #copying = false;
  #writing = 0;
  #leases = 0;
  #error: Error | undefined;
  #stopped = false;
  #reported = false;
  readonly #onIdle: (() => void)[] = [];

  /** `onError` is called once, when nothing is in flight any more. */
  constructor(source: StreamSource, plan: WritablePlan, onError: (error: Error) => void) {
    this.#source = source;
    this.#plan = plan;
    this.#onError = onError;
    this.#position = plan.start;
    this.#writtenTo = plan.start;
  }

  /** Calls `done` when the chunks have been copied; not if that fails. One call at a time. */
  take(chunks: readonly Uint8Array[], done: () => void): void {
    if (this.#isOver()) return;
    const lengths = chunks.map(trueLength);
    const { end } = this.#plan;
    const bytes = lengths.reduce((sum, length) => sum + length, 0);
    if (bytes > end - this.#position) {
      this.#fail(outOfRange('the end of what is written', `<= ${end}`, this.#position + bytes));
      return;
    }
    this.#job = { chunks, lengths, done, index: 0, taken: 0 };
    this.#step();
  }

  /** Writes what is left, and calls `done` when all is written, and flushed if that was asked for; not if that fails. */
  async finish(done: () => void): Promise<void> {
    const last = this.#filling;
    if (last !== undefined) this.#write(last);
    await this.#whenIdle();
    const { flush, ioClass } = this.#plan;
    try {
      if (flush && !this.#isOver()) await this.#source.target.flush({ ioClass });
    } catch (error) {
      this.#fail(error);
    }
    if (!this.#isOver()) done();
  }

  /** Begins nothing more; resolves once nothing is in flight and every lease is back. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#giveUp();
    await this.#whenIdle();
  }

  #isOver(): boolean {
    return this.#stopped || this.#error !== undefined;
  }

  /** Goes on copying until all is taken, or something has to be waited for. */
  #step(): void {
    while (this.#job !== undefined && !this.#copying) {
      const job = this.#job;
      const left = job.lengths[job.index]! - job.taken;
      if (left === 0) {
        job.index++;
        job.taken = 0;
        if (job.index < job.chunks.length) continue;
        this.#job = undefined;
        job.done(); // which may bring the next
        return;
      }
      const slot = this.#filling ?? this.#beginSlot();
      if (slot === undefined) return; // a write that ends will go on
      const room = this.#plan.chunkBytes - slot.to;
      const bytes = Math.min(left, room, COPY_BYTES_PER_TURN);
      let later = false;
      this.#copying = true;
      this.#source.budget.spend(bytes, () => {
        this.#copying = false;
        if (this.#job === job) this.#copy(job, slot, bytes);
        if (later) this.#step();
      });
      later = true;
    }
  }

  #beginSlot(): Slot | undefined {
    const { target, pool } = this.#source;
    const { chunkBytes, highWaterMark } = this.#plan;
    const most = Math.min(Math.floor(highWaterMark / chunkBytes), MAX_IN_FLIGHT);
    if (this.#leases >= most || this.#refused.length > 0) return undefined;
    let lease = pools.tryAcquire(pool, chunkBytes);
    if (lease === undefined) {
      if (this.#writing > 0) return undefined;
      try {
        lease = pool.acquire(chunkBytes); // for its error
      } catch (error) {
        this.#fail(error);
        return undefined;
      }
    }
    this.#leases++;
    const offset = roundDown(this.#position, target.blockSize);
    const from = this.#position - offset;
    const memory = plainView(leases.memory(lease));
    const slot: Slot = { offset, lease, memory, from, to: from, done: undefined };
    this.#filling = slot;
    this.#slots.push(slot);
    return slot;
  }

  #copy(job: Job, slot: Slot, bytes: number): void {
    const chunk = job.chunks[job.index]!;
    if (trueLength(chunk) !== job.lengths[job.index]) {
      this.#fail(invalidValue('chunk', 'was detached or resized before it was written', chunk));
      return;
    }
    slot.memory.set(plainView(chunk).subarray(job.taken, job.taken + bytes), slot.to);
    slot.to += bytes;
    job.taken += bytes;
    this.#position += bytes;
    if (slot.to === this.#plan.chunkBytes) this.#write(slot);
  }

  #write(slot: Slot): void {
    if (slot === this.#filling) this.#filling = undefined;
    this.#writing++;
    this.#submit(slot).then(
      () => {
        this.#settle(slot, undefined);
      },
      (error: unknown) => {
        this.#settle(slot, error);
      },
    );
  }

  async #submit(slot: Slot): Promise<void> {
    const { target } = this.#source;
    const { chunkBytes, ioClass } = this.#plan;
    const { signal } = this.#cancel;
    const bytes = this.#bytesOf(slot);
    if (slot.from > 0 || slot.to < bytes) await this.#mergeEdges(slot);
    if (bytes < chunkBytes) leases.shorten(slot.lease, bytes);
    await target.write(slot.offset, slot.lease, { ioClass, signal });
  }

  /** That are to be written: whole blocks. */
  #bytesOf({ offset, to }: Slot): number {
    const { target, fixedSize = false } = this.#source;
    const bytes = roundUp(to, target.blockSize);
    return fixedSize ? Math.max(to, Math.min(bytes, target.size - offset)) : bytes;
  }

  /** Puts what is there already around the stream's own bytes. */
  async #mergeEdges(slot: Slot): Promise<void> {
    const { offset, memory, from, to } = slot;
    const { blockSize } = this.#source.target;
    const last = roundDown(to, blockSize);
    let block: Block | undefined;
    if (from > 0) {
      block = await this.#readBlock(offset);
      memory.set(block.memory.subarray(0, from));
    }
    const end = this.#bytesOf(slot);
    if (to === end) return;
    if (block === undefined || last > 0) block = await this.#readBlock(offset + last);
    if (block.existing < end - last && !this.#plan.padEnd) throw this.#noEnd(offset + to);
    memory.set(block.memory.subarray(to - last), to);
  }

  async #readBlock(offset: number): Promise<Block> {
    const { blockSize, size } = this.#source.target;
    const memory = new Uint8Array(blockSize);
    if (offset >= size) return { memory, existing: 0 }; // what was opened for writing only cannot be asked
    const options = { ioClass: this.#plan.ioClass, signal: this.#cancel.signal };
    return { memory, existing: await this.#source.target.read(offset, memory, options) };
  }

  #noEnd(end: number): Error {
    const { path, blockSize } = this.#source.target;
    return ringboltError(
      'ERR_RINGBOLT_MISALIGNED',
      `The stream ends at ${end}, inside the last block of the file, and only whole blocks of ${blockSize} bytes can be ` +
        'written: open the file with direct: false, or let padEnd fill the block with zeros',
      { path },
    );
  }

  #settle(slot: Slot, error: unknown): void {
    this.#writing--;
    if (isRefusal(error) && this.#writing > 0 && !this.#isOver()) {
      this.#refused.push(slot);
      return;
    }
    slot.done = error === undefined ? slot.to : bytesDoneOf(error, slot.to);
    this.#giveBack(slot);
    this.#countWritten();
    if (error !== undefined) this.#fail(error);
    const again = this.#refused.shift();
    if (again !== undefined) this.#write(again);
    if (this.#writing > 0) return this.#step();
    this.#reportError();
    for (const resolve of this.#onIdle.splice(0)) resolve();
    this.#step();
  }

  /** How far it is written without a gap. */
  #countWritten(): void {
    let slot = this.#slots.peek();
    while (slot?.done !== undefined) {
      this.#writtenTo = Math.max(this.#writtenTo, slot.offset + slot.done);
      if (slot.done < slot.to) return; // it failed, and stays: nothing behind it counts
      this.#slots.shift();
      slot = this.#slots.peek();
    }
  }

  #giveBack(slot: Slot): void {
    this.#leases--;
    slot.lease.release();
  }

  /** Drops what is not in flight. */
  #giveUp(): void {
    this.#job = undefined;
    if (this.#filling !== undefined) this.#giveBack(this.#filling);
    this.#filling = undefined;
    let refused = this.#refused.shift();
    while (refused !== undefined) {
      this.#giveBack(refused);
      refused = this.#refused.shift();
    }
    if (this.#writing > 0) this.#cancel.abort();
  }

  #fail(error: unknown): void {
    if (this.#isOver()) return;
    this.#error = error as Error;
    this.#giveUp();
    if (this.#writing === 0) this.#reportError();
  }

  /** Only when nothing is in flight: what was written before is part of it. */
  #reportError(): void {
    if (this.#error === undefined || this.#reported || this.#stopped) return;
    this.#reported = true;
    this.#onError(this.#describe(this.#error));
  }

  /** The error as one of the whole stream, and not of the write that met it. */
  #describe(error: Error): Error {
    if (!(error instanceof RingboltError)) return error;
    const { code, message, errno, syscall, path } = error;
    const { start } = this.#plan;
    const length = this.#position - start;
    const bytesDone = this.#writtenTo - start;
    const details = { errno, syscall, path, offset: start, length, bytesDone, cause: error };
    return new RingboltError(code, message, details);
  }

  async #whenIdle(): Promise<void> {
    if (this.#writing === 0) return;
    await new Promise<void>((resolve) => this.#onIdle.push(resolve));
  }
}

/** Zeros where the target has nothing. */
interface Block {
  readonly memory: Uint8Array;
  readonly existing: number;
}

function bytesDoneOf(error: unknown, most: number): number {
  const done = (error as { bytesDone?: number } | undefined)?.bytesDone ?? 0;
  return Math.min(done, most - 1); // padding may fail behind all of the stream's own bytes
}
