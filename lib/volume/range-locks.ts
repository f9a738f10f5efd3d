// Rule 3: locks on ranges of blocks, in order of arrival.
//
//   take ─▶ waiting ──when all earlier ones that conflict are gone──▶ held ──release──▶ gone, remembered for a while
//
// A lock waits for every earlier one that overlaps it, held or waiting, and for nobody else; so nobody is overtaken by somebody
// who is in the way, and those apart do not know of each other. Each counts those it waits for, and each knows who waits for it.
//
// Reads take no lock. They ask for a stamp before, and afterwards whether an exclusive lock that overlaps what they read was held since
// then: if so, what they have may be half of one write and half of another, and they are repeated. The second time they queue, with a
// shared lock: writes that come later wait for it, other reads neither wait nor notice.
//
// To answer, the ranges of locks that were released are remembered, the last few thousand of them, and gone through if anybody asks: few do. A
// read that lasted longer than that is told that it overlapped one: it may be wrong, and costs a read.
//
// Held at once, nothing is allocated but the lock itself. One thread; nothing here can fail but by having too many wait.

import { ringboltError } from '../errors.js';
import { Interval, IntervalTree } from './interval-tree.js';

export interface RangeLockLimits {
  /** Locks that may wait at a time. */
  readonly maxWaiting: number;
  /** Released locks that are remembered. Default 4096. */
  readonly maxRemembered?: number;
}

const MAX_REMEMBERED = 4096;

const isAny = (): boolean => true;

const WAITING = 0;
const HELD = 1;
const RELEASED = 2;

/** Made by {@link RangeLocks}. */
export class RangeLock extends Interval {
  readonly shared: boolean;
  // What follows is for RangeLocks alone.
  state = HELD;
  /** Earlier ones it waits for. */
  blockers = 0;
  /** Later ones that wait for it. */
  blocked: RangeLock[] | undefined;
  settle: ((held: boolean) => void) | undefined;
  #whenHeld: Promise<boolean> | undefined;

  constructor(first: number, end: number, shared: boolean) {
    super(first, end);
    this.shared = shared;
  }

  get held(): boolean {
    return this.state === HELD;
  }

  /** Resolves to true once it is held, to false if it is released before. For one that is held, {@link held} costs less. */
  whenHeld(): Promise<boolean> {
    if (this.state !== WAITING) return Promise.resolve(this.held);
    return (this.#whenHeld ??= new Promise((resolve) => {
      this.settle = resolve;
    }));
  }
}

export class RangeLocks {
  readonly #maxWaiting: number;
  readonly #maxRemembered: number;
  readonly #tree = new IntervalTree<RangeLock>();
  /** Ranges of exclusive locks that were released, first and end of each, in the place of its number. */
  readonly #remembered: Float64Array;
  /** Exclusive locks released so far: a stamp is this number. */
  #releases = 0;
  #exclusive = 0;
  #waiting = 0;
  // What the search for blockers works on: a closure for each lock would be all that is allocated besides.
  #arriving: RangeLock | undefined;
  readonly #addBlocker = (earlier: RangeLock): boolean => {
    const arriving = this.#arriving!;
    if (!(earlier.shared && arriving.shared)) {
      (earlier.blocked ??= []).push(arriving);
      arriving.blockers++;
    }
    return false;
  };

  constructor({ maxWaiting, maxRemembered = MAX_REMEMBERED }: RangeLockLimits) {
    this.#maxWaiting = maxWaiting;
    this.#maxRemembered = maxRemembered;
    this.#remembered = new Float64Array(2 * maxRemembered);
  }

  /** Locks that wait. */
  get waiting(): number {
    return this.#waiting;
  }

  /**
   * For whoever changes blocks `first` to `end` - 1, or their tags.
   *
   * @throws `ERR_RINGBOLT_OVERLOADED` if it would have to wait and too many do
   */
  take(first: number, end: number): RangeLock {
    return this.#enter(new RangeLock(first, end, false));
  }

  /** {@link take}, if it is held at once; undefined if it would have to wait: then it was never asked for. */
  tryTake(first: number, end: number): RangeLock | undefined {
    if (this.#tree.some(first, end, isAny)) return undefined;
    const lock = new RangeLock(first, end, false);
    this.#tree.insert(lock);
    this.#exclusive++;
    return lock;
  }

  /**
   * For a read that is repeated.
   *
   * @throws `ERR_RINGBOLT_OVERLOADED` if it would have to wait and too many do
   */
  takeShared(first: number, end: number): RangeLock {
    return this.#enter(new RangeLock(first, end, true));
  }

  /** Once. A lock that waits is given up. */
  release(lock: RangeLock): void {
    if (lock.state === RELEASED) throw new Error('ringbolt: a range lock was released twice');
    const wasHeld = lock.state === HELD;
    lock.state = RELEASED;
    if (!lock.shared) this.#exclusive--;
    this.#tree.remove(lock);
    if (wasHeld && !lock.shared) this.#remember(lock);
    if (!wasHeld) {
      this.#waiting--;
      lock.settle?.(false);
    }
    const { blocked } = lock;
    lock.blocked = undefined;
    if (blocked !== undefined) for (const later of blocked) this.#unblock(later);
  }

  /** To be taken before a read begins. */
  stamp(): number {
    return this.#releases;
  }

  /**
   * Whether an exclusive lock overlapping these blocks is held, or was at any time since the stamp, other than `own`. Never wrong if it
   * says no.
   */
  wasLocked(first: number, end: number, stamp: number, own?: RangeLock): boolean {
    if (this.#exclusive === 0 && this.#releases === stamp) return false; // nobody writes
    if (this.#releases - stamp > this.#maxRemembered) return true;
    for (let number = stamp; number < this.#releases; number++) {
      const at = 2 * (number % this.#maxRemembered);
      if (this.#remembered[at]! < end && this.#remembered[at + 1]! > first) return true;
    }
    return this.#tree.some(first, end, (lock) => lock !== own && isHeldForWriting(lock));
  }

  #enter(lock: RangeLock): RangeLock {
    this.#arriving = lock;
    this.#tree.some(lock.first, lock.end, this.#addBlocker);
    this.#arriving = undefined;
    if (lock.blockers > 0) this.#wait(lock);
    this.#tree.insert(lock);
    if (!lock.shared) this.#exclusive++;
    return lock;
  }

  #wait(lock: RangeLock): void {
    lock.state = WAITING;
    if (this.#waiting === this.#maxWaiting) {
      // Those in its way have it in their lists, where it counts no more.
      lock.state = RELEASED;
      const text = `More than ${this.#maxWaiting} operations wait for others on the same blocks`;
      throw ringboltError('ERR_RINGBOLT_OVERLOADED', text);
    }
    this.#waiting++;
  }

  #unblock(later: RangeLock): void {
    later.blockers--;
    if (later.blockers > 0 || later.state !== WAITING) return;
    later.state = HELD;
    this.#waiting--;
    later.settle?.(true);
  }

  #remember({ first, end }: RangeLock): void {
    const number = this.#releases++;
    if (this.#maxRemembered === 0) return;
    const at = 2 * (number % this.#maxRemembered);
    this.#remembered[at] = first;
    this.#remembered[at + 1] = end;
  }
}

function isHeldForWriting({ shared, state }: RangeLock): boolean {
  return !shared && state !== WAITING;
}
