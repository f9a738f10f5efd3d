// Work that must not hold up the event loop: so many bytes are copied in one turn, the rest waits for the next ones. One account
// for all that copies on the JavaScript thread for an engine: its own copies, and the kernel's out of the page cache (loop-lane.ts).

import { Fifo } from './fifo.js';

/** Bytes copied on the JavaScript thread in one turn of the event loop, at most. */
export const COPY_BYTES_PER_TURN = 256 * 1024;

interface Work {
  readonly bytes: number;
  readonly run: () => void;
}

export class TurnBudget {
  #spent = 0;
  #planned = false;
  readonly #waiting = new Fifo<Work>();

  /** Runs `run`, which copies `bytes` (at most the whole budget), now or in a later turn; in order of arrival. */
  spend(bytes: number, run: () => void): void {
    if (this.#waiting.length > 0 || this.#spent + bytes > COPY_BYTES_PER_TURN) {
      this.#waiting.push({ bytes, run });
    } else {
      this.#spent += bytes;
      run();
    }
    this.#plan();
  }

  /** Whether that much may be copied now without overtaking anybody: to be told by {@link charge} if it was. */
  fits(bytes: number): boolean {
    return this.#waiting.length === 0 && this.#spent + bytes <= COPY_BYTES_PER_TURN;
  }

  /** So much was copied in this turn. */
  charge(bytes: number): void {
    this.#spent += bytes;
    this.#plan();
  }

  #plan(): void {
    if (this.#planned) return;
    this.#planned = true;
    setImmediate(this.#nextTurn);
  }

  readonly #nextTurn = (): void => {
    this.#planned = false;
    this.#spent = 0;
    try {
      let work = this.#waiting.peek();
      while (work !== undefined && this.#spent + work.bytes <= COPY_BYTES_PER_TURN) {
        this.#waiting.shift();
        this.#spent += work.bytes;
        work.run();
        work = this.#waiting.peek();
      }
    } finally {
      if (this.#waiting.length > 0 || this.#spent > 0) this.#plan();
    }
  };
}
