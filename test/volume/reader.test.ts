// Shows that a reader written from docs/format.md alone finds in sidecars what was put into them: of several sizes and algorithms,
// in order and damaged. What is expected comes from the description, not from the codecs' own reading.

import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import type { ChecksumName } from 'ringbolt';
import { beforeEach, describe, expect, it } from 'vitest';
import { Bitmap } from '../../dist/lib/volume/format/bitmap.js';
import { blockChecksum, checksumSeed } from '../../dist/lib/volume/format/block-checksum.js';
import { sectorSeed } from '../../dist/lib/volume/format/sectors.js';
import { chooseSuperblock } from '../../dist/lib/volume/format/superblock-copies.js';
import {
  encodeSuperblock,
  FIELD,
  superblockCrc,
  VERSION,
  type Superblock,
} from '../../dist/lib/volume/format/superblock.js';
import { TagState } from '../../dist/lib/volume/format/tag-page.js';
import { Geometry, planLayout, shapeOf } from '../../dist/lib/volume/geometry.js';
import { Random } from '../support/random.js';
import { tempFolder } from '../support/temp-folder.js';
import { needPython, runReader } from './reader.js';
import { piecesOf, writeSidecar, type Piece, type SidecarTag } from './sidecar.js';

interface Printed {
  readonly error?: string;
  readonly copies: string[];
  readonly superblock: Record<string, unknown>;
  readonly regions: number;
  readonly dirty: number[];
  readonly invalidSectors: number[][];
  readonly tags: Record<string, unknown>[];
}

const MIB = 2 ** 20;
const STATES = Object.keys(TagState);
const hexOf = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

let random: Random;
let name: string;
beforeEach(({ skip }) => {
  needPython(skip);
  random = new Random();
  name = path.join(tempFolder(), 'data.ringbolt');
});

function someSuperblock(dataBytes: number, blockSize: number, algorithm: ChecksumName): Superblock {
  const shape = shapeOf(dataBytes, blockSize);
  const hasIdentity = random.below(2) === 0;
  return {
    version: VERSION,
    features: { compatible: 2n ** 63n + 1n, readOnlyCompatible: 4n, incompatible: 0n },
    uuid: randomBytes(16),
    setUuid: randomBytes(16),
    sequence: random.below(2 ** 31),
    shape,
    algorithm,
    layout: planLayout(shape),
    generationReservation: 1 + random.below(2 ** 20) * 2 ** 32,
    neverWritten: random.below(2) === 0 ? 'zeros' : 'unknown',
    baselineCursor: Math.min(shape.blockCount, random.below(2 ** 31)),
    clean: random.below(2) === 0,
    identity: hasIdentity
      ? { size: dataBytes, inode: 2n ** 64n - 1n, mtimeNs: -(2n ** 60n) }
      : undefined,
    ownerNonce: randomBytes(16),
    tail: randomBytes(random.below(3) * 10),
  };
}

/** What the reader is to print of it. */
function printedOf({ shape, layout, features, identity, ...rest }: Superblock) {
  return {
    ...rest,
    ...shape,
    ...layout,
    compatible: String(features.compatible),
    readOnlyCompatible: String(features.readOnlyCompatible),
    incompatible: String(features.incompatible),
    uuid: hexOf(rest.uuid),
    setUuid: hexOf(rest.setUuid),
    ownerNonce: hexOf(rest.ownerNonce),
    identity:
      identity === undefined
        ? null
        : { size: identity.size, inode: String(identity.inode), mtimeNs: String(identity.mtimeNs) },
    tail: undefined, // the reader knows nothing of it
  };
}

function someTags(first: number, count: number): Map<number, SidecarTag> {
  const tags = new Map<number, SidecarTag>();
  for (let block = first; block < first + count; block++) {
    if (random.below(3) === 0) continue;
    tags.set(block, {
      checksum: randomBytes(8).readBigUInt64LE(),
      generation: 1 + random.below(2 ** 30) * 2 ** 22,
      state: random.below(STATES.length) as TagState,
    });
  }
  return tags;
}

