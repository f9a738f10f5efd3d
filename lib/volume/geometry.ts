// Where everything lies in a sidecar, and which tag belongs to which block.
//
//   0          16 KiB     52 KiB     88 KiB                        1 MiB
//   | 4 super- | bitmap 0 | bitmap 1 | room for an intent log      | tag pages ...
//   | blocks   |          |          |                             |
//
// All before the tag pages has the same size in every volume: bitmaps have room for as many regions as a volume may have, so that a
// volume grows by making the tag pages longer, at the end, and nothing else moves. Readers take all places from the superblock
// nevertheless.
//
//   block ─▶ page = block / 248 ─▶ sector = (block % 248) / 31 ─▶ tag
//                  └─▶ region = page / pagesPerRegion
//
// A region is whole pages: a tag sector never belongs to two. The algorithm has no part in any of this, as a tag has room for 64 bits
// whatever it is. Pure arithmetic; blocks and pages may be more than 2^32, so there are no bit operations on them.

import { checkInteger, outOfRange } from '../validate.js';

const KIB = 1024;

export const SECTOR_BYTES = 512;
const SECTOR_HEADER_BYTES = 16;

export const TAG_BYTES = 16;
export const TAGS_PER_SECTOR = (SECTOR_BYTES - SECTOR_HEADER_BYTES) / TAG_BYTES;
export const SECTORS_PER_PAGE = 8;
export const PAGE_BYTES = SECTORS_PER_PAGE * SECTOR_BYTES;
export const TAGS_PER_PAGE = SECTORS_PER_PAGE * TAGS_PER_SECTOR;

export const SUPERBLOCK_BYTES = 4 * KIB;
export const SUPERBLOCK_COPIES = 4;

export const MAX_REGIONS = 2 ** 18;
export const REGIONS_PER_BITMAP_SECTOR = (SECTOR_BYTES - SECTOR_HEADER_BYTES) * 8;
/** Sectors of a bitmap: all are written when a volume is made, however few regions it has. */
export const BITMAP_SECTORS = Math.ceil(MAX_REGIONS / REGIONS_PER_BITMAP_SECTOR);

export const MIN_BLOCK_BYTES = 4 * KIB;
export const MAX_BLOCK_BYTES = 64 * KIB;
/** Also of what the sidecar's areas begin and end at. */
export const AREA_ALIGNMENT = 4 * KIB;

const BITMAP_BYTES = Math.ceil((BITMAP_SECTORS * SECTOR_BYTES) / AREA_ALIGNMENT) * AREA_ALIGNMENT;
const HEAD_BYTES = KIB * KIB;

/** Of the data file. */
export interface VolumeShape {
  /** Bytes: a power of two from 4 to 64 KiB. */
  readonly blockSize: number;
  /** At least 1. */
  readonly blockCount: number;
  /** Rule 14: the ragged last block has fewer bytes than the others. */
  readonly lastBlockBytes: number;
}

/** Bytes, in the sidecar. */
export interface Area {
  readonly offset: number;
  readonly length: number;
}

export interface SidecarLayout {
  /** A power of two. */
  readonly pagesPerRegion: number;
  readonly bitmaps: readonly [Area, Area];
  /** Reserved; nothing is written there. */
  readonly log: Area;
  readonly tags: Area;
}

export function isPowerOfTwo(value: number): boolean {
  return Number.isInteger(Math.log2(value));
}

/** @throws `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE` */
export function checkBlockSize(name: string, value: unknown): asserts value is number {
  checkInteger(name, value, MIN_BLOCK_BYTES, MAX_BLOCK_BYTES);
  if (!isPowerOfTwo(value)) throw outOfRange(name, 'a power of two', value);
}

/**
 * The shape of `dataBytes`, at least one.
 *
 * @throws `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`
 */
export function shapeOf(dataBytes: number, blockSize: number): VolumeShape {
  checkBlockSize('blockSize', blockSize);
  checkInteger('dataBytes', dataBytes, 1);
  const blockCount = Math.ceil(dataBytes / blockSize);
  return { blockSize, blockCount, lastBlockBytes: dataBytes - (blockCount - 1) * blockSize };
}

export function pagesFor(blockCount: number): number {
  return Math.ceil(blockCount / TAGS_PER_PAGE);
}

/** As few pages as keep the number of regions within its limit. */
function regionSizeFor(pages: number, least: number): number {
  let size = least;
  while (pages > size * MAX_REGIONS) size *= 2;
  return size;
}

