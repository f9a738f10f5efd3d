// The superblock: what a volume is, where its parts lie, and how far it has come. One copy is 4 KiB, of which all that counts is in the
// first 512 bytes: a device writes it whole or not at all. docs/format.md has the same table.
//
// Magic, CRC and header length are the same in all versions there will be, so that damage can be told from novelty. The CRC covers the
// bytes before it and those behind it, up to the header's length. A later version may make the header longer under a bit of
// the compatible features: what is behind the fields known here is kept and written again.

import { crc32c } from '../../checksum/functions.js';
import { CHECKSUM_NAMES, type ChecksumName } from '../../checksum/names.js';
import { ringboltError } from '../../errors.js';
import { ChecksumAlgorithm } from '../../native.js';
import {
  AREA_ALIGNMENT,
  BITMAP_SECTORS,
  isPowerOfTwo,
  MAX_BLOCK_BYTES,
  MAX_REGIONS,
  MIN_BLOCK_BYTES,
  PAGE_BYTES,
  pagesFor,
  SECTOR_BYTES,
  SUPERBLOCK_BYTES,
  SUPERBLOCK_COPIES,
  type Area,
  type SidecarLayout,
  type VolumeShape,
} from '../geometry.js';

export const MAGIC = 'RINGBOLT';
export const VERSION = 1;
/** Bytes that this version knows. */
export const HEADER_BYTES = 256;
/** More would not be in one sector. */
export const MAX_HEADER_BYTES = SECTOR_BYTES;
/** Features that this version knows: none yet. */
const KNOWN_INCOMPATIBLE = 0n;
const KNOWN_READ_ONLY_COMPATIBLE = 0n;

const FLAG_CLEAN = 1;
const FLAG_IDENTITY = 2;

/** Byte offsets of the fields. */
export const FIELD = {
  magic: 0,
  crc: 8,
  headerBytes: 12,
  version: 16,
  algorithm: 20,
  neverWritten: 21,
  flags: 22,
  compatible: 24,
  readOnlyCompatible: 32,
  incompatible: 40,
  uuid: 48,
  setUuid: 64,
  sequence: 80,
  generationReservation: 88,
  baselineCursor: 96,
  blockCount: 104,
  blockSize: 112,
  lastBlockBytes: 116,
  pagesPerRegion: 120,
  bitmap0: 128,
  bitmap1: 144,
  log: 160,
  tags: 176,
  identitySize: 192,
  identityInode: 200,
  identityMtimeNs: 208,
  ownerNonce: 224,
} as const;

/** Words that say what a program must know to read a volume, to write it, or neither. */
export interface Features {
  /** Whoever does not know a bit may do everything. */
  readonly compatible: bigint;
  /** ... may read. */
  readonly readOnlyCompatible: bigint;
  /** ... may do nothing. */
  readonly incompatible: bigint;
}

/** Rule 12: of the data file, at the last clean close. */
export interface FileIdentity {
  /** Bytes. */
  readonly size: number;
  readonly inode: bigint;
  /** Since 1970. */
  readonly mtimeNs: bigint;
}

export function isIdentity(one: FileIdentity, other: FileIdentity): boolean {
  return one.size === other.size && one.inode === other.inode && one.mtimeNs === other.mtimeNs;
}

/** Rule 2. `'zeros'`: the data must be zeros. `'unknown'`: nothing is known of it, from the baseline cursor on. */
export type NeverWritten = 'zeros' | 'unknown';

export interface Superblock {
  readonly version: number;
  readonly features: Features;
  /** 16 bytes, as are the next and the nonce. */
  readonly uuid: Uint8Array;
  /** For mirrors; zeros if the volume belongs to none. */
  readonly setUuid: Uint8Array;
  /** One more with each superblock that is written. */
  readonly sequence: number;
  readonly shape: VolumeShape;
  readonly algorithm: ChecksumName;
  readonly layout: SidecarLayout;
  /** Generations below this one may have been used. */
  readonly generationReservation: number;
  readonly neverWritten: NeverWritten;
  /** Blocks below it have tags; block count for a created volume. */
  readonly baselineCursor: number;
  readonly clean: boolean;
  /** Undefined if there was no clean close. */
  readonly identity: FileIdentity | undefined;
  /** Rule 13. */
  readonly ownerNonce: Uint8Array;
  /** Of a later version's header, what is behind the fields known here. */
  readonly tail: Uint8Array;
}

