// Rule 14: a volume becomes larger while nobody else is at work on it.
//
//   epoch ended ─▶ data, flushed ─▶ tag pages of zeros, flushed ─▶ bit of the last block ─▶ superblock ─▶ parts ─▶ its tag ─▶ epoch ended
//                                                                                              │
//                                       a crash leaves the old size                            │  or the new one
//
// Both bitmaps are clear but for the bit of a last block that had fewer bytes than the others. Its checksum is to cover more of them, and
// tag and superblock cannot change at once: in between, a crash finds its region dirty, and its tag is made anew. Where regions
// become larger its region has another number from the superblock on, so the bits of both numbers are set: a bit too many costs
// nothing but a look.
//
// The new blocks have tags that were never written. Where these mean zeros, zeros are there; where they mean unknown, the cursor stays, and
// the baseline goes on from it.

import { ringboltError } from '../errors.js';
import { outOfRange } from '../validate.js';
import { BlockData } from './block-data.js';
import { BlockTags, Claim } from './block-tags.js';
import type { VolumeCore } from './core.js';
import type { Epochs } from './epochs.js';
import type { TagState } from './format/tag-page.js';
import { planGrowth, shapeOf, type SidecarLayout, type VolumeShape } from './geometry.js';
import { persist } from './persist.js';
import type { Sidecar } from './sidecar.js';
import { checkUnits } from './units.js';

/** That the files take besides what they have. */
export interface MoreBytes {
  readonly data: number;
  readonly sidecar: number;
}

export interface GrowingVolume {
  readonly core: VolumeCore;
  readonly sidecar: Sidecar;
  readonly epochs: Epochs;
  /** Rejects where there is no room. */
  readonly checkSpace: ((more: MoreBytes) => Promise<void>) | undefined;
}

/** A block whose checksum is to cover more bytes than before. */
interface Ragged {
  readonly block: number;
  readonly sum: bigint;
  readonly state: TagState;
}

/**
 * Under {@link Gate.alone}.
 *
 * @throws `ERR_OUT_OF_RANGE` if it would become smaller; `ERR_RINGBOLT_CORRUPT` if a last block that becomes longer is damaged
 */
export async function grow(
  { core, sidecar, epochs, checkSpace }: GrowingVolume,
  size: number,
): Promise<void> {
  const old = sidecar.geometry;
  const { dataBytes } = old;
  if (size < dataBytes) {
    throw outOfRange('size', `at least ${dataBytes}: a volume does not become smaller`, size);
  }
  if (size === dataBytes) return;
  const shape = shapeOf(size, old.blockSize);
  checkUnits(core.data.target, shape);
  checkTagsLast(sidecar);
  const layout = planGrowth(old.layout, shape);
  await checkSpace?.({
    data: Math.max(0, size - core.data.target.size),
    sidecar: layout.tags.length - old.layout.tags.length,
  });
  const ragged = await readRagged(core, shape);
  await core.whenAbandonedLeft();
  await epochs.change();
  await persist(() => core.data.target.writeZeroes(dataBytes, size - dataBytes));
  await persist(() => core.flushData());
  await growSidecar(sidecar, layout);
  try {
    await sidecar.flush();
    if (ragged !== undefined) await mark(core, ragged.block, layout);
    await sidecar.superblocks.update(({ neverWritten, baselineCursor }) => ({
      shape,
      layout,
      baselineCursor: neverWritten === 'zeros' ? shape.blockCount : baselineCursor,
    }));
    sidecar.noteGrowth();
    await exchangeParts({ core, sidecar, epochs });
    if (ragged !== undefined) await cover(core, ragged);
    await epochs.change();
  } catch (error) {
    core.fail(error);
    throw error;
  }
}

/** Everything else stays where it is. */
function checkTagsLast({ target, geometry }: Sidecar): void {
  const { bitmaps, log, tags } = geometry.layout;
  if ([...bitmaps, log].every(({ offset }) => offset < tags.offset)) return;
  const text = `There is something behind the tag pages of '${target.path}', so there is no room for more`;
  throw ringboltError('ERR_RINGBOLT_UNSUPPORTED', text, { path: target.path });
}

async function growSidecar({ target, geometry }: Sidecar, { tags }: SidecarLayout): Promise<void> {
  const from = geometry.offsetOfPage(geometry.pageCount);
  const end = tags.offset + tags.length;
  if (from < end) await persist(() => target.writeZeroes(from, end - from));
}

/** Of a last block that has fewer bytes than the others and a checksum: that of those bytes and zeros. */
async function readRagged(
  { path, geometry, data, tags }: VolumeCore,
  grown: VolumeShape,
): Promise<Ragged | undefined> {
  const { blockSize, blockCount, shape } = geometry;
  const block = blockCount - 1;
  if (shape.lastBlockBytes === blockSize) return undefined;
  const { claims, expected } = await tags.claims(block, 1);
  if (claims[0] !== Claim.match) return undefined; // nothing is verified there, or never again
  const bytes = new Uint8Array(grown.blockCount > blockCount ? blockSize : grown.lastBlockBytes);
  const into = bytes.subarray(0, shape.lastBlockBytes);
  await persist(() => data.target.read(block * blockSize, into));
  if (data.sumOf(block, into) !== expected[0]) {
    const text = `Block ${block} of '${path}', the last one, is damaged: overwrite it before the volume grows`;
    throw ringboltError('ERR_RINGBOLT_CORRUPT', text, { path, blocks: [block] });
  }
  const state = await tags.stateOf(block);
  return { block, sum: data.sumOf(block, bytes), state };
}

/** Rule 4, for what the block's region is now and what it will be. No epoch ends by itself until something is changed. */
async function mark(
  { geometry, dirty }: VolumeCore,
  block: number,
  { pagesPerRegion }: SidecarLayout,
): Promise<void> {
  const now = geometry.regionOfBlock(block);
  const then = Math.floor(geometry.pageOfBlock(block) / pagesPerRegion);
  for (const region of new Set([now, then])) {
    dirty!.leave(await dirty!.enter(region, region + 1));
  }
}

async function exchangeParts({
  core,
  sidecar,
  epochs,
}: Omit<GrowingVolume, 'checkSpace'>): Promise<void> {
  const { geometry, superblocks } = sidecar;
  const data = new BlockData(core.data.target, geometry, superblocks.current);
  const tags = new BlockTags(core.tags.cache, geometry, superblocks, data.seed);
  const dirty = await core.dirty!.grown(geometry);
  core.adopt({ geometry, data, tags });
  epochs.attach(dirty);
}

/** The last block that was. */
async function cover(core: VolumeCore, { block, sum, state }: Ragged): Promise<void> {
  const sums = BigUint64Array.of(sum);
  await core.change(block, 1, async (epoch) => {
    const generation = await core.generation();
    await core.tags.set(block, 1, { sums, at: 0 }, { generation, state }, epoch);
  });
}
