// What a volume knows of its blocks: tags as ranges of blocks, whatever pages they are in, and what each of them claims.
//
// Rule 2: a tag that was never written claims that the block is zeros, or nothing, or it is lost, as the superblock says.

import { blockChecksum } from './format/block-checksum.js';
import { SectorCondition } from './format/sectors.js';
import { meaningOfNeverWritten, type Superblock } from './format/superblock.js';
import { TagState, type TagMark, type TagPage } from './format/tag-page.js';
import { TAGS_PER_PAGE, TAGS_PER_SECTOR, type Geometry } from './geometry.js';
import type { TagCache } from './tag-cache.js';

export const Claim = {
  /** The block has the checksum that is expected. */
  match: 0,
  /** Nothing is known of it. */
  nothing: 1,
  /** Its contents are undefined. */
  undefined: 2,
  /** It was damaged; with the checksum that is expected it would be good again. */
  bad: 3,
  /** Neither old nor new. */
  torn: 4,
  /** The tag itself is damaged. */
  lost: 5,
} as const;
export type Claim = (typeof Claim)[keyof typeof Claim];

/** Of some blocks, in a row. */
export interface Claims {
  readonly claims: Uint8Array;
  /** Of those that have one. */
  readonly expected: BigUint64Array;
  /** Some of their tags could not be read, and count as lost for now. */
  readonly isPartial: boolean;
}

/** What a tag's state claims; of states of a later version nothing can be known. */
const CLAIM_OF_STATE: Readonly<Record<number, Claim | undefined>> = {
  [TagState.unknown]: Claim.nothing,
  [TagState.valid]: Claim.match,
  [TagState.recalculated]: Claim.match,
  [TagState.torn]: Claim.torn,
  [TagState.bad]: Claim.bad,
  [TagState.discarded]: Claim.undefined,
};

/** Rule 10: blocks with one of these are overwritten in steps. */
export function isDamage(claim: number): boolean {
  return claim >= Claim.bad;
}

/** Checksums of blocks in a row: in `sums`, from its element `at` on. */
export interface SumsAt {
  readonly sums: BigUint64Array;
  readonly at: number;
}

/** The tags of a range that lie in one page. */
interface Piece {
  readonly page: number;
  /** In the page. */
  readonly tag: number;
  readonly count: number;
  /** Of its first block, in the range. */
  readonly index: number;
}

export class BlockTags {
  readonly cache: TagCache;
  readonly #geometry: Geometry;
  readonly #superblocks: { readonly current: Superblock };
  readonly #seed: bigint;
  readonly #zeros: Uint8Array;

  /** `superblocks`: what the current one says is asked for time and again. `seed`: of the blocks' checksums. */
  constructor(
    cache: TagCache,
    geometry: Geometry,
    superblocks: { readonly current: Superblock },
    seed: bigint,
  ) {
    this.cache = cache;
    this.#geometry = geometry;
    this.#superblocks = superblocks;
    this.#seed = seed;
    this.#zeros = new Uint8Array(geometry.blockSize);
  }

  /** Whether the tags of `count` blocks are in memory. */
  areHere(first: number, count: number): boolean {
    const { cache } = this;
    const last = this.#geometry.pageOfBlock(first + count - 1);
    for (let number = this.#geometry.pageOfBlock(first); number <= last; number++) {
      if (!cache.has(number)) return false;
    }
    return true;
  }

