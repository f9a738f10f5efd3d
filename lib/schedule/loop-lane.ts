// The lane of the queue that this thread drives itself, for a small read that is alone in the engine.
//
// A queue's thread is worth its price when it has many operations to work on; with one, most of the time goes into waking
// it up and being woken up in turn. So one small read, while there is nothing else, goes to a ring of the JavaScript thread, which
// the event loop polls. The kernel answers from the page cache at once, and otherwise when the device has: neither blocks.
//
// What is answered at once is delivered at once, without a turn of the event loop, so that has to be bounded: at most
// COPY_BYTES_PER_TURN are copied before timers and sockets have had their turn.

import { OpKind, type NativeEngine } from '../native.js';
import { Lane } from './lane.js';
import type { Operation } from './operation.js';
import { COPY_BYTES_PER_TURN } from './turn-budget.js';

/** The largest read that is submitted here: copying it takes some microseconds. */
const MAX_BYTES = 16 * 1024;

export class LoopLane {
  readonly lane: Lane;
  readonly #native: NativeEngine;
  /** Pushed in this tick, alone so far. */
  #candidate: Operation | undefined;
  /** Of the last one. */
  #bytes = 0;
  /** In this turn of the event loop, delivered at once. */
  #spent = 0;

  /** `queue`: the index of the native engine's driven queue. */
  constructor(native: NativeEngine, queue: number) {
    this.#native = native;
    this.lane = new Lane(native, queue, 1, (count) => this.#drive(count));
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
    this.lane.push(op);
  }

  /** The operation that is not alone any more, if there is one: to go where the others go. */
  takeBack(): Operation | undefined {
    const op = this.#candidate;
    if (op === undefined) return undefined;
    this.#candidate = undefined;
    this.lane.takeBack(op);
    return op;
  }

  /** Something else is pushed behind it, on this very lane: it stays. */
  settleIn(): void {
    this.#candidate = undefined;
  }

  #drive(count: number): boolean {
    this.#bytes = this.#candidate?.length ?? 1;
    this.#candidate = undefined;
    const affordable = this.#spent + this.#bytes <= COPY_BYTES_PER_TURN;
    const ready = this.#native.drive(count, affordable ? 1 : 0);
    if (affordable && ready > 0) this.#spend();
    return ready >= 0;
  }

  #spend(): void {
    if (this.#spent === 0) setImmediate(this.#nextTurn);
    this.#spent += this.#bytes;
  }

  /** What could not be delivered for want of a turn is waiting for it. */
  readonly #nextTurn = (): void => {
    this.#spent = 0;
    if (this.lane.isBusy && this.#native.drive(0, 1) > 0) this.#spend();
  };
}
