// The JavaScript thread's magazine for one size class of one part of the pool: slabs that were taken from the native free lists,
// ready to be leased without a native call.
//
//   native free list ── half a shelf at a time ──▶ shelf ──▶ lease
//                    ◀── half a shelf at a time ──       ◀──
//
// Last in, first out: what was used last is still in the CPU's caches. A shelf holds a sixteenth of its part at most, and what
// lies on shelves goes back when some other class runs short.

import type { NativeEngine } from '../native.js';

/** Slabs of a shelf: enough that a native call in 32 leases costs nothing, few enough to share. */
const MAX_SLABS = 64;
/** Of its part, that one shelf may hold. */
const SHARE = 16;

export const NO_UNIT = -1;

/** Of one size class, in all parts. */
export class ClassCounters {
  readonly slabBytes: number;
  inUse = 0;
  highWater = 0;
  misses = 0;
  waits = 0;
  refills = 0;
  /** In a typed array: a number that outgrows 31 bits would be allocated anew at each step. */
  readonly acquired = new Float64Array(1);

  constructor(slabBytes: number) {
    this.slabBytes = slabBytes;
  }
}

export class Shelf {
  readonly part: number;
  readonly slabClass: number;
  readonly counters: ClassCounters;
  readonly #native: NativeEngine;
  readonly #units: Uint32Array;
  readonly #half: Uint32Array;
  #count = 0;
  /** Leased slabs of this class that lie in this part. */
  inUse = 0;

  constructor(
    native: NativeEngine,
    place: { readonly part: number; readonly partBytes: number; readonly slabClass: number },
    counters: ClassCounters,
  ) {
    this.#native = native;
    this.part = place.part;
    this.slabClass = place.slabClass;
    this.counters = counters;
    const fair = Math.floor(place.partBytes / SHARE / counters.slabBytes);
    const capacity = Math.min(Math.max(fair, 1), MAX_SLABS);
    this.#units = new Uint32Array(capacity);
    this.#half = this.#units.subarray(0, Math.ceil(capacity / 2));
  }

  /** The unit of a slab that nobody leases, or {@link NO_UNIT}; of another part, where this one has nothing. */
  pop(): number {
    if (this.#count === 0) {
      this.#count = this.#native.takeSlabs(this.part, this.slabClass, this.#half);
      if (this.#count === 0) return NO_UNIT;
      this.counters.refills++;
    }
    return this.#units[--this.#count]!;
  }

  push(unit: number): void {
    if (this.#count === this.#units.length) {
      // The lower half is the one that was used longest ago.
      this.#native.giveSlabs(this.#half, this.#half.length);
      this.#units.copyWithin(0, this.#half.length);
      this.#count -= this.#half.length;
    }
    this.#units[this.#count++] = unit;
  }

  /** Gives everything back. True if there was anything. */
  clear(): boolean {
    if (this.#count === 0) return false;
    this.#native.giveSlabs(this.#units, this.#count);
    this.#count = 0;
    return true;
  }
}
