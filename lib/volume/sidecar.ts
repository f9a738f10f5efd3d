// A sidecar as its bytes lie on a target: making one, and reading and writing its parts. What is written when is for others to say.
//
// Memory goes to the target as it is and is not touched until that is done. What cannot be read is given as bytes that no sector has, so
// that it is not valid (rule 9: a bitmap sector that is not valid means dirty, a tag sector that is not valid is damaged).

import { randomBytes } from 'node:crypto';
import type { Transfer } from '../device/block-target.js';
import type { VolumeTarget } from './synced-target.js';
import type { ChecksumName } from '../checksum/names.js';
import { RingboltError, ringboltError } from '../errors.js';
import { Bitmap } from './format/bitmap.js';
import { sectorSeed } from './format/sectors.js';
import { formatError, VERSION, type NeverWritten, type Superblock } from './format/superblock.js';
import {
  AREA_ALIGNMENT,
  Geometry,
  planLayout,
  SECTOR_BYTES,
  type VolumeShape,
} from './geometry.js';
import { persist } from './persist.js';
import { SuperblockStore } from './superblock-store.js';

export interface NewSidecar {
  readonly shape: VolumeShape;
  readonly algorithm: ChecksumName;
  readonly neverWritten: NeverWritten;
  /** Default: a new one. */
  readonly uuid?: Uint8Array;
}

const UNREADABLE = 0xff;

/** @throws `ERR_RINGBOLT_UNSUPPORTED` */
function unitOf({ path, blockSize }: VolumeTarget): number {
  const unit = Math.max(SECTOR_BYTES, blockSize);
  if (AREA_ALIGNMENT % unit === 0) return unit;
  const text = `A sidecar is written in units of ${AREA_ALIGNMENT} bytes; those of '${path}' are ${blockSize}`;
  throw ringboltError('ERR_RINGBOLT_UNSUPPORTED', text, { path });
}

/**
 * Makes a sidecar on a target that is as long as it is to be, or becomes so by being written. The superblock comes last: before that is
 * durable there is no sidecar.
 *
 * @throws `EEXIST` if there is something where the superblock belongs; nothing was written then
 */
export async function createSidecar(target: VolumeTarget, made: NewSidecar): Promise<Superblock> {
  const { shape, algorithm, neverWritten, uuid = randomBytes(16) } = made;
  unitOf(target);
  if (await SuperblockStore.isUsed(target)) {
    const text = `There is something in '${target.path}': a sidecar is made in an empty file`;
    throw new RingboltError('EEXIST', text, { path: target.path });
  }
  const layout = planLayout(shape);
  const { bitmaps, log, tags } = layout;
  // Zeroed as a whole, which allocates it: later no write lacks space, and durable ones never meet unwritten extents in the head.
  const head = new Uint8Array(bitmaps[1].offset + bitmaps[1].length);
  for (const [which, { offset, length }] of bitmaps.entries()) {
    const bytes = head.subarray(offset, offset + length);
    new Bitmap(which, bytes, sectorSeed(uuid)).sealAll(0);
  }
  await target.write(0, head);
  await target.writeZeroes(log.offset, log.length);
  await target.writeZeroes(tags.offset, tags.length);
  await target.flush();
  const superblock: Superblock = {
    version: VERSION,
    features: { compatible: 0n, readOnlyCompatible: 0n, incompatible: 0n },
    uuid,
    setUuid: new Uint8Array(16),
    sequence: 1,
    shape,
    algorithm,
    layout,
    generationReservation: 1,
    neverWritten,
    baselineCursor: neverWritten === 'zeros' ? shape.blockCount : 0,
    clean: true,
    identity: undefined,
    ownerNonce: new Uint8Array(16),
    tail: new Uint8Array(0),
  };
  await SuperblockStore.create(target, superblock);
  return superblock;
}

export class Sidecar {
  readonly target: VolumeTarget;
  readonly superblocks: SuperblockStore;
  #geometry: Geometry;
  /** Of its sectors. */
  readonly seed: number;
  /** What it is written in, bytes: 512 to 4096. */
  readonly unit: number;

  private constructor(target: VolumeTarget, superblocks: SuperblockStore) {
    const { shape, layout, uuid } = superblocks.current;
    this.target = target;
    this.superblocks = superblocks;
    this.#geometry = new Geometry(shape, layout);
    this.seed = sectorSeed(uuid);
    this.unit = unitOf(target);
  }

  /**
   * Reads; writes nothing.
   *
   * @throws `ERR_RINGBOLT_FORMAT`, `ERR_RINGBOLT_UNSUPPORTED`
   */
  static async open(target: VolumeTarget): Promise<Sidecar> {
    const sidecar = new Sidecar(target, await SuperblockStore.open(target));
    const { sidecarBytes } = sidecar.geometry;
    if (target.size >= sidecarBytes) return sidecar;
    throw formatError(target.path, `it has ${target.size} bytes; expected ${sidecarBytes}`);
  }

  get geometry(): Geometry {
    return this.#geometry;
  }

  /** Rule 14: its superblock has another shape than when it was opened. */
  noteGrowth(): void {
    const { shape, layout } = this.superblocks.current;
    this.#geometry = new Geometry(shape, layout);
  }

  /** As they are there. */
  async readBitmaps(): Promise<[Bitmap, Bitmap]> {
    const read = async (which: 0 | 1) => {
      const { offset, length } = this.geometry.layout.bitmaps[which];
      const bytes = new Uint8Array(length);
      await this.#read(offset, bytes);
      return new Bitmap(which, bytes, this.seed);
    };
    return Promise.all([read(0), read(1)]);
  }

  /** What {@link DirtyRegions} needs. */
  readonly writeBitmap = (which: number, offset: number, bytes: Uint8Array): Promise<unknown> => {
    const area = this.geometry.layout.bitmaps[which]!;
    const write = () => this.target.write(area.offset + offset, bytes, { durable: true });
    return persist(write);
  };

  /** Resolves to whether all of it could be read. */
  readPages(first: number, into: Uint8Array): Promise<boolean> {
    return this.#read(this.geometry.offsetOfPage(first), into);
  }

  /** Offsets are those of the sidecar. */
  async writeTags(transfers: readonly Transfer[], durable: boolean): Promise<void> {
    await persist(() => this.target.writeBatch(transfers, { durable }));
  }

  flush(): Promise<void> {
    return persist(() => this.target.flush());
  }

  async #read(offset: number, into: Uint8Array): Promise<boolean> {
    if (await this.#tryRead(offset, into)) return true;
    // Piece by piece, so that one that is broken spoils no others.
    const pieces: Promise<boolean>[] = [];
    for (let at = 0; at < into.length; at += this.unit) {
      const piece = into.subarray(at, at + this.unit);
      const read = this.#tryRead(offset + at, piece);
      pieces.push(
        read.then((done) => {
          if (!done) piece.fill(UNREADABLE);
          return done;
        }),
      );
    }
    return (await Promise.all(pieces)).every(Boolean);
  }

  async #tryRead(offset: number, into: Uint8Array): Promise<boolean> {
    try {
      // A full queue says nothing of what is there: who took that for damage would make it so.
      return (await persist(() => this.target.read(offset, into))) === into.length;
    } catch {
      return false;
    }
  }
}
