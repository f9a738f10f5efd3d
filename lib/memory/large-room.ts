// What is leased of the room for leases larger than every class, and how it is given back: the kernel takes its time with many
// pages, so JavaScript's own thread gives back only what is small.

import type { NativeEngine } from '../native.js';
import type { LargeStats } from './pool-stats.js';

/** Up to 0.2 ms. */
const DISCARD_BYTES_PER_TURN = 2 * 2 ** 20;

export class LargeRoom {
  readonly #native: NativeEngine;
  readonly #limitBytes: number;
  /** By unit. */
  readonly #bytesOf = new Map<number, number>();
  #inUse = 0;
  #highWater = 0;
  #acquired = 0;
  misses = 0;
  waits = 0;

  constructor(native: NativeEngine, limitBytes: number) {
    this.#native = native;
    this.#limitBytes = limitBytes;
  }

  /** A unit that was taken is leased. */
  leased(unit: number, bytes: number): void {
    this.#bytesOf.set(unit, bytes);
    this.#acquired++;
    this.#inUse += bytes;
    this.#highWater = Math.max(this.#highWater, this.#inUse);
  }

  /** `tell` is called once the memory may be had again: before this returns if it is `now`, or little. */
  free(unit: number, now: boolean, tell: () => void): void {
    const bytes = this.#bytesOf.get(unit)!;
    this.#bytesOf.delete(unit);
    this.#inUse -= bytes;
    if (!now && bytes > DISCARD_BYTES_PER_TURN) {
      void this.#native.giveLargeLater(unit).then(tell);
      return;
    }
    this.#native.giveLarge(unit);
    tell();
  }

  stats(): LargeStats {
    return {
      limitBytes: this.#limitBytes,
      bytesInUse: this.#inUse,
      highWaterBytes: this.#highWater,
      acquiredTotal: this.#acquired,
      missesTotal: this.misses,
      waitsTotal: this.waits,
    };
  }
}
