// A node:stream that reads a target. Its chunks own their memory: a stream has no point at which its consumer would give a
// lease back.
//
//   target ─ reads ─▶ leases ─ copied, so much a turn ─▶ chunks ─ push, when asked ─▶ Readable ─▶ consumer
//
// Leases are held while a read is in flight and until it has been copied, in order, whatever the consumer does: one that pauses
// holds no slab. Node's own buffer is kept at one chunk, since `read()` joins, in one go, whatever is in it.

import { addAbortSignal, Readable } from 'node:stream';
import { plainView } from '../../memory/intrinsics.js';
import { leases, type Lease } from '../../memory/lease.js';
import { pools } from '../../memory/pool.js';
import { Fifo } from '../../schedule/fifo.js';
import { resolveStreamOptions, type StreamOptions, type StreamPlan } from './options.js';
import { ReadAhead } from './read-ahead.js';
import type { StreamSource } from './source.js';

/**
 * Bytes of a chunk, at most. From 128 KiB on, malloc asks the kernel for fresh pages each time: copying into chunks of
 * 256 KiB took twice the CPU time.
 */
const PIECE_BYTES = 64 * 1024;

/** @throws what resolveStreamOptions does */
export function readable(source: StreamSource, options: StreamOptions = {}): Readable {
  const plan = resolveStreamOptions(source, options);
  const stream = new BlockReadable(source, plan);
  // Not as an option: a signal that has aborted would destroy the stream before it is made.
  if (plan.signal !== undefined) addAbortSignal(plan.signal, stream);
  return stream;
}

class BlockReadable extends Readable {
  readonly #source: StreamSource;
  readonly #ahead: ReadAhead;
  readonly #chunks = new Fifo<Buffer>();
  #chunkBytes = 0;
  /** Bytes that wait to be copied. */
  #copyBytes = 0;
  /** Node has asked for data and not got it yet. */
  #wanted = false;
  #ended = false;
  #error: Error | undefined;

  constructor(source: StreamSource, plan: StreamPlan) {
    super({ highWaterMark: 1 });
    this.#source = source;
    this.#ahead = new ReadAhead(source, plan, {
      tryAcquire: (bytes) => pools.tryAcquire(source.pool, bytes),
      consumerBytes: () => this.#unconsumedBytes(),
      onProgress: () => {
        this.#take();
      },
      headBytes: plan.chunkBytes,
    });
  }

  override _read(): void {
    // In the middle of read(), which would join what came now with what it is about to return.
    if (this.readableLength > 0) process.nextTick(() => this.#want());
    else this.#want();
  }

  #want(): void {
    this.#wanted = true;
    this.#deliver();
    this.#ahead.advance();
    this.#take();
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    while (this.#chunks.length > 0) this.#chunks.shift();
    void this.#ahead.stop().then(() => {
      // Behind the copies that have not been made: they give their leases back in place of that.
      this.#source.budget.spend(0, () => {
        callback(error);
      });
    });
  }

  #unconsumedBytes(): number {
    // Node asks when it has handed out what it had: what is there all the same, a consumer has put back.
    const buffered = this.#wanted ? 0 : this.readableLength;
    return this.#copyBytes + this.#chunkBytes + buffered;
  }

  /** Takes all that has been read, to be copied as the budget allows. */
  #take(): void {
    while (!this.#ended && !this.destroyed) {
      const next = this.#ahead.shift();
      if (next === undefined) return;
      if (next.kind === 'piece') {
        this.#copyLater(next.lease, next.skip, next.bytes);
      } else {
        this.#ended = true;
        if (next.kind === 'error') this.#error = next.error as Error;
        this.#deliver();
      }
    }
  }

  #copyLater(lease: Lease, skip: number, bytes: number): void {
    this.#copyBytes += bytes;
    for (let at = 0; at < bytes; at += PIECE_BYTES) {
      const length = Math.min(PIECE_BYTES, bytes - at);
      this.#source.budget.spend(length, () => {
        this.#copy(lease, skip + at, length);
        if (at + length < bytes) return;
        lease.release();
        this.#ahead.advance(); // it may have found no slab before
      });
    }
  }

  #copy(lease: Lease, from: number, length: number): void {
    this.#copyBytes -= length;
    if (this.destroyed) return;
    let chunk: Buffer;
    try {
      chunk = Buffer.allocUnsafeSlow(length);
    } catch (error) {
      this.destroy(error as Error); // no memory
      return;
    }
    chunk.set(plainView(leases.memory(lease)).subarray(from, from + length));
    this.#chunks.push(chunk);
    this.#chunkBytes += length;
    this.#deliver();
  }

  /** Gives Node what it has asked for. Consumers are called in the middle of it, and may do as they like. */
  #deliver(): void {
    while (this.#wanted && this.#chunks.length > 0) {
      const chunk = this.#chunks.shift()!;
      this.#chunkBytes -= chunk.length;
      this.#wanted = false;
      if (this.push(chunk)) this.#wanted = true;
    }
    if (!this.#ended || this.#copyBytes > 0 || this.#chunks.length > 0) return;
    if (this.#error === undefined) {
      if (!this.readableEnded && !this.destroyed) this.push(null);
    } else if (this.#wanted) {
      this.destroy(this.#error);
    }
  }
}
