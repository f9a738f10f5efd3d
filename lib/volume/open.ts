// Making and opening volumes on two targets: the data, and the sidecar. Who opens paths, and locks them (rule 13), gives them to this.
//
//   superblock chosen ─▶ copies mended ─▶ new owner, generations reserved ─▶ recovery ─▶ bits cleared ─▶ open
//        rule 1               rule 1              rule 13                       rule 9
//
// With `access: 'read'` nothing is written: what is dirty stays so, and blocks there that do not match are unknown (rule 13).

import { SyncedTarget, type VolumeTarget } from './synced-target.js';
import type { ChecksumName } from '../checksum/names.js';
import { ringboltError } from '../errors.js';
import { BlockData } from './block-data.js';
import { BlockTags } from './block-tags.js';
import { newNonce, VolumeCore } from './core.js';
import { DirtyRegions } from './dirty-regions.js';
import { Epochs, systemTimer, type Timer } from './epochs.js';
import {
  formatError,
  isIdentity,
  type FileIdentity,
  type NeverWritten,
} from './format/superblock.js';
import type { Bitmap } from './format/bitmap.js';
import { Generations, RESERVED_AHEAD } from './generations.js';
import { BITMAP_SECTORS, shapeOf } from './geometry.js';
import { RangeLocks } from './range-locks.js';
import { dirtyRegions, recover, type RecoveryProgress, type RecoveryReport } from './recovery.js';
import { createSidecar, Sidecar } from './sidecar.js';
import { TagCache } from './tag-cache.js';

export interface CreateVolumeOptions {
  readonly data: VolumeTarget;
  /** Empty. */
  readonly sidecar: VolumeTarget;
  /** Bytes: a power of two from 4 to 64 KiB. Default 4096. */
  readonly blockSize?: number;
  /** Default `'crc64nvme'`. */
  readonly algorithm?: ChecksumName;
  /** `'zeros'`: the data is zeroed. `'unknown'`: it stays as it is, and each block is unverified until it is written. */
  readonly contents: NeverWritten;
  /** It is zeros already. Default false. */
  readonly zeroed?: boolean;
}

export interface OpenVolumeOptions {
  readonly data: VolumeTarget;
  readonly sidecar: VolumeTarget;
  /** Default `'read-write'`. */
  readonly access?: 'read' | 'read-write';
  /** In memory, 4 KiB each: tags of 248 blocks. Default 4096. */
  readonly tagPages?: number;
  /** An epoch ends when so much data is in dirty regions, which is what recovery reads. Default 1 GiB. */
  readonly maxDirtyBytes?: number;
  /** Default 10,000. */
  readonly epochMs?: number;
  /** Operations that may wait for others on the same blocks. Default 4096. */
  readonly maxWaiting?: number;
  readonly onProgress?: (progress: RecoveryProgress) => void;
  /** Rule 12: what the data file is now. */
  readonly identify?: () => Promise<FileIdentity | undefined>;
  readonly timer?: Timer;
  /** Reserved at a time. */
  readonly generationsAhead?: number;
}

/** Makes a volume of `data`, as large as that is, and closes neither. */
export async function createVolume(options: CreateVolumeOptions): Promise<void> {
  const { data, sidecar, blockSize = 4096, algorithm = 'crc64nvme' } = options;
  const { contents, zeroed = false } = options;
  const shape = shapeOf(data.size, blockSize);
  checkUnits(data, blockSize, shape.lastBlockBytes);
  if (contents === 'zeros' && !zeroed) {
    await data.writeZeroes(0, data.size);
    await data.flush();
  }
  await createSidecar(sidecar, { shape, algorithm, neverWritten: contents });
}

/** Rule 14: the last block is written as it is. */
function checkUnits({ path, blockSize: unit }: VolumeTarget, blockSize: number, last: number) {
  if (blockSize % unit === 0 && last % unit === 0) return;
  const text = `Blocks of ${blockSize} bytes, the last one of ${last}, cannot be written to '${path}' in units of ${unit}`;
  throw ringboltError('ERR_RINGBOLT_UNSUPPORTED', `${text}: try direct: false`, { path });
}

export interface OpenedVolume {
  readonly core: VolumeCore;
  readonly sidecar: Sidecar;
  /** Undefined for a volume that is only read. */
  readonly epochs: Epochs | undefined;
  readonly recovery: RecoveryReport | undefined;
  readonly changedWhileClosed: boolean;
  readonly truncated: boolean;
  /** What the superblock is to say after a clean close: generations, and what the data file is then. */
  readonly nextGeneration: () => number;
  readonly identify: (() => Promise<FileIdentity | undefined>) | undefined;
}

/**
 * Opens what a volume is made of; its targets are its own from then on, but are not closed if this rejects.
 *
 * @throws `ERR_RINGBOLT_FORMAT`, `ERR_RINGBOLT_UNSUPPORTED`, and what reading and writing do
 */
export async function openParts(options: OpenVolumeOptions): Promise<OpenedVolume> {
  const sidecar = await Sidecar.open(new SyncedTarget(options.sidecar));
  const opening = new Opening({ ...options, data: new SyncedTarget(options.data) }, sidecar);
  return options.access === 'read' ? opening.forReading() : opening.forWriting();
}