/** The sidecar of a new volume. */
export function planLayout({ blockCount }: VolumeShape): SidecarLayout {
  const bitmapsAt = SUPERBLOCK_COPIES * SUPERBLOCK_BYTES;
  const logAt = bitmapsAt + 2 * BITMAP_BYTES;
  const pages = pagesFor(blockCount);
  return {
    pagesPerRegion: regionSizeFor(pages, 1),
    bitmaps: [
      { offset: bitmapsAt, length: BITMAP_BYTES },
      { offset: bitmapsAt + BITMAP_BYTES, length: BITMAP_BYTES },
    ],
    log: { offset: logAt, length: HEAD_BYTES - logAt },
    tags: { offset: HEAD_BYTES, length: pages * PAGE_BYTES },
  };
}

/**
 * The sidecar of a volume that grew. Where regions become larger, the bits of the bitmaps get another meaning: both must be clear,
 * durably, and no write under way, when the superblock that says so is written.
 */
export function planGrowth(layout: SidecarLayout, { blockCount }: VolumeShape): SidecarLayout {
  const pages = pagesFor(blockCount);
  return {
    ...layout,
    pagesPerRegion: regionSizeFor(pages, layout.pagesPerRegion),
    tags: { offset: layout.tags.offset, length: pages * PAGE_BYTES },
  };
}

/** What is where in one volume. */
export class Geometry {
  readonly shape: VolumeShape;
  readonly layout: SidecarLayout;
  readonly blockSize: number;
  readonly blockCount: number;
  readonly pageCount: number;
  readonly regionCount: number;
  readonly blocksPerRegion: number;

  /** They go together: as planned, or as a superblock that was checked has them. */
  constructor(shape: VolumeShape, layout: SidecarLayout) {
    this.shape = shape;
    this.layout = layout;
    this.blockSize = shape.blockSize;
    this.blockCount = shape.blockCount;
    this.pageCount = pagesFor(shape.blockCount);
    this.regionCount = Math.ceil(this.pageCount / layout.pagesPerRegion);
    this.blocksPerRegion = layout.pagesPerRegion * TAGS_PER_PAGE;
  }

  /** Bytes. */
  get dataBytes(): number {
    return (this.blockCount - 1) * this.blockSize + this.shape.lastBlockBytes;
  }

  /** Bytes. */
  get sidecarBytes(): number {
    const { bitmaps, log, tags } = this.layout;
    return Math.max(...[...bitmaps, log, tags].map(({ offset, length }) => offset + length));
  }

  /** Sectors of a bitmap that have regions. */
  get bitmapSectors(): number {
    return Math.ceil(this.regionCount / REGIONS_PER_BITMAP_SECTOR);
  }

  /** Rule 14: the last one is hashed over its real bytes. */
  bytesOfBlock(block: number): number {
    return block === this.blockCount - 1 ? this.shape.lastBlockBytes : this.blockSize;
  }

  pageOfBlock(block: number): number {
    return Math.floor(block / TAGS_PER_PAGE);
  }

  /** Of its tag, within its page. */
  tagOfBlock(block: number): number {
    return block % TAGS_PER_PAGE;
  }

  /** Bytes, in the sidecar. */
  offsetOfPage(page: number): number {
    return this.layout.tags.offset + page * PAGE_BYTES;
  }

  /** Fewer in the last page. */
  tagsOfPage(page: number): number {
    return Math.min(TAGS_PER_PAGE, this.blockCount - page * TAGS_PER_PAGE);
  }

  regionOfBlock(block: number): number {
    return Math.floor(block / this.blocksPerRegion);
  }

  regionOfPage(page: number): number {
    return Math.floor(page / this.layout.pagesPerRegion);
  }

  firstBlockOfRegion(region: number): number {
    return region * this.blocksPerRegion;
  }

  /** One past its last. */
  endBlockOfRegion(region: number): number {
    return Math.min(this.blockCount, (region + 1) * this.blocksPerRegion);
  }

  /** Bytes of data. */
  bytesOfRegion(region: number): number {
    const end = this.endBlockOfRegion(region);
    const bytes = (end - this.firstBlockOfRegion(region)) * this.blockSize;
    return end === this.blockCount ? bytes - this.blockSize + this.shape.lastBlockBytes : bytes;
  }
}
