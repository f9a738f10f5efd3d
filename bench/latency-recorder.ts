// Latencies of one measurement, in a histogram of fixed size: recording allocates nothing and costs a few nanoseconds,
// however many operations there are.
//
// Log-linear: every power of two is cut into 64 equal parts, so that a part is at most 1/64 of its value wide. A quantile
// answers with the middle of its part, which is off by less than 0.8 %.
//
//   value (ns)   0 … 63 │ 64 … 127 │ 128 … 255 │ 256 … 511 │ …
//   a part is       1   │    1     │     2     │     4     │ …

const PART_BITS = 6;
const PARTS = 2 ** PART_BITS;
/** 2^44 ns is almost five hours: nothing measured here takes longer, and if it does, the last part takes it. */
const VALUE_BITS = 44;
const MAX_VALUE = 2 ** VALUE_BITS - 1;

/** 2^-shift: exact, and a multiplication where a power would cost as much as the rest of recording. */
const INVERSE_POWERS = Float64Array.from({ length: VALUE_BITS }, (_, shift) => 2 ** -shift);

export class LatencyRecorder {
  readonly #counts = new Uint32Array((VALUE_BITS - PART_BITS + 1) * PARTS);
  #count = 0;
  #maxNs = 0;

  get count(): number {
    return this.#count;
  }

  /** The largest value, exactly. Nanoseconds; 0 if there is none. */
  get maxNs(): number {
    return this.#maxNs;
  }

  record(latencyNs: number): void {
    const value = Math.min(Math.max(latencyNs, 0), MAX_VALUE);
    const index = partOf(value);
    this.#counts[index] = (this.#counts[index] ?? 0) + 1;
    this.#count++;
    if (value > this.#maxNs) this.#maxNs = value;
  }

  reset(): void {
    this.#counts.fill(0);
    this.#count = 0;
    this.#maxNs = 0;
  }

  /** The value that a share of `quantile` (0 to 1) of all values does not exceed. Nanoseconds; 0 if there is none. */
  quantileNs(quantile: number): number {
    // At least one: the smallest value is the answer to quantile 0.
    const rank = Math.max(1, Math.ceil(quantile * this.#count));
    let seen = 0;
    for (const [index, count] of this.#counts.entries()) {
      seen += count;
      // The middle of the last part may lie above everything that was in it.
      if (count > 0 && seen >= rank) return Math.min(middleOf(index), this.#maxNs);
    }
    return 0;
  }
}

function partOf(value: number): number {
  if (value < PARTS) return Math.trunc(value);
  // clz32 sees 32 bits; what is larger is shifted down first.
  const octave =
    value < 2 ** 32 ? 31 - Math.clz32(value) : 63 - Math.clz32(Math.trunc(value / 2 ** 32));
  const shift = octave - PART_BITS;
  return shift * PARTS + Math.trunc(value * INVERSE_POWERS[shift]!);
}

function middleOf(index: number): number {
  if (index < PARTS) return index;
  const shift = Math.trunc(index / PARTS) - 1;
  return (index - shift * PARTS + 0.5) * 2 ** shift;
}
