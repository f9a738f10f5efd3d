// A page of 248 tags in eight sectors, one tag a block.
//
//   0                     8                       15      16
//   | checksum, 64 bits   | generation, 56 bits   | state |
//
// Tags are read and written as 32-bit words, in place: no object and no bigint for each. A checksum passes between a page and the arrays of
// `IoOptions.checksum` as two words, which costs the same in every tier of the compiler, where a bigint is sometimes allocated.
// Generations are numbers: a volume would have to write for 285 years, a million blocks a second, to use up 2^53 of them. What
// lies above is refused when the superblock is read, so no tag has it.
//
// A page owns no memory and does no I/O. Whoever changes a tag has its region's bit (rule 4), and seals the sectors before they are written.

import {
  PAGE_BYTES,
  SECTORS_PER_PAGE,
  TAG_BYTES,
  TAGS_PER_PAGE,
  TAGS_PER_SECTOR,
} from '../geometry.js';
import {
  HEADER_WORDS,
  SECTOR_WORDS,
  SectorCondition,
  SectorKind,
  Sectors,
  type SectorName,
} from './sectors.js';

export const TagState = {
  /** Nothing is known of the block: it is not verified. */
  unknown: 0,
  valid: 1,
  /** Made from what was read after a crash. */
  recalculated: 2,
  /** Neither old nor new after a write that failed. */
  torn: 3,
  /** Known to be damaged. */
  bad: 4,
  /** Contents are undefined until it is written again. */
  discarded: 5,
} as const;
export type TagState = (typeof TagState)[keyof typeof TagState];

/** What may be in a tag besides its checksum. */
export interface TagMark {
  /** From 1 on, a safe integer. */
  readonly generation: number;
  readonly state: TagState;
}

const TAG_WORDS = TAG_BYTES / 4;
const CHECKSUM_LOW = 0;
const CHECKSUM_HIGH = 1;
const GENERATION_LOW = 2;
/** 24 bits of generation, 8 of state. */
const GENERATION_HIGH = 3;

/** Where a tag's first word is. */
function wordOf(tag: number): number {
  const sector = Math.floor(tag / TAGS_PER_SECTOR);
  return sector * SECTOR_WORDS + HEADER_WORDS + (tag - sector * TAGS_PER_SECTOR) * TAG_WORDS;
}

export class TagPage {
  #number: number;
  #isPartial: boolean;
  readonly #sectors: Sectors;
  readonly #words: Uint32Array;
  readonly #conditions = new Uint8Array(SECTORS_PER_PAGE);

  /** As read from the sidecar: 4 KiB, at a multiple of four. `seed`: of the volume's sectors. */
  constructor(number: number, bytes: Uint8Array, seed: number, isPartial = false) {
    if (bytes.length !== PAGE_BYTES) throw new RangeError(`a tag page has ${PAGE_BYTES} bytes`);
    this.#number = number;
    this.#isPartial = isPartial;
    this.#sectors = new Sectors(bytes, seed);
    this.#words = this.#sectors.words;
    this.check();
  }

  /** Of the page in the volume. */
  get number(): number {
    return this.#number;
  }

  /** Some of it could not be read: what is damaged there may only be so for now. */
  get isPartial(): boolean {
    return this.#isPartial;
  }

  /** Its memory was read anew: another page. */
  turn(number: number, isPartial: boolean): void {
    this.#number = number;
    this.#isPartial = isPartial;
    this.check();
  }

  /** Looks at all sectors again, after the memory was read anew. */
  check(): void {
    for (let sector = 0; sector < SECTORS_PER_PAGE; sector++) {
      this.#conditions[sector] = this.#sectors.check(sector, this.#nameOf(sector));
    }
  }

  conditionOfSector(sector: number): SectorCondition {
    return this.#conditions[sector] as SectorCondition;
  }

  /** Of the sector that a tag is in. */
  conditionOfTag(tag: number): SectorCondition {
    return this.conditionOfSector(Math.floor(tag / TAGS_PER_SECTOR));
  }

  /** Sixteen bytes of zeros: rule 2 says what that means. Not to be asked of a damaged sector, as is what follows. */
  isNeverWritten(tag: number): boolean {
    const words = this.#words;
    const at = wordOf(tag);
    return (
      (words[at + CHECKSUM_LOW]! |
        words[at + CHECKSUM_HIGH]! |
        words[at + GENERATION_LOW]! |
        words[at + GENERATION_HIGH]!) ===
      0
    );
  }

  /** May be a number that no {@link TagState} has, if a later version wrote it. */
  state(tag: number): number {
    return this.#words[wordOf(tag) + GENERATION_HIGH]! >>> 24;
  }

  generation(tag: number): number {
    const at = wordOf(tag);
    const high = this.#words[at + GENERATION_HIGH]! & 0xff_ffff;
    return high * 2 ** 32 + this.#words[at + GENERATION_LOW]!;
  }

