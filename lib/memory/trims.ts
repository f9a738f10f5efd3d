// Trims of a pool: one under way, and one that waits and is everybody's who came meanwhile. Each occupies the control thread, so
// that a program which asks for them without end would otherwise keep it from everything else.

import { Interrupt, untilInterrupted } from '../interrupt.js';

export class Trims {
  readonly #begin: () => Promise<number>;
  #present: Promise<number> | undefined;
  #next: Promise<number> | undefined;
  /** Fires when native code answers no more. */
  readonly #interrupt = new Interrupt(undefined, undefined);

  /** Given back by all of them. */
  bytesTotal = 0;

  /** `begin` throws when there are to be no more. */
  constructor(begin: () => Promise<number>) {
    this.#begin = begin;
  }

  /** Resolves to the bytes of a trim that began after this call. */
  async trim(): Promise<number> {
    const present = this.#present;
    if (present === undefined) return this.#run();
    this.#next ??= present.then(() => {
      this.#next = undefined;
      return this.trim();
    });
    return this.#next;
  }

  async #run(): Promise<number> {
    this.#present = untilInterrupted(this.#begin(), this.#interrupt);
    try {
      const bytes = await this.#present;
      this.bytesTotal += bytes;
      return bytes;
    } finally {
      this.#present = undefined;
    }
  }

  abandon(reason: Error): void {
    this.#interrupt.fire(reason);
  }
}
