// One dirty bitmap of a volume, as it lies in the sidecar: self-checking sectors with one bit for each region, 3968 of them in a
// sector, the lowest bit of the first byte first. All sectors of a bitmap are in memory, so that any of them can be written at any time,
// alone or with its neighbours, where a device wants more than 512 bytes at once.

import { BITMAP_SECTORS, REGIONS_PER_BITMAP_SECTOR } from '../geometry.js';
import {
  HEADER_WORDS,
  SECTOR_WORDS,
  SectorCondition,
  SectorKind,
  Sectors,
  type SectorName,
} from './sectors.js';

export class Bitmap {
  /** 0 or 1. */
  readonly which: number;
  /** The bitmap's area, for whoever writes it. */
  readonly bytes: Uint8Array;
  readonly #sectors: Sectors;
  readonly #words: Uint32Array;

  /** `bytes`: the bitmap's area, at a multiple of four; what is in it is not looked at yet. `seed`: of the volume's sectors. */
  constructor(which: number, bytes: Uint8Array, seed: number) {
    this.which = which;
    this.bytes = bytes;
    this.#sectors = new Sectors(bytes, seed);
    this.#words = this.#sectors.words;
  }

  static sectorOf(region: number): number {
    return Math.floor(region / REGIONS_PER_BITMAP_SECTOR);
  }

  has(region: number): boolean {
    return (this.#words[this.#wordOf(region)]! & maskOf(region)) !== 0;
  }

  add(region: number): void {
    this.#words[this.#wordOf(region)]! |= maskOf(region);
  }

  /** Clears the bits of a sector. */
  clear(sector: number): void {
    const at = sector * SECTOR_WORDS;
    this.#words.fill(0, at + HEADER_WORDS, at + SECTOR_WORDS);
  }

  isClear(sector: number): boolean {
    const at = sector * SECTOR_WORDS;
    for (let word = at + HEADER_WORDS; word < at + SECTOR_WORDS; word++) {
      if (this.#words[word] !== 0) return false;
    }
    return true;
  }

  /** Of the epoch in which a sector was written; nothing depends on it. */
  sequence(sector: number): number {
    return this.#sectors.sequence(sector);
  }

  /** Makes a sector what it is to be in the sidecar. */
  seal(sector: number, sequence: number): void {
    this.#sectors.seal(sector, this.#nameOf(sector), sequence);
  }

  sealAll(sequence: number): void {
    for (let sector = 0; sector < BITMAP_SECTORS; sector++) this.seal(sector, sequence);
  }

  /** Blank is as bad as damaged: every sector was written when the volume was made. */
  isValid(sector: number): boolean {
    return this.#sectors.check(sector, this.#nameOf(sector)) === SectorCondition.written;
  }

  /** Rule 9: the regions that are dirty, and all regions of an invalid sector. Ascending, those below `regionCount`. */
  *dirty(regionCount: number): Generator<number, undefined> {
    for (let first = 0; first < regionCount; first += REGIONS_PER_BITMAP_SECTOR) {
      const sector = Bitmap.sectorOf(first);
      const all = !this.isValid(sector);
      if (!all && this.isClear(sector)) continue;
      const end = Math.min(regionCount, first + REGIONS_PER_BITMAP_SECTOR);
      for (let region = first; region < end; region++) {
        if (all || this.has(region)) yield region;
      }
    }
  }

  #nameOf(sector: number): SectorName {
    return { kind: SectorKind.bitmap, index: sector, part: this.which };
  }

  #wordOf(region: number): number {
    const sector = Bitmap.sectorOf(region);
    const bit = region - sector * REGIONS_PER_BITMAP_SECTOR;
    return sector * SECTOR_WORDS + HEADER_WORDS + (bit >>> 5);
  }
}

/** 3968 is a multiple of 32: the place of a region within its word is that of its number. */
function maskOf(region: number): number {
  return 1 << (region % 32);
}
