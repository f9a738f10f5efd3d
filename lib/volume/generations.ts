// The numbers of writes: volume-wide, none ever used twice, also not after a crash.
//
//        used        |  may be used without asking  |
//   ─────────────────┼──────────────┬───────────────┼──────▶
//                   next          half            limit: durable in the superblock
//
// The superblock says below which one all may have been used, and whoever opens the volume begins there. So there is a new limit,
// durable, before the first is used; 2^32 ahead, so that it costs nothing. At half of it more are reserved, while nobody waits.

/** Reserved at a time. */
export const RESERVED_AHEAD = 2 ** 32;

export interface GenerationsOptions {
  /** Not used yet; those from here to `limit` - 1 are reserved, durably. */
  readonly next: number;
  readonly limit: number;
  /** At a time. Default 2^32. */
  readonly ahead?: number;
  /** Resolves when the superblock says so, durably. */
  readonly reserve: (limit: number) => Promise<void>;
}

export class Generations {
  readonly #ahead: number;
  readonly #reserve: (limit: number) => Promise<void>;
  #next: number;
  #limit: number;
  #reserving: Promise<void> | undefined;

  constructor({ next, limit, ahead = RESERVED_AHEAD, reserve }: GenerationsOptions) {
    this.#next = next;
    this.#limit = limit;
    this.#ahead = ahead;
    this.#reserve = reserve;
  }

  /** From here on none was used. */
  get next(): number {
    return this.#next;
  }

  /** 0 if none is left: then {@link take} waits for more. */
  tryTake(): number {
    if (this.#limit - this.#next <= this.#ahead / 2) this.#reserveMore();
    return this.#next < this.#limit ? this.#next++ : 0;
  }

  /** Rejects if more could not be reserved. */
  async take(): Promise<number> {
    for (;;) {
      const generation = this.tryTake();
      if (generation !== 0) return generation;
      await this.#reserving;
    }
  }

  #reserveMore(): void {
    if (this.#reserving !== undefined) return;
    const limit = this.#limit + this.#ahead;
    this.#reserving = this.#reserve(limit).then(() => {
      this.#limit = limit;
      this.#reserving = undefined;
    });
    this.#reserving.catch(() => undefined); // those who need one are told; there is no second try
  }
}
