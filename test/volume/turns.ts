// Time of a simulation: turns, which come one after the other as fast as the event loop goes, for as long as something waits for one.
// What is due in one turn is done in an order of the seed's; promises settle between turns. No clock has a part in it, so a
// simulation with the same seed does the same.

import type { Random } from '../support/random.js';

export class Turns {
  readonly #random: Random;
  readonly #due = new Map<number, (() => void)[]>();
  #now = 0;
  #waiting = 0;
  #planned = false;

  constructor(random: Random) {
    this.#random = random;
  }

  get now(): number {
    return this.#now;
  }

  /** Calls `run` so many turns from now, one at least. */
  after(turns: number, run: () => void): void {
    const turn = this.#now + Math.max(1, turns);
    const others = this.#due.get(turn);
    if (others === undefined) this.#due.set(turn, [run]);
    else others.splice(this.#random.below(others.length + 1), 0, run);
    this.#waiting++;
    this.#plan();
  }

  /** Resolves so many turns from now. */
  pass(turns: number): Promise<void> {
    return new Promise((resolve) => {
      this.after(turns, resolve);
    });
  }

  #plan(): void {
    if (this.#planned || this.#waiting === 0) return;
    this.#planned = true;
    setImmediate(() => {
      this.#planned = false;
      this.#turn();
      this.#plan();
    });
  }

  #turn(): void {
    this.#now++;
    const due = this.#due.get(this.#now);
    if (due === undefined) return;
    this.#due.delete(this.#now);
    this.#waiting -= due.length;
    for (const run of due) run();
  }
}