  /** Whether the tags are in memory, and say that all `count` blocks are good with these checksums. */
  match(first: number, count: number, { sums, at }: SumsAt): boolean {
    return this.#everyPage(first, count, (page, tag, some, index) => {
      if (page.matches(tag, some, sums, at + index)) return true; // the usual case
      for (let i = 0; i < some; i++) {
        const isZeros = this.#isZeros(page, tag + i, sums[at + index + i]!);
        if (!isZeros && !page.matches(tag + i, 1, sums, at + index + i)) return false;
      }
      return true;
    });
  }

  /** Whether a block was never written, and is what it is to be then. */
  #isZeros(page: TagPage, tag: number, sum: bigint): boolean {
    if (page.conditionOfTag(tag) === SectorCondition.damaged) return false;
    if (!page.isNeverWritten(tag) || this.#claim(page, tag) !== Claim.match) return false;
    return sum === this.zeroSum(page.number * TAGS_PER_PAGE + tag);
  }

  /** Whether the tags are in memory, and none of these blocks is known to be damaged, nor its tag. */
  areSound(first: number, count: number): boolean {
    return this.#everyPage(first, count, (page, tag, some) => {
      if (page.areGood(tag, some)) return true; // the usual case
      for (let i = tag; i < tag + some; i++) if (isDamage(this.#claim(page, i))) return false;
      return true;
    });
  }

  /** {@link set}, at once; false if that cannot be: then some may have been changed and others not. */
  trySet(first: number, count: number, from: SumsAt, mark: TagMark, epoch: number): boolean {
    return this.#everyPage(first, count, (page, tag, some, index) => {
      if (page.isDamaged(tag, some)) return false;
      page.set(tag, some, from.sums, from.at + index, mark);
      this.cache.changed(page, tag, some, epoch);
      return true;
    });
  }

  /** Whether all pages are in memory, and `visit` says so of each. */
  #everyPage(
    first: number,
    count: number,
    visit: (page: TagPage, tag: number, count: number, index: number) => boolean,
  ): boolean {
    for (let index = 0; index < count;) {
      const number = this.#geometry.pageOfBlock(first + index);
      const tag = this.#geometry.tagOfBlock(first + index);
      const some = Math.min(count - index, TAGS_PER_PAGE - tag);
      const page = this.cache.tryUse(number);
      if (page === undefined || !visit(page, tag, some, index)) return false;
      index += some;
    }
    return true;
  }

  /** What is claimed of `count` blocks; those of one page at one moment. `expected` is used for that. */
  async claims(
    first: number,
    count: number,
    expected: BigUint64Array = new BigUint64Array(count),
  ): Promise<Claims> {
    const claims = new Uint8Array(count);
    let isPartial = false;
    for (const piece of piecesOf(first, count)) {
      const page = this.cache.tryUse(piece.page);
      const fill = (there: TagPage) => {
        isPartial ||= there.isPartial;
        this.#fill(there, piece, claims, expected);
      };
      if (page === undefined) await this.cache.use(piece.page, fill);
      else fill(page);
    }
    return { claims, expected, isPartial };
  }

  /** Of a block that is claimed to match: one that was never written is as valid as zeros are. */
  stateOf(block: number): Promise<TagState> {
    return this.cache.use(this.#geometry.pageOfBlock(block), (page) => {
      const tag = this.#geometry.tagOfBlock(block);
      return page.isNeverWritten(tag) ? TagState.valid : (page.state(tag) as TagState);
    });
  }

  /** Whether any of these blocks is known to be damaged, or its tag is. */
  async hasDamage(first: number, count: number): Promise<boolean> {
    let found = false;
    for (const { page: number, tag, count: some } of piecesOf(first, count)) {
      const look = (page: TagPage) => {
        for (let i = 0; i < some && !found; i++) found = isDamage(this.#claim(page, tag + i));
      };
      const page = this.cache.tryUse(number);
      if (page === undefined) await this.cache.use(number, look);
      else look(page);
    }
    return found;
  }

  /**
   * Gives blocks the checksums in `from`, from its element `at` on. Rule 4: `epoch` is that of the bit of their region.
   *
   * @throws if a tag there is lost: {@link keepDamage} is for those
   */
  async set(
    first: number,
    count: number,
    from: SumsAt,
    mark: TagMark,
    epoch: number,
  ): Promise<void> {
    for (const { page: number, tag, count: some, index } of piecesOf(first, count)) {
      const change = (page: TagPage) => {
        page.set(tag, some, from.sums, from.at + index, mark);
        this.cache.changed(page, tag, some, epoch);
      };
      const page = this.cache.tryUse(number);
      if (page === undefined) await this.cache.use(number, change);
      else change(page);
    }
  }

  /** Rule 10: gives a damaged block another checksum; it stays damaged. The other tags of a sector that is lost become bad, without any. */
  async keepDamage(block: number, sum: bigint, generation: number, epoch: number): Promise<void> {
    await this.cache.use(this.#geometry.pageOfBlock(block), (page) => {
      const tag = this.#geometry.tagOfBlock(block);
      const bad = { generation, state: TagState.bad };
      const claim = this.#claim(page, tag);
      if (page.conditionOfTag(tag) === SectorCondition.damaged) {
        const sector = Math.floor(tag / TAGS_PER_SECTOR);
        page.reset(sector, bad);
        this.cache.changed(page, sector * TAGS_PER_SECTOR, TAGS_PER_SECTOR, epoch);
      }
      const mark = claim === Claim.torn ? { generation, state: TagState.torn } : bad;
      page.set(tag, 1, BigUint64Array.of(sum), 0, mark);
      this.cache.changed(page, tag, 1, epoch);
    });
  }

  /** Resolves when what these tags were changed to is durable. */
  async makeDurable(first: number, count: number): Promise<void> {
    for (const { page, tag, count: some } of piecesOf(first, count)) {
      await this.cache.makeDurable(page, tag, some);
    }
  }

  /** The checksum that a block of zeros has. */
  zeroSum(block: number): bigint {
    const zeros = this.#zeros.subarray(0, this.#geometry.bytesOfBlock(block));
    return blockChecksum(this.#superblocks.current.algorithm, this.#seed, block, zeros);
  }

  #fill(page: TagPage, { tag, count, index }: Piece, claims: Uint8Array, sums: BigUint64Array) {
    page.copyChecksums(tag, count, sums, index);
    for (let i = 0; i < count; i++) {
      const claim = this.#claim(page, tag + i);
      claims[index + i] = claim;
      if (claim === Claim.match && page.isNeverWritten(tag + i)) {
        sums[index + i] = this.zeroSum(page.number * TAGS_PER_PAGE + tag + i);
      }
    }
  }

  #claim(page: TagPage, tag: number): Claim {
    if (page.conditionOfTag(tag) === SectorCondition.damaged) return Claim.lost;
    if (!page.isNeverWritten(tag)) return CLAIM_OF_STATE[page.state(tag)] ?? Claim.undefined;
    const { current } = this.#superblocks;
    const meaning = meaningOfNeverWritten(current, page.number * TAGS_PER_PAGE + tag);
    if (meaning === 'zeros') return Claim.match;
    return meaning === 'unknown' ? Claim.nothing : Claim.lost;
  }
}

function* piecesOf(first: number, count: number): Generator<Piece, undefined> {
  for (let index = 0; index < count;) {
    const page = Math.floor((first + index) / TAGS_PER_PAGE);
    const tag = first + index - page * TAGS_PER_PAGE;
    const some = Math.min(count - index, TAGS_PER_PAGE - tag);
    yield { page, tag, count: some, index };
    index += some;
  }
}
