// The way to stream without a copy: an async iterable of leases, in the order of the file. Whoever iterates owns what it is
// given and releases it; what was read ahead and not handed out is released when the iteration ends.
//
// All leases of an iteration count against highWaterMark until they are released, those that its consumer holds too: then
// it waits for one to come back. The pool says when that is, even of leases that were forgotten; it is told in a way that does
// not keep this iteration alive, so that one which nobody knows any more is collected, with what it had read ahead.

import type { Lease } from '../../memory/lease.js';
import { leases as access } from '../../memory/lease.js';
import { plainView } from '../../memory/intrinsics.js';
import { pools, type LeaseCounter } from '../../memory/pool.js';
import { Fifo } from '../../schedule/fifo.js';
import { beginInterrupt, isAborted, type Interrupt, type Interruptible } from '../../interrupt.js';
import { resolveStreamOptions, type StreamOptions, type StreamPlan } from './options.js';
import { ReadAhead, type Next } from './read-ahead.js';
import type { StreamSource } from './source.js';

type Result = IteratorResult<Lease, undefined>;

/**
 * Each iteration of what is returned reads the range anew.
 *
 * @throws what resolveStreamOptions does
 */
export function leases(source: StreamSource, options: StreamOptions = {}): AsyncIterable<Lease> {
  const plan = resolveStreamOptions(source, options);
  return { [Symbol.asyncIterator]: () => new LeaseIterator(source, plan) };
}

/** Bytes of leases that have not come back to the pool. */
class Account implements LeaseCounter {
  bytes = 0;
  /** Set only while somebody waits: who is not waited for may be forgotten. */
  onReturn: (() => void) | undefined;

  tryAcquire(source: StreamSource, bytes: number): Lease | undefined {
    const lease = pools.tryAcquireCounted(source.pool, bytes, this);
    if (lease !== undefined) this.bytes += bytes;
    return lease;
  }

  returned(bytes: number): void {
    this.bytes -= bytes;
    this.onReturn?.();
  }
}

interface Waiter {
  readonly resolve: (result: Result) => void;
  readonly reject: (reason: unknown) => void;
}

const DONE: Result = { done: true, value: undefined };

class LeaseIterator implements AsyncIterator<Lease, undefined>, Interruptible {
  readonly #plan: StreamPlan;
  readonly #source: StreamSource;
  readonly #ahead: ReadAhead;
  readonly #account = new Account();
  readonly #waiters = new Fifo<Waiter>();
  #ended = false;
  #listening = false;
  #interrupt: Interrupt | undefined;
  #retryPlanned = false;

  constructor(source: StreamSource, plan: StreamPlan) {
    const account = this.#account;
    this.#plan = plan;
    this.#source = source;
    this.#ahead = new ReadAhead(source, plan, {
      tryAcquire: (bytes) => account.tryAcquire(source, bytes),
      consumerBytes: () => account.bytes - this.#ahead.bytes,
      onProgress: () => {
        this.#deliver();
      },
      // What lies before the range has to be moved out of the way: that is not to be much.
      headBytes: source.target.blockSize,
    });
  }

  next(): Promise<Result> {
    if (this.#ended) return Promise.resolve(DONE);
    if (this.#waiters.length === 0 && !isAborted(this.#plan.signal)) {
      this.#ahead.advance();
      const next = this.#ahead.shift();
      if (next?.kind === 'piece') return Promise.resolve(resultOf(next));
      if (next !== undefined) {
        return new Promise((resolve, reject) => {
          this.#settle({ resolve, reject }, next);
        });
      }
    }
    return new Promise((resolve, reject) => {
      this.#waiters.push({ resolve, reject });
      this.#listen(true);
      if (!this.#ended) this.#retry();
    });
  }

  /** For `break`: resolves once all that was read ahead is back in the pool. */
  async return(): Promise<Result> {
    await this.#end();
    return DONE;
  }

  async throw(error: unknown): Promise<Result> {
    await this.#end();
    throw error;
  }

  #retry(): void {
    this.#ahead.advance(true);
    this.#deliver();
  }

  /** Gives those who wait what there is. */
  #deliver(): void {
    let waiter = this.#waiters.peek();
    while (waiter !== undefined) {
      const next = this.#ahead.shift();
      if (next === undefined) break;
      this.#waiters.shift();
      this.#settle(waiter, next);
      waiter = this.#waiters.peek();
    }
    this.#listen(waiter !== undefined);
    // Only a lease that comes back helps those who wait now: one that was forgotten, too.
    if (waiter !== undefined && !this.#ahead.isReading) pools.reclaim(this.#source.pool);
  }

  #settle(waiter: Waiter, next: Next): void {
    if (next.kind === 'piece') {
      waiter.resolve(resultOf(next));
      return;
    }
    if (next.kind === 'error') waiter.reject(next.error);
    else waiter.resolve(DONE);
    void this.#end();
  }

  #end(): Promise<void> {
    this.#ended = true;
    for (let one = this.#waiters.shift(); one !== undefined; one = this.#waiters.shift()) {
      one.resolve(DONE);
    }
    this.#listen(false);
    return this.#ahead.stop();
  }

  /** To what ends a wait: only while there is one, so that nothing else keeps the iteration alive. */
  #listen(waiting: boolean): void {
    if (this.#listening === waiting) return;
    this.#listening = waiting;
    this.#account.onReturn = waiting ? this.#onReturn : undefined;
    if (!waiting) {
      this.#interrupt?.delete(this);
      return;
    }
    try {
      this.#interrupt = beginInterrupt(this.#plan.signal, undefined);
      this.#interrupt?.add(this);
    } catch (error) {
      this.interrupt(error as Error); // it has been aborted before
    }
  }

  /** For the signal. */
  interrupt(reason: Error): void {
    this.#waiters.shift()?.reject(reason);
    void this.#end();
  }

  /** Not in the middle of a release(), whose caller expects nothing else to happen. */
  readonly #onReturn = (): void => {
    if (this.#retryPlanned) return;
    this.#retryPlanned = true;
    process.nextTick(() => {
      this.#retryPlanned = false;
      if (!this.#ended) this.#retry();
    });
  };
}

type Piece = Extract<Next, { kind: 'piece' }>;

function resultOf(piece: Piece): Result {
  return { done: false, value: trimmed(piece) };
}

/** A lease whose buffer is the piece. */
function trimmed({ lease, skip, bytes }: Piece): Lease {
  if (skip > 0) plainView(access.memory(lease)).copyWithin(0, skip, skip + bytes);
  if (bytes < access.bytes(lease)) access.shorten(lease, bytes);
  return lease;
}
