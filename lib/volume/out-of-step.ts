// Rule 12: whether the data is that of the sidecar. An older copy that was put back, another file under the same name, or much that was written by
// another program: block after block would be called damaged, and recovery would make tags for what is in dirty regions as if a crash
// had left it.
//
// So before anything else a few blocks are looked at, of regions that are clean, where everything has to match: some of those that have
// checksums, at random, on pages at random. It is bounded, whatever the volume's size: in one that is nearly empty there may
// be nothing to look at, and then nothing is known against it. A few rotten blocks are no reason: these are damage. Nor are
// blocks that cannot be read, or that are behind the end of data that became shorter.

import type { BlockData } from './block-data.js';
import type { Bitmap } from './format/bitmap.js';
import { SectorCondition } from './format/sectors.js';
import { TagPage, TagState } from './format/tag-page.js';
import { PAGE_BYTES, TAGS_PER_PAGE } from './geometry.js';
import { dirtyRegions } from './recovery.js';
import type { Sidecar } from './sidecar.js';

export interface Sampling {
  readonly sidecar: Sidecar;
  readonly data: BlockData;
  readonly bitmaps: readonly [Bitmap, Bitmap];
  /** From 0 on, below 1. */
  readonly random: () => number;
}

const SAMPLES = 64;
const PAGES = 64;
/** With fewer it is not out of step, however few were looked at. */
const LEAST_WRONG = 8;

export async function isOutOfStep(sampling: Sampling): Promise<boolean> {
  const { sidecar, data } = sampling;
  const pages = await Promise.all(
    choosePages(sampling).map(async (number) => {
      const bytes = new Uint8Array(PAGE_BYTES);
      await sidecar.readPages(number, bytes);
      return new TagPage(number, bytes, sidecar.seed);
    }),
  );
  let [right, wrong] = [0, 0];
  const look = async ({ page, tag }: Sample) => {
    const { sums, readable } = await data.sums(page.number * TAGS_PER_PAGE + tag, 1);
    if (readable[0] === 0) return;
    if (sums[0] === page.checksum(tag)) right++;
    else wrong++;
  };
  await Promise.all(chooseTags(pages, sampling).map(look));
  return wrong >= LEAST_WRONG && wrong > right;
}

interface Sample {
  readonly page: TagPage;
  readonly tag: number;
}

/** Of clean regions; all, if they are few. */
function choosePages({ sidecar: { geometry }, bitmaps, random }: Sampling): number[] {
  const dirty = dirtyRegions(bitmaps, geometry.regionCount);
  const { pageCount } = geometry;
  const isFew = pageCount <= PAGES;
  const pages = new Set<number>();
  for (let i = 0; i < Math.min(pageCount, PAGES); i++) {
    const page = isFew ? i : Math.floor(random() * pageCount);
    if (!dirty.has(geometry.regionOfPage(page))) pages.add(page);
  }
  return [...pages];
}

/** One of each page in turn, until there are enough. */
function chooseTags(pages: readonly TagPage[], { sidecar, random }: Sampling): Sample[] {
  const left = pages.map((page) => ({ page, tags: verified(page, sidecar) }));
  const samples: Sample[] = [];
  for (let isAny = true; isAny && samples.length < SAMPLES;) {
    isAny = false;
    for (const { page, tags } of left) {
      if (tags.length === 0 || samples.length === SAMPLES) continue;
      const [tag] = tags.splice(Math.floor(random() * tags.length), 1);
      samples.push({ page, tag: tag! });
      isAny = true;
    }
  }
  return samples;
}

/** Tags that have a checksum which the block is to have. */
function verified(page: TagPage, { geometry }: Sidecar): number[] {
  const tags: number[] = [];
  for (let tag = 0; tag < geometry.tagsOfPage(page.number); tag++) {
    if (page.conditionOfTag(tag) !== SectorCondition.written || page.isNeverWritten(tag)) continue;
    const state = page.state(tag);
    if (state === TagState.valid || state === TagState.recalculated) tags.push(tag);
  }
  return tags;
}