const NEVER_WRITTEN: readonly (NeverWritten | undefined)[] = [undefined, 'zeros', 'unknown'];

/** Rule 2: what a tag of zeros means, alone or in a sector of zeros. */
export function meaningOfNeverWritten(
  { neverWritten, baselineCursor }: Pick<Superblock, 'neverWritten' | 'baselineCursor'>,
  block: number,
): NeverWritten | 'damaged' {
  if (neverWritten === 'unknown' && block < baselineCursor) return 'damaged';
  return neverWritten;
}

/** `what` was found in a sidecar. */
export function formatError(path: string, what: string): Error {
  const text = `'${path}' is no sidecar that can be used: ${what}`;
  return ringboltError('ERR_RINGBOLT_FORMAT', text, { path });
}

/** The CRC-32C that belongs into a copy, whose header has so many bytes. */
export function superblockCrc(copy: Uint8Array, headerBytes: number): number {
  const before = crc32c(copy.subarray(0, FIELD.crc));
  return crc32c(copy.subarray(FIELD.crc + 4, headerBytes), before);
}

/** One copy, 4 KiB. */
export function encodeSuperblock(superblock: Superblock): Uint8Array<ArrayBuffer> {
  const { features, shape, layout, identity, tail } = superblock;
  const copy = new Uint8Array(SUPERBLOCK_BYTES);
  const view = new DataView(copy.buffer);
  const putNumber = (offset: number, value: number) => {
    view.setBigUint64(offset, BigInt(value), true);
  };
  const putArea = (at: number, { offset, length }: Area) => {
    putNumber(at, offset);
    putNumber(at + 8, length);
  };
  const headerBytes = HEADER_BYTES + tail.length;
  copy.set(Buffer.from(MAGIC), FIELD.magic);
  view.setUint32(FIELD.headerBytes, headerBytes, true);
  view.setUint32(FIELD.version, superblock.version, true);
  copy[FIELD.algorithm] = ChecksumAlgorithm[superblock.algorithm];
  copy[FIELD.neverWritten] = NEVER_WRITTEN.indexOf(superblock.neverWritten);
  copy[FIELD.flags] =
    (superblock.clean ? FLAG_CLEAN : 0) | (identity === undefined ? 0 : FLAG_IDENTITY);
  view.setBigUint64(FIELD.compatible, features.compatible, true);
  view.setBigUint64(FIELD.readOnlyCompatible, features.readOnlyCompatible, true);
  view.setBigUint64(FIELD.incompatible, features.incompatible, true);
  copy.set(superblock.uuid, FIELD.uuid);
  copy.set(superblock.setUuid, FIELD.setUuid);
  putNumber(FIELD.sequence, superblock.sequence);
  putNumber(FIELD.generationReservation, superblock.generationReservation);
  putNumber(FIELD.baselineCursor, superblock.baselineCursor);
  putNumber(FIELD.blockCount, shape.blockCount);
  view.setUint32(FIELD.blockSize, shape.blockSize, true);
  view.setUint32(FIELD.lastBlockBytes, shape.lastBlockBytes, true);
  view.setUint32(FIELD.pagesPerRegion, layout.pagesPerRegion, true);
  putArea(FIELD.bitmap0, layout.bitmaps[0]);
  putArea(FIELD.bitmap1, layout.bitmaps[1]);
  putArea(FIELD.log, layout.log);
  putArea(FIELD.tags, layout.tags);
  if (identity !== undefined) {
    putNumber(FIELD.identitySize, identity.size);
    view.setBigUint64(FIELD.identityInode, identity.inode, true);
    view.setBigInt64(FIELD.identityMtimeNs, identity.mtimeNs, true);
  }
  copy.set(superblock.ownerNonce, FIELD.ownerNonce);
  copy.set(tail, HEADER_BYTES);
  view.setUint32(FIELD.crc, superblockCrc(copy, headerBytes), true);
  return copy;
}

/**
 * What a copy whose CRC is right says. `path` is that of the sidecar, for errors.
 *
 * @throws `ERR_RINGBOLT_FORMAT` if this version does not know it, or it makes no sense
 */