  checksum(tag: number): bigint {
    const at = wordOf(tag);
    const high = BigInt(this.#words[at + CHECKSUM_HIGH]!);
    return (high << 32n) | BigInt(this.#words[at + CHECKSUM_LOW]!);
  }

  /** Whether `count` tags say that their blocks are good with the checksums in `sums`, from its element `at` on. Asked of any sector. */
  matches(first: number, count: number, sums: BigUint64Array, at: number): boolean {
    checkTags(first, count);
    const wanted = halves(sums, at, count);
    const words = this.#words;
    for (let i = 0; i < count; i++) {
      const word = wordOf(first + i);
      if (!isGoodState(words[word + GENERATION_HIGH]! >>> 24)) return false;
      if (words[word + CHECKSUM_LOW] !== wanted[2 * i]) return false;
      if (words[word + CHECKSUM_HIGH] !== wanted[2 * i + 1]) return false;
    }
    return !this.isDamaged(first, count);
  }

  /** Whether `count` tags say that their blocks are good. Asked of any sector. */
  areGood(first: number, count: number): boolean {
    checkTags(first, count);
    for (let i = 0; i < count; i++) {
      if (!isGoodState(this.#words[wordOf(first + i) + GENERATION_HIGH]! >>> 24)) return false;
    }
    return !this.isDamaged(first, count);
  }

  /** Whether any of the sectors that these tags are in is damaged. */
  isDamaged(first: number, count: number): boolean {
    const last = Math.floor((first + count - 1) / TAGS_PER_SECTOR);
    for (let sector = Math.floor(first / TAGS_PER_SECTOR); sector <= last; sector++) {
      if (this.#conditions[sector] === SectorCondition.damaged) return true;
    }
    return false;
  }

  /** Copies the checksums of `count` tags into `into`, from its element `at` on. */
  copyChecksums(first: number, count: number, into: BigUint64Array, at: number): void {
    checkTags(first, count);
    const out = halves(into, at, count);
    for (let i = 0; i < count; i++) {
      const word = wordOf(first + i);
      out[2 * i] = this.#words[word + CHECKSUM_LOW]!;
      out[2 * i + 1] = this.#words[word + CHECKSUM_HIGH]!;
    }
  }

  /** Gives `count` tags the checksums in `from`, from its element `at` on, and the same generation and state. */
  set(first: number, count: number, from: BigUint64Array, at: number, mark: TagMark): void {
    checkTags(first, count);
    const values = halves(from, at, count);
    const words = this.#words;
    const [low, high] = wordsOf(mark);
    this.#begin(first, count);
    for (let i = 0; i < count; i++) {
      const word = wordOf(first + i);
      words[word + CHECKSUM_LOW] = values[2 * i]!;
      words[word + CHECKSUM_HIGH] = values[2 * i + 1]!;
      words[word + GENERATION_LOW] = low;
      words[word + GENERATION_HIGH] = high;
    }
  }

  /** Gives a tag another generation and state; its checksum stays. */
  mark(tag: number, mark: TagMark): void {
    checkTags(tag, 1);
    this.#begin(tag, 1);
    this.#mark(wordOf(tag), mark);
  }

  /** What a damaged sector held is lost: makes all its tags these, without checksums, so that it can be written again. */
  reset(sector: number, mark: TagMark): void {
    const at = sector * SECTOR_WORDS;
    this.#words.fill(0, at, at + SECTOR_WORDS);
    this.#conditions[sector] = SectorCondition.written;
    for (let i = 0; i < TAGS_PER_SECTOR; i++)
      this.#mark(wordOf(sector * TAGS_PER_SECTOR + i), mark);
  }

  /** Makes a sector what it is to be in the sidecar. */
  seal(sector: number): void {
    if (this.#conditions[sector] === SectorCondition.blank) return; // to be zeros there, too
    if (this.#conditions[sector] === SectorCondition.damaged) {
      throw new Error('ringbolt: a damaged sector would pass for a good one');
    }
    this.#sectors.seal(sector, this.#nameOf(sector), this.#sectors.sequence(sector) + 1);
  }

  #nameOf(sector: number): SectorName {
    return { kind: SectorKind.tags, index: this.number, part: sector };
  }

  #begin(first: number, count: number): void {
    // The other thirty tags would become valid zeros.
    if (this.isDamaged(first, count)) {
      throw new Error('ringbolt: a tag was put into a damaged sector');
    }
    const last = Math.floor((first + count - 1) / TAGS_PER_SECTOR);
    const from = Math.floor(first / TAGS_PER_SECTOR);
    this.#conditions.fill(SectorCondition.written, from, last + 1);
  }

  #mark(word: number, mark: TagMark): void {
    const [low, high] = wordsOf(mark);
    this.#words[word + GENERATION_LOW] = low;
    this.#words[word + GENERATION_HIGH] = high;
  }
}

function isGoodState(state: number): boolean {
  return state === TagState.valid || state === TagState.recalculated;
}

function wordsOf({ generation, state }: TagMark): [low: number, high: number] {
  return [generation >>> 0, Math.floor(generation / 2 ** 32) | (state << 24)];
}

function halves(values: BigUint64Array, at: number, count: number): Uint32Array {
  if (at + count > values.length) throw new RangeError('ringbolt: fewer values than tags');
  return new Uint32Array(values.buffer, values.byteOffset + 8 * at, 2 * count);
}

/** Beyond them are other sectors' headers, or other memory. */
function checkTags(first: number, count: number): void {
  if (first >= 0 && count >= 0 && first + count <= TAGS_PER_PAGE) return;
  throw new RangeError(`ringbolt: no tags ${first} to ${first + count - 1} in a page`);
}
