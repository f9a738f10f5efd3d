// Rule 9: what is done after a crash, before anything else. Dirty regions are those of both bitmaps, and all regions of a sector that is not
// valid. Of each of their blocks:
//
//   data matches the tag          the tag is right, and the block valid, whatever it was before
//   the tag says bad or torn      nothing: a crash must not launder known damage
//   the tag is damaged            nothing: what it said may have been that
//   the block cannot be read      nothing: the tag is kept, and opening goes on
//   it was discarded              nothing: what a device has there may be something else each time, and would look like damage
//   anything else                 recalculated: the data is what was there before the write, or after it, and nobody knows which
//
// Data is flushed first: a process that ended has left writes in the page cache, and tags for them would outlive the data. Then the tags
// are durable, then the bits are cleared. Whatever crash comes in between, it all can be done again: a tag made here matches.

import type { Bitmap } from './format/bitmap.js';
import { TagState } from './format/tag-page.js';
import type { BlockData } from './block-data.js';
import { PIECE_BYTES } from './block-data.js';
import { Claim, type BlockTags } from './block-tags.js';
import { BITMAP_SECTORS } from './geometry.js';
import type { Generations } from './generations.js';
import { persist } from './persist.js';
import type { Sidecar } from './sidecar.js';

export interface RecoveryReport {
  /** Dirty ones. */
  readonly regions: number;
  /** Of them. */
  readonly blocks: number;
  /** The tag was right. */
  readonly valid: number;
  /** Not as their tags said: they have new ones. */
  readonly recalculated: number;
  /** Were known to be damaged, and still are. */
  readonly bad: number;
  readonly torn: number;
  /** Of blocks that cannot be read the tags are kept. */
  readonly unreadable: number;
  /** Blocks whose tags are damaged. */
  readonly tagsDamaged: number;
  /** Contents are undefined. */
  readonly discarded: number;
}

export interface RecoveryProgress {
  readonly blocksDone: number;
  readonly blocks: number;
}

export interface RecoveryParts {
  readonly sidecar: Sidecar;
  readonly data: BlockData;
  readonly tags: BlockTags;
  readonly generations: Generations;
  readonly bitmaps: readonly [Bitmap, Bitmap];
  /** Greater than those before; both bitmaps get it. */
  readonly epoch: number;
  readonly onProgress?: ((progress: RecoveryProgress) => void) | undefined;
}

/** Pieces that are read at a time. */
const WORKERS = 4;

interface Piece {
  readonly first: number;
  readonly count: number;
}

export function dirtyRegions(
  bitmaps: readonly [Bitmap, Bitmap],
  regionCount: number,
): ReadonlySet<number> {
  return new Set(bitmaps.flatMap((bitmap) => [...bitmap.dirty(regionCount)]));
}

/** Resolves when both bitmaps are clear, durably. */
export async function recover(parts: RecoveryParts): Promise<RecoveryReport> {
  const { sidecar, data, tags, bitmaps } = parts;
  const { geometry } = sidecar;
  const regions = [...dirtyRegions(bitmaps, geometry.regionCount)].sort((a, b) => a - b);
  const recovery = new Recovery(parts, regions);
  if (regions.length > 0) {
    await persist(() => data.target.flush());
    await recovery.run();
    await tags.cache.writeAll();
    await sidecar.flush();
  }
  await clear(parts);
  return { regions: regions.length, ...recovery.counts };
}

/** Those sectors that are not clear already. */
async function clear({ sidecar, bitmaps, epoch }: RecoveryParts): Promise<void> {
  for (const bitmap of bitmaps) {
    let isClear = true;
    for (let sector = 0; sector < BITMAP_SECTORS; sector++) {
      if (bitmap.isValid(sector) && bitmap.isClear(sector)) continue;
      isClear = false;
      bitmap.clear(sector);
      bitmap.seal(sector, epoch);
    }
    if (!isClear) await sidecar.writeBitmap(bitmap.which, 0, bitmap.bytes);
  }
}

class Recovery {
  readonly #parts: RecoveryParts;
  readonly #regions: readonly number[];
  readonly counts = {
    blocks: 0,
    valid: 0,
    recalculated: 0,
    bad: 0,
    torn: 0,
    unreadable: 0,
    tagsDamaged: 0,
    discarded: 0,
  };
  #blocksDone = 0;

  constructor(parts: RecoveryParts, regions: readonly number[]) {
    this.#parts = parts;
    this.#regions = regions;
    const { geometry } = parts.sidecar;
    for (const region of regions) {
      this.counts.blocks += geometry.endBlockOfRegion(region);
      this.counts.blocks -= geometry.firstBlockOfRegion(region);
    }
  }

  async run(): Promise<void> {
    const pieces = this.#pieces();
    const work = async () => {
      for (const piece of pieces) {
        await this.#recover(piece);
        this.#blocksDone += piece.count;
        const { blocks } = this.counts;
        this.#parts.onProgress?.({ blocksDone: this.#blocksDone, blocks });
      }
    };
    await Promise.all(Array.from({ length: WORKERS }, work));
  }

  *#pieces(): Generator<Piece, undefined> {
    const { geometry } = this.#parts.sidecar;
    const most = PIECE_BYTES / geometry.blockSize;
    for (const region of this.#regions) {
      const end = geometry.endBlockOfRegion(region);
      for (let first = geometry.firstBlockOfRegion(region); first < end; first += most) {
        yield { first, count: Math.min(most, end - first) };
      }
    }
  }

  async #recover({ first, count }: Piece): Promise<void> {
    const { data, tags, epoch, generations } = this.#parts;
    const [{ claims, expected }, { sums, readable }] = await Promise.all([
      tags.claims(first, count),
      data.sums(first, count),
    ]);
    for (let i = 0; i < count; i++) {
      const matches = readable[i] === 1 && sums[i] === expected[i];
      const state = this.#judge(claims[i] as Claim, matches, readable[i] === 1);
      if (state === undefined) continue;
      const generation = await generations.take();
      // Rule 4: its bit is what brought us here, and stays until the tags are durable.
      await tags.set(first + i, 1, { sums, at: i }, { generation, state }, epoch);
    }
  }

  /** Counts; says which state is to be written, if any. */
  #judge(claim: Claim, matches: boolean, readable: boolean): TagState | undefined {
    const { counts } = this;
    if (claim === Claim.lost) counts.tagsDamaged++;
    else if (claim === Claim.undefined) counts.discarded++;
    else if (!readable) counts.unreadable++;
    else if (claim === Claim.match && matches) counts.valid++;
    else if ((claim === Claim.bad || claim === Claim.torn) && matches) {
      counts.valid++;
      return TagState.valid;
    } else if (claim === Claim.bad) counts.bad++;
    else if (claim === Claim.torn) counts.torn++;
    else {
      counts.recalculated++;
      return TagState.recalculated;
    }
    return undefined;
  }
}
