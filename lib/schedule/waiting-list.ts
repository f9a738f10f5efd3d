// Operations that wait, in order of arrival. Linked through the operations themselves: any of them can leave at once, from
// the middle as well, so that those whose caller has given up take no room until their turn comes.
//
//   first ─▶ a ⇄ b ⇄ c ◀─ last
//
// An operation is in one list at most, which it knows. Bounded by whoever pushes.

import type { Operation } from './operation.js';

export class WaitingList {
  #first: Operation | undefined;
  #last: Operation | undefined;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  get first(): Operation | undefined {
    return this.#first;
  }

  push(op: Operation): void {
    op.list = this;
    op.previous = this.#last;
    if (this.#last === undefined) this.#first = op;
    else this.#last.next = op;
    this.#last = op;
    this.#length++;
  }

  shift(): Operation | undefined {
    const op = this.#first;
    if (op !== undefined) this.remove(op);
    return op;
  }

  /** Requires op.list === this. */
  remove(op: Operation): void {
    if (op.previous === undefined) this.#first = op.next;
    else op.previous.next = op.next;
    if (op.next === undefined) this.#last = op.previous;
    else op.next.previous = op.previous;
    op.list = undefined;
    op.previous = undefined;
    op.next = undefined;
    this.#length--;
  }
}
