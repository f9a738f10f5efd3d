// Single faults: everything that may be wrong with one thing of a volume, while it is closed and while it is open, and what it is called then.
//
// Each is applied to a copy of the same volume. `blocks` are those that have to be refused, as damaged: no more, no fewer, unless the fault
// may be mended or may be covered by what is in memory (`mayBeGood`). All others have to be read, and have what they should have.

import {
  decodeSuperblock,
  encodeSuperblock,
  type Superblock,
} from '../../dist/lib/volume/format/superblock.js';
import { SUPERBLOCK_BYTES } from '../../dist/lib/volume/geometry.js';
import type { VolumeStatus } from '../../dist/lib/volume/status.js';
import type { Volume } from '../../dist/lib/volume/volume.js';
import type { Seeded } from '../support/seeded.js';
import type { SimulatedMedium } from './simulated-medium.js';
import { BLOCK, blocksOf, blockOf, type SimulatedVolume } from './simulated-volume.js';

export const BLOCKS = 300;
const TAGS_PER_SECTOR = 31;
const TAGS_PER_PAGE = 248;

/** A volume that was written to twice, and closed each time. Its blocks have these versions. */
export interface Bench {
  readonly simulated: SimulatedVolume;
  readonly random: Seeded;
  readonly data: SimulatedMedium;
  readonly sidecar: SimulatedMedium;
  /** Of each block; the faults that are none change it. */
  readonly versions: number[];
  /** Bytes of the data as it was closed the first time. */
  readonly olderData: Uint8Array;
  readonly olderSidecar: Uint8Array;
  /** Another volume of the same size, with other data. */
  readonly otherData: Uint8Array;
  readonly otherSidecar: Uint8Array;
  /** Blocks that were written the first time, and again the second time. */
  readonly rewritten: readonly number[];
}

/** What it is called. */
export interface Named {
  readonly blocks?: readonly number[];
  readonly code?: string;
  readonly mayBeGood?: boolean;
  /** What opening it rejects with. */
  readonly open?: string;
  readonly status?: Partial<VolumeStatus>;
  /** Recovered regions. */
  readonly regions?: number;
  /** All four superblocks are the same again. */
  readonly mended?: boolean;
  /** What ending an epoch rejects with. */
  readonly settle?: string;
}

export interface Fault {
  readonly name: string;
  /** `volume` is open, or undefined: then it is opened afterwards. */
  readonly apply: (bench: Bench, volume: Volume | undefined) => Named;
  readonly when: 'closed' | 'open' | 'either';
}

const CORRUPT = 'ERR_RINGBOLT_CORRUPT';
const FORMAT = 'ERR_RINGBOLT_FORMAT';

function range(first: number, end: number): number[] {
  return Array.from({ length: Math.min(end, BLOCKS) - first }, (_, i) => first + i);
}

/** Those whose tags are in the same sector. */
function neighbours(block: number): number[] {
  const page = Math.floor(block / TAGS_PER_PAGE) * TAGS_PER_PAGE;
  const first = page + Math.floor((block - page) / TAGS_PER_SECTOR) * TAGS_PER_SECTOR;
  return range(first, Math.min(first + TAGS_PER_SECTOR, page + TAGS_PER_PAGE));
}

function sectorOf({ simulated: { geometry } }: Bench, block: number): number {
  const sector = Math.floor((block % TAGS_PER_PAGE) / TAGS_PER_SECTOR);
  return geometry.offsetOfPage(Math.floor(block / TAGS_PER_PAGE)) + sector * 512;
}

const anyBlock = ({ random }: Bench) => random.below(BLOCKS);
const pick = ({ random }: Bench, from: readonly number[]) => from[random.below(from.length)]!;

function putBlock({ data }: Bench, block: number, from: Uint8Array, at = block): void {
  data.overwrite(block * BLOCK, from.slice(at * BLOCK, (at + 1) * BLOCK));
}

