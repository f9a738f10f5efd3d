// Marsaglia's xorshift32: small, fast, and the same sequence for the same seed everywhere. Good enough to spread offsets
// over a file and to resample pairs; not for secrets.

export class Random {
  #state: number;

  /** Any integer; only its low 32 bits count. */
  constructor(seed: number) {
    // The one state it never leaves is 0. Multiplying tells neighbouring seeds apart from the first draw on.
    this.#state = Math.imul(seed, 0x9e3779b1) | 0 || 1;
  }

  /** From 1 to 2^32 - 1. */
  next(): number {
    let x = this.#state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#state = x;
    return x >>> 0;
  }

  /** A whole number from 0 to `count` - 1; for counts up to 2^32. */
  below(count: number): number {
    return Math.floor((this.next() / 2 ** 32) * count);
  }
}
