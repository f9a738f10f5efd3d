// Arrays for checksums, used again: one for each operation would be most of what a volume leaves to the garbage collector.

/** Of all spare arrays together: 512 KiB. */
const MAX_SPARE_VALUES = 2 ** 16;

export class SpareSums {
  readonly #byCount = new Map<number, BigUint64Array[]>();
  #values = 0;

  /** Of `count` values, whatever they are. */
  take(count: number): BigUint64Array {
    const spare = this.#byCount.get(count)?.pop();
    if (spare === undefined) return new BigUint64Array(count);
    this.#values -= count;
    return spare;
  }

  /** Nobody reads or writes it any more. */
  give(sums: BigUint64Array): void {
    const count = sums.length;
    if (this.#values + count > MAX_SPARE_VALUES) return;
    this.#values += count;
    const spare = this.#byCount.get(count);
    if (spare === undefined) this.#byCount.set(count, [sums]);
    else spare.push(sums);
  }
}