export function decodeSuperblock(copy: Uint8Array, path: string): Superblock {
  const fields = new Fields(copy, path);
  const version = fields.uint32(FIELD.version);
  if (version !== VERSION) {
    const newer = version > VERSION ? ', a newer one: update ringbolt' : '';
    throw formatError(path, `it has version ${version}${newer}; expected ${VERSION}`);
  }
  const features = {
    compatible: fields.uint64(FIELD.compatible),
    readOnlyCompatible: fields.uint64(FIELD.readOnlyCompatible),
    incompatible: fields.uint64(FIELD.incompatible),
  };
  const unknown = features.incompatible & ~KNOWN_INCOMPATIBLE;
  if (unknown !== 0n) {
    const found = `it has incompatible features 0x${unknown.toString(16)}`;
    throw formatError(path, `${found} that this version does not know: update ringbolt`);
  }
  const shape = decodeShape(fields);
  const flags = fields.byte(FIELD.flags);
  return {
    version,
    features,
    uuid: fields.sixteen(FIELD.uuid),
    setUuid: fields.sixteen(FIELD.setUuid),
    sequence: fields.number('sequence', FIELD.sequence),
    shape,
    algorithm: decodeAlgorithm(fields),
    layout: decodeLayout(fields, shape),
    generationReservation: fields.number('generation reservation', FIELD.generationReservation),
    neverWritten: decodeNeverWritten(fields),
    baselineCursor: decodeBaseline(fields, shape),
    clean: (flags & FLAG_CLEAN) !== 0,
    identity: (flags & FLAG_IDENTITY) === 0 ? undefined : decodeIdentity(fields),
    ownerNonce: fields.sixteen(FIELD.ownerNonce),
    tail: copy.slice(HEADER_BYTES, fields.uint32(FIELD.headerBytes)),
  };
}

/** Bits that forbid writing, as this version does not know them. */
export function unknownForWriting({ readOnlyCompatible }: Features): bigint {
  return readOnlyCompatible & ~KNOWN_READ_ONLY_COMPATIBLE;
}

/** Reads fields, and says what is wrong with them. */
class Fields {
  readonly #copy: Uint8Array;
  readonly #view: DataView;
  readonly #path: string;

  constructor(copy: Uint8Array, path: string) {
    this.#copy = copy;
    this.#view = new DataView(copy.buffer, copy.byteOffset, copy.byteLength);
    this.#path = path;
  }

  byte(offset: number): number {
    return this.#view.getUint8(offset);
  }

  uint32(offset: number): number {
    return this.#view.getUint32(offset, true);
  }

  uint64(offset: number): bigint {
    return this.#view.getBigUint64(offset, true);
  }

  int64(offset: number): bigint {
    return this.#view.getBigInt64(offset, true);
  }

  sixteen(offset: number): Uint8Array {
    return this.#copy.slice(offset, offset + 16);
  }

  number(name: string, offset: number): number {
    const value = this.uint64(offset);
    this.expect(value <= Number.MAX_SAFE_INTEGER, name, value, 'below 2^53');
    return Number(value);
  }

  area(name: string, offset: number): Area {
    return {
      offset: this.number(`offset of the ${name}`, offset),
      length: this.number(`length of the ${name}`, offset + 8),
    };
  }