function changeSuperblocks(
  { sidecar }: Bench,
  which: readonly number[],
  change: (current: Superblock) => Partial<Superblock>,
): void {
  const current = decodeSuperblock(sidecar.visible(0, SUPERBLOCK_BYTES).slice(), 'sidecar');
  const copy = encodeSuperblock({ ...current, ...change(current) });
  for (const index of which) sidecar.overwrite(index * SUPERBLOCK_BYTES, copy);
}

const ALL = [0, 1, 2, 3];
const withFeature = (name: keyof Superblock['features']) => (bench: Bench) => {
  changeSuperblocks(bench, ALL, ({ features }) => ({
    features: { ...features, [name]: 1n << BigInt(bench.random.below(63)) },
  }));
};

export const FAULTS: readonly Fault[] = [
  {
    name: 'a bit of the data',
    when: 'either',
    apply: (bench) => {
      const block = anyBlock(bench);
      bench.data.flipBit(block * BLOCK + bench.random.below(BLOCK));
      return { blocks: [block], code: CORRUPT };
    },
  },
  {
    name: 'a sector of data that cannot be read',
    when: 'either',
    apply: (bench) => {
      const block = anyBlock(bench);
      bench.data.breakSector(block * BLOCK + bench.random.below(BLOCK));
      return { blocks: [block], code: 'EIO' };
    },
  },
  {
    name: 'a block of zeros',
    when: 'either',
    apply: (bench) => {
      const block = bench.random.below(200);
      bench.data.overwrite(block * BLOCK, new Uint8Array(BLOCK));
      return { blocks: [block], code: CORRUPT };
    },
  },
  {
    name: 'a write of data that was lost: an older block with the newer tag',
    when: 'either',
    apply: (bench) => {
      const block = pick(bench, bench.rewritten);
      putBlock(bench, block, bench.olderData);
      return { blocks: [block], code: CORRUPT };
    },
  },
  {
    name: 'a write that went to another place',
    when: 'either',
    apply: (bench) => {
      const [from, to] = [pick(bench, bench.rewritten), bench.random.below(30)];
      putBlock(bench, to, bench.data.visible().slice(), from);
      putBlock(bench, from, bench.olderData);
      return { blocks: [from, to], code: CORRUPT };
    },
  },
  {
    name: 'two blocks that have changed places',
    when: 'either',
    apply: (bench) => {
      const data = bench.data.visible().slice();
      const [one, other] = [bench.random.below(100), 100 + bench.random.below(100)];
      putBlock(bench, one, data, other);
      putBlock(bench, other, data, one);
      return { blocks: [one, other], code: CORRUPT };
    },
  },
  {
    name: 'a write of a tag that was lost: an older tag with the newer block',
    when: 'closed',
    apply: (bench) => {
      const block = pick(bench, bench.rewritten);
      const at = sectorOf(bench, block);
      bench.sidecar.overwrite(at, bench.olderSidecar.slice(at, at + 512));
      const blocks = neighbours(block).filter((one) => bench.rewritten.includes(one));
      return { blocks, code: CORRUPT };
    },
  },
  {
    name: 'a bit of a sector of tags',
    when: 'closed',
    apply: (bench) => {
      const block = anyBlock(bench);
      bench.sidecar.flipBit(sectorOf(bench, block) + bench.random.below(512));
      return { blocks: neighbours(block), code: CORRUPT };
    },
  },
  {
    name: 'a bit of a sector of tags, while they may be in memory',
    when: 'open',
    apply: (bench) => {
      const block = anyBlock(bench);
      bench.sidecar.flipBit(sectorOf(bench, block) + bench.random.below(512));
      return { blocks: neighbours(block), code: CORRUPT, mayBeGood: true };
    },
  },
  {
    name: 'a sector of tags that cannot be read',
    when: 'closed',
    apply: (bench) => {
      const block = anyBlock(bench);
      bench.sidecar.breakSector(sectorOf(bench, block));
      return { blocks: neighbours(block), code: CORRUPT };
    },
  },
  {
    name: 'a sector of tags of zeros',
    when: 'closed',
    apply: (bench) => {
      const block = bench.random.below(200);
      bench.sidecar.overwrite(sectorOf(bench, block), new Uint8Array(512));
      return { blocks: neighbours(block).filter((one) => bench.versions[one]! > 0), code: CORRUPT };
    },
  },
  {
    name: 'a sector of tags of another volume',
    when: 'closed',
    apply: (bench) => {
      const block = bench.random.below(200);
      const at = sectorOf(bench, block);
      bench.sidecar.overwrite(at, bench.otherSidecar.slice(at, at + 512));
      return { blocks: neighbours(block), code: CORRUPT };
    },
  },
  {
    name: 'a sector of tags in another place',
    when: 'closed',
    apply: (bench) => {
      const [block, other] = [bench.random.below(124), 124 + bench.random.below(76)];
      const at = sectorOf(bench, other);
      bench.sidecar.overwrite(sectorOf(bench, block), bench.sidecar.visible(at, 512).slice());
      return { blocks: neighbours(block), code: CORRUPT };
    },
  },
  {
    name: 'a bit of a copy of the superblock',
    when: 'either',
    apply: ({ sidecar, random }, volume) => {
      sidecar.flipBit(random.below(4) * SUPERBLOCK_BYTES + random.below(512));
      return { mended: volume === undefined };
    },
  },
  {
    name: 'a copy of the superblock that cannot be read',
    when: 'either',
    apply: ({ sidecar, random }, volume) => {
      sidecar.breakSector(random.below(4) * SUPERBLOCK_BYTES);
      return { mended: volume === undefined };
    },
  },
  {
    name: 'an older copy of the superblock',
    when: 'closed',
    apply: ({ sidecar, random, olderSidecar }) => {
      const at = random.below(4) * SUPERBLOCK_BYTES;
      sidecar.overwrite(at, olderSidecar.slice(at, at + SUPERBLOCK_BYTES));
      return { mended: true };
    },
  },
  {
    name: 'a superblock of another version',
    when: 'closed',
    apply: (bench) => {
      changeSuperblocks(bench, [bench.random.below(4)], () => ({ version: 2 }));
      return { open: FORMAT };
    },
  },
  {
    name: 'incompatible features that are not known',
    when: 'closed',
    apply: (bench) => {
      withFeature('incompatible')(bench);
      return { open: FORMAT };
    },
  },
  {
    name: 'features that are not known, and forbid writing',
    when: 'closed',
    apply: (bench) => {
      withFeature('readOnlyCompatible')(bench);
      return { open: FORMAT };
    },
  },
  {
    name: 'compatible features that are not known: no fault',
    when: 'closed',
    apply: (bench) => {
      withFeature('compatible')(bench);
      return {};
    },
  },
  {
    name: 'two superblocks of one sequence',
    when: 'closed',
    apply: (bench) => {
      const setUuid = new Uint8Array(16).fill(1 + bench.random.below(255));
      changeSuperblocks(bench, [bench.random.below(4)], () => ({ setUuid }));
      return { open: FORMAT };
    },
  },
  {
    name: 'the sidecar of nothing',
    when: 'closed',
    apply: ({ sidecar }) => {
      sidecar.overwrite(0, new Uint8Array(4 * SUPERBLOCK_BYTES));
      return { open: FORMAT };
    },
  },
  {
    name: 'a sidecar that is too short',
    when: 'closed',
    apply: ({ sidecar, random }) => {
      sidecar.resize(sidecar.size - 512 * (1 + random.below(8)));
      return { open: FORMAT };
    },
  },
  {
    name: 'a bit of a bitmap',
    when: 'closed',
    apply: ({ sidecar, simulated: { geometry }, random }) => {
      sidecar.flipBit(geometry.layout.bitmaps[random.below(2)]!.offset + random.below(512));
      return { regions: 2 };
    },
  },
  {
    name: 'a bitmap that cannot be read',
    when: 'closed',
    apply: ({ sidecar, simulated: { geometry }, random }) => {
      sidecar.breakSector(geometry.layout.bitmaps[random.below(2)]!.offset);
      return { regions: 2 };
    },
  },
  {
    name: 'a bit of a bitmap, while it is in memory',
    when: 'open',
    apply: ({ sidecar, simulated: { geometry }, random }) => {
      sidecar.flipBit(geometry.layout.bitmaps[random.below(2)]!.offset + random.below(512));
      return {};
    },
  },
  {
    name: 'the data of another volume',
    when: 'closed',
    apply: ({ data, otherData, versions }) => {
      data.overwrite(0, otherData);
      const blocks = range(0, BLOCKS).filter((block) => versions[block]! > 0);
      return { blocks, code: CORRUPT, status: { state: 'out-of-step' } };
    },
  },
  {
    name: 'data that was restored from an older copy',
    when: 'closed',
    apply: ({ data, olderData, rewritten }) => {
      data.overwrite(0, olderData);
      return {
        blocks: rewritten,
        code: CORRUPT,
        status: { state: 'open', changedWhileClosed: true },
      };
    },
  },
  {
    name: 'data that became shorter',
    when: 'closed',
    apply: ({ data, random }) => {
      const left = 1 + random.below(BLOCKS - 1);
      data.resize(left * BLOCK);
      return { blocks: range(left, BLOCKS), code: CORRUPT, status: { truncated: true } };
    },
  },
  {
    name: 'a second owner',
    when: 'open',
    apply: (bench) => {
      const ownerNonce = new Uint8Array(16).fill(1 + bench.random.below(255));
      changeSuperblocks(bench, ALL, ({ sequence }) => ({ ownerNonce, sequence: sequence + 1 }));
      return { settle: 'ERR_RINGBOLT_BUSY' };
    },
  },
  // What nobody can tell from what should be there. docs/volumes.md says so.
  {
    name: 'undetectable: an older block with its older tag',
    when: 'closed',
    apply: (bench) => {
      const block = pick(bench, bench.rewritten);
      const at = sectorOf(bench, block);
      bench.sidecar.overwrite(at, bench.olderSidecar.slice(at, at + 512));
      for (const one of neighbours(block)) {
        if (!bench.rewritten.includes(one)) continue;
        putBlock(bench, one, bench.olderData);
        bench.versions[one] = 1;
      }
      return {};
    },
  },
  {
    name: 'undetectable: both files restored from older copies',
    when: 'closed',
    apply: (bench) => {
      bench.data.overwrite(0, bench.olderData);
      bench.sidecar.overwrite(0, bench.olderSidecar);
      for (const block of bench.rewritten) bench.versions[block] = 1;
      return { status: { state: 'open' } };
    },
  },
  {
    name: 'without meaning: a bit behind the header of a superblock, of the room for a log, behind a bitmap',
    when: 'either',
    apply: ({ sidecar, random, simulated: { geometry } }) => {
      const { log, bitmaps } = geometry.layout;
      const places = [512 + random.below(3584), log.offset + random.below(log.length)];
      places.push(bitmaps[0].offset + 67 * 512 + random.below(512));
      sidecar.flipBit(places[random.below(3)]!);
      return {};
    },
  },
];

/** The first time all of `written` as version 1, the second time some of them as version 2. */
export async function writeTwice(simulated: SimulatedVolume, rewritten: readonly number[]) {
  const identify = identityOf(simulated, 1n);
  await simulated.create();
  let volume = await simulated.open({ identify });
  await volume.write(0, blocksOf(0, 200, 1));
  await volume.close();
  const older = {
    data: simulated.data.medium.visible().slice(),
    sidecar: simulated.sidecar.medium.visible().slice(),
  };
  volume = await simulated.open({ identify });
  for (const block of rewritten) await volume.write(block * BLOCK, blockOf(block, 2));
  await volume.close();
  return older;
}

export function identityOf({ data }: SimulatedVolume, mtimeNs: bigint) {
  return () => Promise.resolve({ size: data.medium.size, inode: 1n, mtimeNs });
}