function printedTag(superblock: Superblock, block: number, tag: SidecarTag | undefined) {
  if (tag !== undefined) {
    const checksum = tag.checksum.toString(16).padStart(16, '0');
    return { block, state: STATES[tag.state], generation: tag.generation, checksum };
  }
  const { neverWritten: means, baselineCursor } = superblock;
  const lost = means === 'unknown' && block < baselineCursor;
  return lost ? { block, state: 'damaged' } : { block, state: 'never written', means };
}

describe.each<[string, number, number, ChecksumName, number]>([
  ['a byte', 1, 4096, 'crc32c', 0],
  ['ragged pages', 800 * 4096 + 17, 4096, 'xxh3', 0],
  ['large blocks', 300 * 65_536, 65_536, 'crc64nvme', 0],
  ['two bitmap sectors', 5000 * 248 * 4096, 4096, 'crc32c', 3967 * 248],
  ['large regions', 300_000 * 248 * 4096 - 1, 4096, 'crc64nvme', 299_999 * 248],
])('of %s', (_, dataBytes, blockSize, algorithm, first) => {
  it('the reader finds what was put in', () => {
    const superblock = someSuperblock(dataBytes, blockSize, algorithm);
    const geometry = new Geometry(superblock.shape, superblock.layout);
    const count = Math.min(1000, geometry.blockCount - first);
    const tags = someTags(first, count);
    const some = (): number[] =>
      Array.from({ length: 5 }, () => random.below(geometry.regionCount));
    const dirty = [some(), [...some(), geometry.regionCount - 1]] as const;
    writeSidecar(name, superblock, piecesOf({ superblock, epoch: 9, dirty, tags }));
    const printed = runReader(name, '--blocks', first, count) as Printed;
    expect(printed.superblock).toEqual(printedOf(superblock));
    expect(printed.copies).toEqual(['valid', 'valid', 'valid', 'valid']);
    expect(printed.regions).toBe(geometry.regionCount);
    expect(printed.dirty).toEqual([...new Set(dirty.flat())].toSorted((a, b) => a - b));
    expect(printed.invalidSectors).toEqual([]);
    expect(printed.tags).toEqual(
      Array.from({ length: count }, (__, i) =>
        printedTag(superblock, first + i, tags.get(first + i)),
      ),
    );
  });
});

