// Making and opening volumes on two targets: the data, and the sidecar. Who opens paths, and locks them (rule 13), gives them to this.
//
//   superblock chosen ─▶ in step? ─▶ copies mended ─▶ new owner, generations reserved ─▶ recovery ─▶ bits cleared ─▶ open
//        rule 1           rule 12       rule 1              rule 13                       rule 9
//
// Where data and sidecar are out of step it goes no further than the new owner; the rest comes with a rebaseline.
//
// With `access: 'read'` nothing is written: what is dirty stays so, and blocks there that do not match are unknown (rule 13).

import { SyncedTarget, type VolumeTarget } from './synced-target.js';
import type { ChecksumName } from '../checksum/names.js';
import { BlockData } from './block-data.js';
import { BlockTags } from './block-tags.js';
import { newNonce, VolumeCore, type VolumeParts } from './core.js';
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
import type { MoreBytes } from './growth.js';
import { BITMAP_SECTORS, shapeOf } from './geometry.js';
import { RangeLocks } from './range-locks.js';
import { isOutOfStep } from './out-of-step.js';
import type { PassProgress } from './pass.js';
import {
  dirtyRegions,
  recover,
  type RecoveryParts,
  type RecoveryProgress,
  type RecoveryReport,
} from './recovery.js';
import { createSidecar, Sidecar } from './sidecar.js';
import { TagCache } from './tag-cache.js';
import { checkUnits } from './units.js';

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
  /**
   * So much data is in dirty regions, at most, which is what recovery reads; more only where one operation alone is in more. Epochs end at
   * half of it, and writes to further regions wait where that comes too late. Default 1 GiB.
   */
  readonly maxDirtyBytes?: number;
  /** Default 10,000. */
  readonly epochMs?: number;
  /** Operations that may wait for others on the same blocks. Default 4096. */
  readonly maxWaiting?: number;
  readonly onProgress?: (progress: RecoveryProgress) => void;
  /** Rule 12: what the data file is now. */
  readonly identify?: () => Promise<FileIdentity | undefined>;
  /** Rejects if there is no room for so many more bytes, before growth takes any. */
  readonly checkSpace?: (more: MoreBytes) => Promise<void>;
  readonly timer?: Timer;
  /** Reserved at a time. */
  readonly generationsAhead?: number;
  /** Which blocks are looked at to find out whether data and sidecar are in step. Default `Math.random`. */
  readonly random?: () => number;
  /** Of a volume that was made with `contents: 'unknown'`: whether a baseline that has not ended goes on by itself. Default true. */
  readonly baseline?: boolean;
  readonly onBaselineProgress?: (progress: PassProgress) => void;
}

/** Makes a volume of `data`, as large as that is, and closes neither. */
export async function createVolume(options: CreateVolumeOptions): Promise<void> {
  const { data, sidecar, blockSize = 4096, algorithm = 'crc64nvme' } = options;
  const { contents, zeroed = false } = options;
  const shape = shapeOf(data.size, blockSize);
  checkUnits(data, shape);
  if (contents === 'zeros' && !zeroed) {
    await data.writeZeroes(0, data.size);
    await data.flush();
  }
  await createSidecar(sidecar, { shape, algorithm, neverWritten: contents });
}

export interface OpenedVolume extends OpenedParts {
  readonly targets: { readonly data: SyncedTarget; readonly sidecar: SyncedTarget };
}

interface OpenedParts {
  readonly core: VolumeCore;
  readonly sidecar: Sidecar;
  /** Undefined for a volume that is only read. */
  readonly epochs: Epochs | undefined;
  readonly recovery: RecoveryReport | undefined;
  /** For one that is out of step: what is to be done before the first write. */
  readonly recover: (() => Promise<RecoveryReport>) | undefined;
  readonly changedWhileClosed: boolean;
  /** What the superblock is to say after a clean close: generations, and what the data file is then. */
  readonly nextGeneration: () => number;
  readonly identify: (() => Promise<FileIdentity | undefined>) | undefined;
  readonly checkSpace: ((more: MoreBytes) => Promise<void>) | undefined;
  readonly random: () => number;
  /** Whether it goes on by itself, and whom it tells how far it is. */
  readonly baseline: boolean;
  readonly onBaselineProgress: ((progress: PassProgress) => void) | undefined;
}

/**
 * Opens what a volume is made of; its targets are its own from then on, but are not closed if this rejects.
 *
 * @throws `ERR_RINGBOLT_FORMAT`, `ERR_RINGBOLT_UNSUPPORTED`, and what reading and writing do
 */