  expect(right: boolean, name: string, found: number | bigint, expected: string): void {
    if (right) return;
    throw formatError(this.#path, `its ${name} is ${found}; expected ${expected}`);
  }
}

function decodeShape(fields: Fields): VolumeShape {
  const blockSize = fields.uint32(FIELD.blockSize);
  const sizeIsRight =
    blockSize >= MIN_BLOCK_BYTES && blockSize <= MAX_BLOCK_BYTES && isPowerOfTwo(blockSize);
  const sizes = `a power of two from ${MIN_BLOCK_BYTES} to ${MAX_BLOCK_BYTES}`;
  fields.expect(sizeIsRight, 'block size', blockSize, sizes);
  const lastBlockBytes = fields.uint32(FIELD.lastBlockBytes);
  const lastIsRight = lastBlockBytes >= 1 && lastBlockBytes <= blockSize;
  fields.expect(lastIsRight, 'last block', lastBlockBytes, `1 to ${blockSize} bytes`);
  const blockCount = fields.number('block count', FIELD.blockCount);
  const most = Math.floor(Number.MAX_SAFE_INTEGER / blockSize);
  fields.expect(blockCount >= 1 && blockCount <= most, 'block count', blockCount, `1 to ${most}`);
  return { blockSize, blockCount, lastBlockBytes };
}

function decodeAlgorithm(fields: Fields): ChecksumName {
  const found = fields.byte(FIELD.algorithm);
  const name = CHECKSUM_NAMES.find((one) => ChecksumAlgorithm[one] === found);
  const known = CHECKSUM_NAMES.map((one) => `${ChecksumAlgorithm[one]} (${one})`).join(', ');
  fields.expect(name !== undefined, 'algorithm', found, `one of ${known}`);
  return name!;
}

function decodeNeverWritten(fields: Fields): NeverWritten {
  const found = fields.byte(FIELD.neverWritten);
  const meaning = NEVER_WRITTEN[found];
  const expected = '1 (zeros) or 2 (unknown)';
  fields.expect(meaning !== undefined, 'meaning of never-written tags', found, expected);
  return meaning!;
}

function decodeBaseline(fields: Fields, { blockCount }: VolumeShape): number {
  const cursor = fields.number('baseline cursor', FIELD.baselineCursor);
  fields.expect(cursor <= blockCount, 'baseline cursor', cursor, `at most ${blockCount}`);
  return cursor;
}

function decodeIdentity(fields: Fields): FileIdentity {
  return {
    size: fields.number('size of the data file', FIELD.identitySize),
    inode: fields.uint64(FIELD.identityInode),
    mtimeNs: fields.int64(FIELD.identityMtimeNs),
  };
}

function decodeLayout(fields: Fields, { blockCount }: VolumeShape): SidecarLayout {
  const pages = pagesFor(blockCount);
  const pagesPerRegion = fields.uint32(FIELD.pagesPerRegion);
  const least = Math.ceil(pages / MAX_REGIONS);
  const regionIsRight = isPowerOfTwo(pagesPerRegion) && pagesPerRegion >= least;
  const expected = `a power of two, at least ${least}`;
  fields.expect(regionIsRight, 'number of pages in a region', pagesPerRegion, expected);
  const areas = {
    'first bitmap': fields.area('first bitmap', FIELD.bitmap0),
    'second bitmap': fields.area('second bitmap', FIELD.bitmap1),
    'intent log': fields.area('intent log', FIELD.log),
    'tag pages': fields.area('tag pages', FIELD.tags),
  };
  const bitmapBytes = BITMAP_SECTORS * SECTOR_BYTES;
  checkArea(fields, 'first bitmap', areas['first bitmap'], bitmapBytes);
  checkArea(fields, 'second bitmap', areas['second bitmap'], bitmapBytes);
  checkArea(fields, 'intent log', areas['intent log'], 0);
  checkArea(fields, 'tag pages', areas['tag pages'], pages * PAGE_BYTES);
  checkApart(fields, Object.entries(areas));
  return {
    pagesPerRegion,
    bitmaps: [areas['first bitmap'], areas['second bitmap']],
    log: areas['intent log'],
    tags: areas['tag pages'],
  };
}

function checkArea(fields: Fields, name: string, { offset, length }: Area, least: number): void {
  const aligned = offset % AREA_ALIGNMENT === 0 && length % AREA_ALIGNMENT === 0;
  fields.expect(aligned, `offset of the ${name}`, offset, `whole units of ${AREA_ALIGNMENT} bytes`);
  fields.expect(length >= least, `length of the ${name}`, length, `at least ${least} bytes`);
  const ends = Number.isSafeInteger(offset + length);
  fields.expect(ends, `end of the ${name}`, offset + length, 'below 2^53');
}

function checkApart(fields: Fields, areas: readonly [string, Area][]): void {
  let end = SUPERBLOCK_COPIES * SUPERBLOCK_BYTES;
  const inOrder = areas.toSorted(([, a], [, b]) => a.offset - b.offset);
  for (const [name, { offset, length }] of inOrder) {
    const expected = `at least ${end}, where what is before it ends`;
    fields.expect(offset >= end, `offset of the ${name}`, offset, expected);
    end = offset + length;
  }
}
