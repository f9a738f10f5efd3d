// Time of a simulation: turns, which come one after the other as fast as promises settle, for as long as something waits for one; those in
// which nothing is due take no time. What is due in one turn is done in an order of the seed's; promises settle between turns. No clock has
// a part in it, so a simulation with the same seed does the same.

import type { Seeded } from '../support/seeded.js';

/** Turns before the event loop gets one: timers of others want to be looked at. */
const TURNS_AT_ONCE = 64;

export class Turns {
  readonly #random: Seeded;
  readonly #due = new Map<number, (() => void)[]>();
  #now = 0;
  #waiting = 0;
  #planned = false;
  #atOnce = 0;

  constructor(random: Seeded) {
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
    if (this.#atOnce++ % TURNS_AT_ONCE === 0) {
      setImmediate(this.#turn);
    } else {
      // From a microtask: not before all that are there have run, and those that come of them.
      queueMicrotask(() => {
        process.nextTick(this.#turn);
      });
    }
  }

  readonly #turn = (): void => {
    this.#planned = false;
    do this.#now++;
    while (!this.#due.has(this.#now));
    const due = this.#due.get(this.#now)!;
    this.#due.delete(this.#now);
    this.#waiting -= due.length;
    for (const run of due) run();
    this.#plan();
  };
}
