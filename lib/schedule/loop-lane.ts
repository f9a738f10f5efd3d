// The lane of the queue that this thread drives itself, for a small read that is alone in the engine.
//
// A queue's thread is worth its price when it has many operations to work on; with one, most of the time goes into waking
// it up and being woken up in turn. So one small read, while there is nothing else, goes to a ring of the JavaScript thread, which
// the event loop polls. The kernel answers from the page cache at once, and otherwise when the device has: neither blocks.
//
// What comes from the page cache the kernel copies on this thread, so it is on the same account as all that is copied there: a read
// that does not fit into this turn any more waits for its own in the order of arrival, among copies of other kinds.
//
// A read that waits for a disk into the page cache is copied in the turn in which the disk has answered, whatever that turn has
// copied already: MAX_BYTES more than its share at most, and what else would be copied in it then waits.

import { OpKind, type NativeEngine } from '../native.js';
import { Lane } from './lane.js';
import type { Operation } from './operation.js';
import type { TurnBudget } from './turn-budget.js';

/** The largest read that is submitted here: copying it takes some microseconds. */
const MAX_BYTES = 16 * 1024;

export class LoopLane {
  readonly lane: Lane;
  readonly #native: NativeEngine;
  readonly #budget: TurnBudget;
  /** Pushed in this tick, alone so far. */
  #candidate: Operation | undefined;
  /** Of the one read that is pushed or in flight: what copying it comes to, until it is on the account. */
  #bytes = 0;
  #direct = false;
  /** Slots that wait for a turn. */
  #held = 0;
  /** The kernel is being given slots: what it copies meanwhile, it copies now, direct or not. */
  #driving = false;

  /** `queue`: the index of the native engine's driven queue. */
  constructor(native: NativeEngine, queue: number, budget: TurnBudget) {
    this.#native = native;
    this.#budget = budget;
    this.lane = new Lane(native, queue, 1, (count) => this.#publish(count));
  }

  /** Whether `op` belongs here if there is nothing else in the engine. */
  suits(op: Operation): boolean {
    return (
      op.kind === OpKind.read &&
      op.length <= MAX_BYTES &&
      op.checksums === undefined &&
      op.file!.readsWithoutBlocking &&
      this.lane.hasRoom &&
      this.lane.unpublished === 0
    );
  }

  /** Requires suits(op), and that nothing is under way. */
  push(op: Operation): void {
    this.#candidate = op;
    this.#bytes = op.length;
    this.#direct = op.file!.direct;
    this.lane.push(op);
  }

  /** The operation that is not alone any more, if there is one: to go where the others go. */
  takeBack(): Operation | undefined {
    const op = this.#candidate;
    if (op === undefined) return undefined;
    this.#candidate = undefined;
    this.#bytes = 0;
    this.lane.takeBack(op);
    return op;
  }

  /** Something else is pushed behind it, on this very lane: it stays. */
  settleIn(): void {
    this.#candidate = undefined;
  }

  /** Completions are about to be delivered. */
  arriving(): void {
    const bytes = this.#bytes;
    this.#bytes = 0;
    if (bytes > 0 && (this.#driving || !this.#direct)) this.#budget.charge(bytes);
  }

  #publish(count: number): boolean {
    this.#candidate = undefined;
    const holding = this.#held > 0;
    this.#held += count;
    if (holding) return true; // in order, together with those before
    if (this.#budget.fits(this.#bytes)) return this.#drive();
    this.#wait();
    return true;
  }

  #wait(): void {
    this.#budget.spend(this.#bytes, () => {
      this.#budget.charge(-this.#bytes); // until it arrives, now or later
      if (!this.#drive()) throw new Error('ringbolt: the loop ring refused what was held for it');
    });
  }

  #drive(): boolean {
    const count = this.#held;
    this.#held = 0;
    if (!this.lane.isBusy) return true; // given up meanwhile
    this.#driving = true;
    try {
      return this.#native.drive(count);
    } finally {
      this.#driving = false;
    }
  }
}