export async function openParts(options: OpenVolumeOptions): Promise<OpenedVolume> {
  const targets = {
    data: new SyncedTarget(options.data),
    sidecar: new SyncedTarget(options.sidecar),
  };
  const opening = new Opening({ ...options, ...targets }, await Sidecar.open(targets.sidecar));
  const parts = await (options.access === 'read' ? opening.forReading() : opening.forWriting());
  return { ...parts, targets };
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
    this.#tags = new BlockTags(cache, sidecar.geometry, sidecar.superblocks, this.#data.seed);
  }

  async forReading(): Promise<OpenedParts> {
    const { geometry } = this.#sidecar;
    const bitmaps = await this.#sidecar.readBitmaps();
    const step = await this.#lookAtData(bitmaps);
    const suspects = dirtyRegions(bitmaps, geometry.regionCount);
    this.#makeCore({ generations: undefined, suspects, outOfStep: step.isOut });
    return this.#opened(step, {
      epochs: undefined,
      recovery: undefined,
      recover: undefined,
      nextGeneration: () => 0,
    });
  }

  async forWriting(): Promise<OpenedParts> {
    const { data, epochMs: intervalMs = 10_000, timer = systemTimer } = this.#options;
    const sidecar = this.#sidecar;
    const { geometry, superblocks } = sidecar;
    if (!superblocks.writable) {
      const what = 'it has features that this version can only read with: update ringbolt';
      throw formatError(sidecar.target.path, what);
    }
    checkUnits(data, geometry.shape);
    const bitmaps = await sidecar.readBitmaps();
    const step = await this.#lookAtData(bitmaps); // while the superblock tells how it was closed
    await superblocks.mend(); // rule 1
    const generations = await this.#takeOwnership();
    const suspects = dirtyRegions(bitmaps, geometry.regionCount);
    const core = this.#makeCore({ generations, suspects, outOfStep: step.isOut });
    const epochs = new Epochs({ core, sidecar, intervalMs, timer });
    core.onChange = () => {
      epochs.note();
    };
    const recover = () => this.#recover(core, epochs, { generations, bitmaps });
    const recovery = step.isOut ? undefined : await recover();
    const nextGeneration = () => generations.next;
    return this.#opened(step, { epochs, recovery, recover, nextGeneration });
  }

  /** Rule 9. From then on it can be written to. */
  async #recover(
    core: VolumeCore,
    epochs: Epochs,
    { generations, bitmaps }: Pick<RecoveryParts, 'generations' | 'bitmaps'>,
  ): Promise<RecoveryReport> {
    const { maxDirtyBytes: maxBytes = 2 ** 30, onProgress } = this.#options;
    const sidecar = this.#sidecar;
    const epoch = highestEpoch(bitmaps) + 1;
    const parts = { sidecar, data: this.#data, tags: this.#tags, generations, bitmaps, epoch };
    const report = await recover({ ...parts, onProgress });
    core.checkFailure();
    const { geometry, unit, writeBitmap } = sidecar;
    // Rule 8, also of a write that nobody waits for.
    const write: typeof writeBitmap = (...bits) =>
      writeBitmap(...bits).catch((error: unknown) => {
        core.fail(error);
        throw error;
      });
    epochs.attach(new DirtyRegions({ geometry, bitmaps, epoch: epoch + 1, unit, write, maxBytes }));
    core.adopt({ suspects: undefined });
    return report;
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

  /** Rule 12. Nothing is looked at where the data is what it was when the volume was closed. */
  async #lookAtData(bitmaps: readonly [Bitmap, Bitmap]): Promise<Step> {
    const { clean, identity } = this.#sidecar.superblocks.current;
    const { identify, random = Math.random } = this.#options;
    const then = clean ? identity : undefined;
    const now = then === undefined ? undefined : await identify?.();
    const isSame = now !== undefined && then !== undefined && isIdentity(now, then);
    const sampling = { sidecar: this.#sidecar, data: this.#data, bitmaps, random };
    return {
      hasChanged: now !== undefined && !isSame,
      isOut: !isSame && (await isOutOfStep(sampling)),
    };
  }

  #fail(error: unknown): void {
    this.#failure ??= { error };
    this.#core?.fail(error);
  }

  #makeCore(parts: Pick<VolumeParts, 'generations' | 'suspects' | 'outOfStep'>): VolumeCore {
    const core = new VolumeCore({
      ...parts,
      dirty: undefined,
      path: this.#options.data.path,
      geometry: this.#sidecar.geometry,
      data: this.#data,
      tags: this.#tags,
      locks: new RangeLocks({ maxWaiting: this.#options.maxWaiting ?? 4096 }),
    });
    this.#core = core;
    if (this.#failure !== undefined) core.fail(this.#failure.error);
    return core;
  }

  #opened(
    { hasChanged }: Step,
    parts: Pick<OpenedParts, 'epochs' | 'recovery' | 'recover' | 'nextGeneration'>,
  ): OpenedParts {
    const { random = Math.random, identify, checkSpace } = this.#options;
    const { onBaselineProgress, baseline = true } = this.#options;
    return {
      ...parts,
      core: this.#core!,
      sidecar: this.#sidecar,
      changedWhileClosed: hasChanged,
      identify,
      checkSpace,
      random,
      baseline,
      onBaselineProgress,
    };
  }
}

/** Of data and sidecar. */
interface Step {
  readonly hasChanged: boolean;
  readonly isOut: boolean;
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
