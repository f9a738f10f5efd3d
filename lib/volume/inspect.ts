// What a volume is, from outside: read without a lock, also while somebody has it open, and nothing is written. What such an owner has in
// memory is not seen: tags lag, and the last few operations of it may show in one part and not in another.

import type { ChecksumName } from '../checksum/names.js';
import type { BlockFile } from '../device/block-file.js';
import { lockOwners } from '../device/lock-owner.js';
import type { Engine } from '../engine/engine.js';
import { checkBoolean, checkOptions } from '../validate.js';
import { sidecarBytes } from './by-path.js';
import { findPaths, identify, type VolumePaths } from './files.js';
import { SectorCondition } from './format/sectors.js';
import { isIdentity } from './format/superblock.js';
import { TagPage, TagState } from './format/tag-page.js';
import { PAGE_BYTES } from './geometry.js';
import type { VolumePlace } from './options.js';
import { dirtyRegions } from './recovery.js';
import { Sidecar } from './sidecar.js';

export interface VolumeInspectOptions extends VolumePlace {
  /** Read all tags, and count what they say: as many bytes as the sidecar has. Default false. */
  readonly tags?: boolean;
}

/** Blocks, by what their tags say. */
export interface TagCounts {
  /** Written since the volume was made, and checked at each read. */
  readonly valid: number;
  /** What was there after a crash, or when a file was protected, was taken for good. */
  readonly recalculated: number;
  /** Known to be damaged, until they are overwritten. */
  readonly bad: number;
  readonly torn: number;
  readonly discarded: number;
  /** Nothing is known of them. */
  readonly unknown: number;
  readonly neverWritten: number;
  /** The tag itself is damaged. */
  readonly tagDamaged: number;
}

/** What the sidecar says. */
export interface InspectedVolume {
  /** 32 hexadecimal digits. */
  readonly uuid: string;
  /** Bytes. */
  readonly size: number;
  readonly blockSize: number;
  readonly blocks: number;
  readonly algorithm: ChecksumName;
  /** Blocks that have tags since they were protected; all, of a volume that was created. */
  readonly baselineBlocks: number;
  /** It was closed; nothing has to be recovered. */
  readonly clean: boolean;
  /** What would be read to recover it, at most; bytes of data. */
  readonly dirtyRegions: number;
  readonly dirtyBytes: number;
  /** Since it was closed. */
  readonly changedWhileClosed: boolean;
  readonly truncated: boolean;
  /** Of four; the next one to open it for writing mends them. */
  readonly superblocksDamaged: number;
  /** Asked for by `tags`. */
  readonly tags: TagCounts | undefined;
}

export interface VolumeInspection {
  readonly path: string;
  readonly metaPath: string;
  /** Of the data, now. */
  readonly dataBytes: number;
  /** That a sidecar takes, or would take, with blocks of 4 KiB or those of the volume. */
  readonly metaBytes: number;
  /** Who has the data locked, where that can be seen: `process 4711 (node)`. */
  readonly owners: readonly string[];
  /** Undefined if there is no sidecar: the data is not protected. */
  readonly volume: InspectedVolume | undefined;
}

const DEFAULT_BLOCK_BYTES = 4096;
/** Read at a time. */
const PAGES = 64;

/** @throws what opening a volume for reading does, but for `ERR_RINGBOLT_BUSY`, and for `ENOENT` if there is no sidecar */
export async function inspect(
  engine: Engine,
  path: string,
  options: VolumeInspectOptions,
): Promise<VolumeInspection> {
  checkOptions('options', options, ['metaPath', 'tags']);
  const { tags = false } = options;
  checkBoolean('options.tags', tags);
  const paths = await findPaths(engine, path, options);
  const data = await engine.open(paths.data);
  let file: BlockFile | undefined;
  try {
    file = await openIfThere(engine, paths.sidecar);
    const sidecar = file === undefined ? undefined : await Sidecar.open(file);
    const blockSize = sidecar?.geometry.blockSize ?? DEFAULT_BLOCK_BYTES;
    return {
      path: paths.data,
      metaPath: paths.sidecar,
      dataBytes: data.size,
      metaBytes:
        sidecar?.geometry.sidecarBytes ?? (data.size > 0 ? sidecarBytes(data.size, blockSize) : 0),
      owners: await lockOwners(paths.data),
      volume: sidecar === undefined ? undefined : await look(sidecar, paths, data, tags),
    };
  } finally {
    await Promise.all([data.close(), file?.close()]);
  }
}

async function openIfThere(engine: Engine, path: string): Promise<BlockFile | undefined> {
  return engine.open(path).catch((error: unknown) => {
    if ((error as { code?: unknown }).code === 'ENOENT') return undefined;
    throw error;
  });
}

async function look(
  sidecar: Sidecar,
  paths: VolumePaths,
  data: BlockFile,
  tags: boolean,
): Promise<InspectedVolume> {
  const { geometry, superblocks } = sidecar;
  const { uuid, algorithm, baselineCursor, clean, identity } = superblocks.current;
  const dirty = dirtyRegions(await sidecar.readBitmaps(), geometry.regionCount);
  const now = await identify(paths, data);
  let dirtyBytes = 0;
  for (const region of dirty) dirtyBytes += geometry.bytesOfRegion(region);
  return {
    uuid: Buffer.from(uuid).toString('hex'),
    size: geometry.dataBytes,
    blockSize: geometry.blockSize,
    blocks: geometry.blockCount,
    algorithm,
    baselineBlocks: baselineCursor,
    clean,
    dirtyRegions: dirty.size,
    dirtyBytes,
    changedWhileClosed:
      clean && identity !== undefined && now !== undefined && !isIdentity(now, identity),
    truncated: data.size < geometry.dataBytes,
    superblocksDamaged: superblocks.toMend,
    tags: tags ? await countTags(sidecar) : undefined,
  };
}

async function countTags(sidecar: Sidecar): Promise<TagCounts> {
  const { geometry, seed } = sidecar;
  const counts = { bad: 0, torn: 0, discarded: 0, unknown: 0, neverWritten: 0, tagDamaged: 0 };
  const all = { valid: 0, recalculated: 0, ...counts };
  for (let first = 0; first < geometry.pageCount; first += PAGES) {
    const pages = Math.min(PAGES, geometry.pageCount - first);
    const bytes = new Uint8Array(pages * PAGE_BYTES);
    await sidecar.readPages(first, bytes);
    for (let i = 0; i < pages; i++) {
      const number = first + i;
      const page = new TagPage(number, bytes.subarray(i * PAGE_BYTES, (i + 1) * PAGE_BYTES), seed);
      for (let tag = 0; tag < geometry.tagsOfPage(number); tag++) all[nameOf(page, tag)]++;
    }
  }
  return all;
}

const NAME_OF_STATE: Readonly<Record<number, keyof TagCounts | undefined>> = {
  [TagState.valid]: 'valid',
  [TagState.recalculated]: 'recalculated',
  [TagState.torn]: 'torn',
  [TagState.bad]: 'bad',
  [TagState.discarded]: 'discarded',
};

function nameOf(page: TagPage, tag: number): keyof TagCounts {
  if (page.conditionOfTag(tag) === SectorCondition.damaged) return 'tagDamaged';
  if (page.isNeverWritten(tag)) return 'neverWritten';
  return NAME_OF_STATE[page.state(tag)] ?? 'unknown';
}