describe('of what a crash or a bad disk leaves', () => {
  const DATA = 900 * 4096;
  const damage = (pieces: readonly Piece[], at: number) => {
    const [offset, bytes] = pieces.find(
      ([start, { length }]) => at >= start && at < start + length,
    )!;
    bytes[at - offset]! ^= 1 << random.below(8);
  };

  it('the reader chooses the superblock that counts', () => {
    const superblock = someSuperblock(DATA, 4096, 'crc32c');
    const state = { superblock, epoch: 1, dirty: [[], []] as const, tags: new Map() };
    const recent = { ...superblock, sequence: superblock.sequence + 1, clean: false };
    const pieces = piecesOf(state);
    pieces[1] = [4096, encodeSuperblock(recent)];
    pieces[3] = [12_288, new Uint8Array(4096)];
    pieces[2] = [8192, encodeSuperblock({ ...recent, sequence: recent.sequence + 1 })];
    damage(pieces, 8192 + 90);
    writeSidecar(name, superblock, pieces);
    const printed = runReader(name, '--blocks', 0, 0) as Printed;
    expect(printed.copies).toEqual(['valid', 'valid', 'damaged', 'none']);
    expect(printed.superblock).toEqual(printedOf(recent));
    const copies = pieces.slice(0, 4).map(([, bytes]) => bytes);
    expect(chooseSuperblock(copies, name).superblock.sequence).toBe(recent.sequence);
  });

  it.each<[string, RegExp, (copy: Uint8Array, view: DataView) => void]>([
    ['of a newer version', /version 2/, (_, view) => view.setUint32(FIELD.version, 2, true)],
    [
      'with unknown features',
      /0x10/,
      (_, view) => view.setBigUint64(FIELD.incompatible, 16n, true),
    ],
    ['that differs', /two superblocks/, (copy) => (copy[FIELD.ownerNonce]! ^= 1)],
  ])('the reader refuses one %s, as the code does', (_, words, change) => {
    const superblock = someSuperblock(DATA, 4096, 'crc32c');
    const pieces = piecesOf({ superblock, epoch: 1, dirty: [[], []], tags: new Map() });
    const copy = Uint8Array.from(pieces[0]![1]);
    const view = new DataView(copy.buffer);
    change(copy, view);
    const headerBytes = view.getUint32(FIELD.headerBytes, true);
    view.setUint32(FIELD.crc, superblockCrc(copy, headerBytes), true);
    pieces[2] = [8192, copy];
    writeSidecar(name, superblock, pieces);
    expect((runReader(name) as Printed).error).toMatch(words);
    const copies = pieces.slice(0, 4).map(([, bytes]) => bytes);
    expect(() => chooseSuperblock(copies, name)).toThrow(
      expect.objectContaining({ code: 'ERR_RINGBOLT_FORMAT' }),
    );
  });

  it('the reader finds no valid superblock in a file of something else', () => {
    writeFileSync(name, randomBytes(MIB));
    expect((runReader(name) as Printed).error).toMatch('no valid superblock');
  });

  it('a damaged bitmap sector stands for all its regions, a damaged tag sector for its tags', () => {
    const superblock = someSuperblock(5000 * 248 * 4096, 4096, 'crc32c');
    const { bitmaps, tags: area } = superblock.layout;
    const tags = someTags(0, 248);
    const pieces = piecesOf({ superblock, epoch: 1, dirty: [[7], [4000]], tags });
    damage(pieces, bitmaps[1].offset + 512 + random.below(512));
    damage(pieces, area.offset + 3 * 512 + random.below(512));
    writeSidecar(name, superblock, pieces);
    const printed = runReader(name, '--blocks', 0, 248) as Printed;
    expect(printed.invalidSectors).toEqual([[1, 1]]);
    const bytes = pieces.find(([offset]) => offset === bitmaps[1].offset)![1];
    const bitmap = new Bitmap(1, bytes, sectorSeed(superblock.uuid));
    expect(printed.dirty).toEqual([7, ...bitmap.dirty(5000)]);
    expect(printed.dirty).toHaveLength(1 + 5000 - 3968);
    const states = printed.tags.map(({ state }) => state === 'damaged');
    for (let block = 93; block < 124; block++) expect(states[block]).toBe(true);
    if (superblock.neverWritten === 'zeros') expect(states.filter(Boolean)).toHaveLength(31);
  });

  it.each(['crc32c', 'crc64nvme'] as const)('the reader verifies data by its %s', (algorithm) => {
    const superblock = someSuperblock(6 * 4096 + 100, 4096, algorithm);
    const data = randomBytes(6 * 4096 + 100);
    const seed = checksumSeed(algorithm, superblock.uuid);
    const tags = new Map<number, SidecarTag>();
    for (let block = 0; block < 7; block++) {
      const contents = data.subarray(block * 4096, (block + 1) * 4096);
      const checksum = blockChecksum(algorithm, seed, block, contents);
      tags.set(block, { checksum, generation: 1, state: TagState.valid });
    }
    writeSidecar(name, superblock, piecesOf({ superblock, epoch: 1, dirty: [[], []], tags }));
    data.copyWithin(4096, 0, 4096); // block 0 written to the place of block 1 as well
    data[5 * 4096]! ^= 1;
    const file = path.join(tempFolder(), 'data');
    writeFileSync(file, data);
    const printed = runReader(name, '--data', file) as Printed;
    const wrong = printed.tags.flatMap(({ block, matches }) => (matches === true ? [] : [block]));
    expect(wrong).toEqual([1, 5]);
  });
});
