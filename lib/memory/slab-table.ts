// By unit: slabs that are free and were leased before. In pages, made when they are first needed: a pool of many gigabytes of which
// little is used is to cost little.

import type { LeasedSlab } from './lease.js';

const PAGE_SHIFT = 10;
const PAGE_SLOTS = 1 << PAGE_SHIFT;

export class SlabTable {
  readonly #pages: ((LeasedSlab | undefined)[] | undefined)[] = [];

  /** Takes it out. */
  take(unit: number): LeasedSlab | undefined {
    const page = this.#pages[unit >>> PAGE_SHIFT];
    if (page === undefined) return undefined;
    const slot = unit & (PAGE_SLOTS - 1);
    const slab = page[slot];
    page[slot] = undefined;
    return slab;
  }

  put(unit: number, slab: LeasedSlab): void {
    // Filled at once: an array that grows in pieces, from the middle, would become a dictionary.
    const page = (this.#pages[unit >>> PAGE_SHIFT] ??= new Array<undefined>(PAGE_SLOTS));
    page[unit & (PAGE_SLOTS - 1)] = slab;
  }

  clear(): void {
    this.#pages.length = 0;
  }
}
