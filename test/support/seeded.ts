// Random numbers that are the same for the same seed, wherever they are asked for: in a test (random.ts) or in a process of its own.

export class Seeded {
  readonly seed: number;
  #state: number;

  /** `seed`: from 1 on. */
  constructor(seed: number) {
    this.seed = seed;
    this.#state = seed;
  }

  /** Another one, that goes its own way from here, whatever is asked of this one. */
  fork(): Seeded {
    return new Seeded(1 + this.below(2 ** 31 - 1));
  }

  /** A whole number from 0 to `below` - 1. */
  below(below: number): number {
    // xorshift32
    this.#state ^= this.#state << 13;
    this.#state ^= this.#state >>> 17;
    this.#state ^= this.#state << 5;
    return (this.#state >>> 0) % below;
  }

  /** True in so many of cases, from 0 to 1. */
  chance(share: number): boolean {
    return share > 0 && this.below(2 ** 24) < share * 2 ** 24;
  }
}