class Opening {
  readonly #options: OpenVolumeOptions;
  readonly #sidecar: Sidecar;
  readonly #data: BlockData;
  readonly #tags: BlockTags;
  #core: VolumeCore | undefined;
  #failure: { readonly error: unknown } | undefined;

  constructor(options: OpenVolumeOptions, sidecar: Sidecar) {
    const { current } = sidecar.superblocks;
    this.#options = options;
    this.#sidecar = sidecar;
    this.#data = new BlockData(options.data, sidecar.geometry, current);
    const cache = new TagCache({
      sidecar,
      pages: options.tagPages ?? 4096,
      onFailure: (error) => {
        this.#fail(error);
      },
    });
    this.#tags = new BlockTags(cache, sidecar.geometry, current, this.#data.seed);
  }

  async forReading(): Promise<OpenedVolume> {
    const { geometry } = this.#sidecar;
    const bitmaps = await this.#sidecar.readBitmaps();
    const suspects = dirtyRegions(bitmaps, geometry.regionCount);
    this.#core = this.#makeCore({ dirty: undefined, generations: undefined, suspects });
    return this.#opened({
      epochs: undefined,
      recovery: undefined,
      changedWhileClosed: await this.#isChanged(),
      nextGeneration: () => 0,
    });
  }

  async forWriting(): Promise<OpenedVolume> {
    const { data, maxDirtyBytes = 2 ** 30, epochMs: intervalMs = 10_000 } = this.#options;
    const { timer = systemTimer, onProgress } = this.#options;
    const sidecar = this.#sidecar;
    const { geometry, superblocks } = sidecar;
    if (!superblocks.writable) {
      const what = 'it has features that this version can only read with: update ringbolt';
      throw formatError(sidecar.target.path, what);
    }
    checkUnits(data, geometry.blockSize, geometry.shape.lastBlockBytes);
    const changedWhileClosed = await this.#isChanged();
    await superblocks.mend(); // rule 1
    const generations = await this.#takeOwnership();
    const bitmaps = await sidecar.readBitmaps();
    const epoch = highestEpoch(bitmaps) + 1;
    const parts = { sidecar, data: this.#data, tags: this.#tags, generations, bitmaps, epoch };
    const recovery = await recover({ ...parts, onProgress }); // rule 9
    const dirty = new DirtyRegions({
      geometry,
      bitmaps,
      epoch: epoch + 1,
      unit: sidecar.unit,
      write: sidecar.writeBitmap,
    });
    const core = this.#makeCore({ dirty, generations, suspects: undefined });
    this.#core = core;
    if (this.#failure !== undefined) throw this.#failure.error;
    const epochs = new Epochs({ core, sidecar, intervalMs, maxDirtyBytes, timer });
    core.onChange = () => {
      epochs.note();
    };
    const nextGeneration = () => generations.next;
    return this.#opened({ epochs, recovery, changedWhileClosed, nextGeneration });
  }

  /** Rule 13, and generations: none was used from the reservation on, and there is a new one before any of these is. */
  async #takeOwnership(): Promise<Generations> {
    const { superblocks } = this.#sidecar;
    const ahead = this.#options.generationsAhead ?? RESERVED_AHEAD;
    const next = superblocks.current.generationReservation;
    const limit = next + ahead;
    await superblocks.update(() => ({
      clean: false,
      identity: undefined,
      ownerNonce: newNonce(),
      generationReservation: limit,
    }));
    const reserve = async (more: number) => {
      try {
        await superblocks.update(() => ({ generationReservation: more }));
      } catch (error) {
        this.#fail(error);
        throw error;
      }
    };
    return new Generations({ next, limit, ahead, reserve });
  }

  /** Rule 12. */
  async #isChanged(): Promise<boolean> {
    const { clean, identity } = this.#sidecar.superblocks.current;
    if (!clean || identity === undefined) return false;
    const now = await this.#options.identify?.();
    return now !== undefined && !isIdentity(now, identity);
  }

  #fail(error: unknown): void {
    this.#failure ??= { error };
    this.#core?.fail(error);
  }

  #makeCore(
    parts: Pick<VolumeCore, 'dirty'> & {
      readonly generations: Generations | undefined;
      readonly suspects: ReadonlySet<number> | undefined;
    },
  ): VolumeCore {
    return new VolumeCore({
      ...parts,
      path: this.#options.data.path,
      geometry: this.#sidecar.geometry,
      data: this.#data,
      tags: this.#tags,
      locks: new RangeLocks({ maxWaiting: this.#options.maxWaiting ?? 4096 }),
    });
  }

  #opened(
    parts: Pick<OpenedVolume, 'epochs' | 'recovery' | 'changedWhileClosed' | 'nextGeneration'>,
  ): OpenedVolume {
    return {
      ...parts,
      core: this.#core!,
      sidecar: this.#sidecar,
      truncated: this.#options.data.size < this.#sidecar.geometry.dataBytes,
      identify: this.#options.identify,
    };
  }
}

function highestEpoch(bitmaps: readonly [Bitmap, Bitmap]): number {
  let highest = 0;
  for (const bitmap of bitmaps) {
    for (let sector = 0; sector < BITMAP_SECTORS; sector++) {
      if (bitmap.isValid(sector)) highest = Math.max(highest, bitmap.sequence(sector));
    }
  }
  return highest;
}
