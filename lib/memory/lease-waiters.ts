// Callers that wait for memory, in order of arrival: what comes back is offered to the first of them, and to the next only when the
// first has what it wants. So a large request is not overtaken by small ones for ever.

import { ringboltError } from '../errors.js';
import type { Interrupt, Interruptible } from '../interrupt.js';
import type { Lease } from './lease.js';

/** Callers that may wait at once. */
const MAX_WAITERS = 65_536;
/** Memory that was forgotten comes back without any call of ours: it is looked for while somebody waits. */
const RECLAIM_INTERVAL_MS = 100;

interface Waiter extends Interruptible {
  readonly take: () => Lease | undefined;
  /** Both after it has left. */
  readonly resolve: (lease: Lease) => void;
  readonly reject: (reason: unknown) => void;
}

export class LeaseWaiters {
  readonly #waiters = new Set<Waiter>();
  readonly #reclaim: () => void;
  #timer: NodeJS.Timeout | undefined;
  #serving = false;
  #servingSoon = false;

  /** `reclaim` looks for forgotten memory, and calls {@link serve} if there was any. */
  constructor(reclaim: () => void) {
    this.#reclaim = reclaim;
  }

  get size(): number {
    return this.#waiters.size;
  }

  /** Resolves with what `take` answers, once that is something and all who came before have theirs. */
  wait(take: () => Lease | undefined, interrupts: Interrupt | undefined): Promise<Lease> {
    return new Promise((resolve, reject) => {
      if (this.#waiters.size >= MAX_WAITERS) {
        throw ringboltError('ERR_RINGBOLT_OVERLOADED', `${MAX_WAITERS} callers wait for memory`);
      }
      const waiter: Waiter = {
        take,
        resolve: (lease) => {
          interrupts?.delete(waiter);
          resolve(lease);
        },
        reject: (reason) => {
          interrupts?.delete(waiter);
          reject(reason);
        },
        interrupt: (reason) => {
          if (!this.#leave(waiter)) return; // it has its lease already
          waiter.reject(reason);
          this.#serveSoon(); // those behind it may want less
        },
      };
      this.#waiters.add(waiter);
      interrupts?.add(waiter);
      this.#timer ??= setInterval(this.#reclaim, RECLAIM_INTERVAL_MS).unref();
    });
  }

  /** Something may be free. */
  serve(): void {
    // What comes back while somebody takes his is found by whoever began: served from here, the same one would be served twice.
    if (this.#serving) return;
    this.#serving = true;
    try {
      for (const waiter of this.#waiters) if (!this.#serveOne(waiter)) return;
    } finally {
      this.#serving = false;
    }
  }

  /** Nothing will be leased any more. */
  abandon(reason: Error): void {
    for (const waiter of [...this.#waiters]) if (this.#leave(waiter)) waiter.reject(reason);
  }

  /** False if there is nothing for it: then those behind it wait, too. */
  #serveOne(waiter: Waiter): boolean {
    let lease: Lease | undefined;
    try {
      lease = waiter.take();
    } catch (error) {
      // Its own affair, and not that of whoever has just released something.
      if (this.#leave(waiter)) waiter.reject(error);
      return true;
    }
    if (lease === undefined) return false;
    if (this.#leave(waiter)) waiter.resolve(lease);
    else lease.release();
    return true;
  }

  /** Once for all that leave together. */
  #serveSoon(): void {
    if (this.#servingSoon) return;
    this.#servingSoon = true;
    queueMicrotask(() => {
      this.#servingSoon = false;
      this.serve();
    });
  }

  #leave(waiter: Waiter): boolean {
    const was = this.#waiters.delete(waiter);
    if (this.#waiters.size === 0) {
      clearInterval(this.#timer);
      this.#timer = undefined;
    }
    return was;
  }
}
