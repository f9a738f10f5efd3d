// Sectors of 512 bytes that check themselves: what bitmaps and tag pages are made of. A device tears writes between sectors, never
// within one, so any mixture of old and new sectors is as good as either.
//
//   0     4          8                    14      15     16
//   | crc | sequence | index              | part  | kind | payload, 496 bytes
//
// The CRC-32C covers everything behind itself and is seeded with that of the volume's uuid: a sector of another volume, and one that was
// written to a wrong place, do not pass for this one. The kind is never 0, so a sector of zeros was never written.
//
// Typed arrays have the machine's byte order, which is little-endian wherever ringbolt runs.

import { crc32c } from '../../checksum/functions.js';
import { SECTOR_BYTES } from '../geometry.js';

export const SectorKind = { bitmap: 0x42, tags: 0x54 } as const; // 'B', 'T'
export type SectorKind = (typeof SectorKind)[keyof typeof SectorKind];

export const SectorCondition = { blank: 0, written: 1, damaged: 2 } as const;
export type SectorCondition = (typeof SectorCondition)[keyof typeof SectorCondition];

/** 32-bit words of a sector, and where its payload begins. */
export const SECTOR_WORDS = SECTOR_BYTES / 4;
export const HEADER_WORDS = 4;

const CRC = 0;
const SEQUENCE = 1;
const INDEX_LOW = 2;
/** 16 bits of index, 8 of part, 8 of kind. */
const INDEX_HIGH = 3;
const CRC_BYTES = 4;

/** What a sector says of itself. */
export interface SectorName {
  readonly kind: SectorKind;
  /** Below 2^48: the page of a tag sector; the number of a bitmap's sector. */
  readonly index: number;
  /** Below 256: which sector of its page; which bitmap. */
  readonly part: number;
}

/** The seed of all sectors of a volume. */
export function sectorSeed(uuid: Uint8Array): number {
  return crc32c(uuid);
}

/** Some sectors in memory that somebody else owns; `bytes` begin at a multiple of four and are whole sectors. */
export class Sectors {
  readonly words: Uint32Array;
  readonly #bytes: Uint8Array;
  readonly #seed: number;

  constructor(bytes: Uint8Array, seed: number) {
    this.words = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
    this.#bytes = bytes;
    this.#seed = seed;
  }

  sequence(sector: number): number {
    return this.words[sector * SECTOR_WORDS + SEQUENCE]!;
  }

  /** Writes the header; the payload is complete. Of `sequence` its low 32 bits. */
  seal(sector: number, { kind, index, part }: SectorName, sequence: number): void {
    const { words } = this;
    const at = sector * SECTOR_WORDS;
    words[at + SEQUENCE] = sequence;
    words[at + INDEX_LOW] = index;
    words[at + INDEX_HIGH] = highWord(kind, index, part);
    words[at + CRC] = this.#crc(sector);
  }

  /** Whether it is what `name` says, as it was written. */
  check(sector: number, { kind, index, part }: SectorName): SectorCondition {
    const { words } = this;
    const at = sector * SECTOR_WORDS;
    if (words[at + INDEX_HIGH] === 0 && this.#isBlank(at)) return SectorCondition.blank;
    const isNamed =
      words[at + INDEX_LOW] === index >>> 0 &&
      words[at + INDEX_HIGH] === highWord(kind, index, part);
    return isNamed && words[at + CRC] === this.#crc(sector)
      ? SectorCondition.written
      : SectorCondition.damaged;
  }

  #isBlank(at: number): boolean {
    for (let word = at; word < at + SECTOR_WORDS; word++) {
      if (this.words[word] !== 0) return false;
    }
    return true;
  }

  #crc(sector: number): number {
    const start = sector * SECTOR_BYTES;
    return crc32c(this.#bytes.subarray(start + CRC_BYTES, start + SECTOR_BYTES), this.#seed);
  }
}

function highWord(kind: SectorKind, index: number, part: number): number {
  return (Math.floor(index / 2 ** 32) | (part << 16) | (kind << 24)) >>> 0;
}
