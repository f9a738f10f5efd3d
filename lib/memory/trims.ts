// Trims of a pool. They join: each occupies the control thread, so that a program which asks for them without end would otherwise keep
// it from everything else.

import { Interrupt, untilInterrupted } from '../interrupt.js';
import { JoinedRuns } from '../joined-runs.js';

export class Trims {
  readonly #begin: () => Promise<number>;
  readonly #runs = new JoinedRuns<number>();
  /** Fires when native code answers no more. */
  readonly #interrupt = new Interrupt(undefined, undefined);

  /** Given back by all of them. */
  bytesTotal = 0;

  /** `begin` rejects when there are to be no more. */
  constructor(begin: () => Promise<number>) {
    this.#begin = begin;
  }

  /** Resolves to the bytes of a trim that began after this call. */
  trim(): Promise<number> {
    return this.#runs.join(async () => {
      const bytes = await untilInterrupted(this.#begin(), this.#interrupt);
      this.bytesTotal += bytes;
      return bytes;
    });
  }

  abandon(reason: Error): void {
    this.#interrupt.fire(reason);
  }
}
