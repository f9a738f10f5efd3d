// The parts of an open volume, and what every change of a block goes through: the block's range lock, then the bit of its region.
//
//   change ─▶ range lock (rule 3) ─▶ bit, durable in the current bitmap (rule 4) ─▶ run ─▶ out of the epoch ─▶ lock released
//
// Rule 8: a failure is final. Whoever sees one of a flush, or of any write to the sidecar, tells `fail`. From then on nothing is changed,
// no bit is cleared, and what was not verified is not called damaged either, as a tag that should be here may not be.

import { randomBytes } from 'node:crypto';
import type { FlushOptions } from '../device/block-target.js';
import { ringboltError } from '../errors.js';
import { checkInteger, outOfRange } from '../validate.js';
import type { BlockData } from './block-data.js';
import type { BlockTags } from './block-tags.js';
import type { DirtyRegions } from './dirty-regions.js';
import type { Geometry } from './geometry.js';
import type { Generations } from './generations.js';
import { Patience } from './patience.js';
import type { RangeLock, RangeLocks } from './range-locks.js';
import { isHarmless } from './synced-target.js';

export interface VolumeParts {
  /** Of the data, for errors. */
  readonly path: string;
  readonly geometry: Geometry;
  readonly data: BlockData;
  readonly tags: BlockTags;
  readonly locks: RangeLocks;
  /** Those three undefined for a volume that is only read. */
  readonly dirty: DirtyRegions | undefined;
  readonly generations: Generations | undefined;
  /** Of a volume that is only read: regions whose blocks may not match. */
  readonly suspects: ReadonlySet<number> | undefined;
  /** Rule 12: nothing is written, and nothing that does not match is called damaged for good. */
  readonly outOfStep: boolean;
}

/** The usual one. */
const ENDLESS = new Patience({});

/** Blocks `first` to `end` - 1; bytes, in the volume. */
export interface Extent {
  readonly offset: number;
  readonly bytes: number;
  readonly first: number;
  readonly count: number;
}

/** Of somebody who was let in. */
export interface Change {
  readonly lock: RangeLock;
  readonly epoch: number;
}

export class VolumeCore {
  #parts: VolumeParts;
  #failure: { readonly error: unknown } | undefined;
  /** Those that wait for bits although their operations have ended. */
  readonly #abandoned = new Set<Promise<void>>();
  /** Called when a change is over. */
  onChange: () => void = () => undefined;

  constructor(parts: VolumeParts) {
    this.#parts = parts;
  }

  get path(): string {
    return this.#parts.path;
  }

  get geometry(): Geometry {
    return this.#parts.geometry;
  }

  get data(): BlockData {
    return this.#parts.data;
  }

  get tags(): BlockTags {
    return this.#parts.tags;
  }

  get locks(): RangeLocks {
    return this.#parts.locks;
  }

  get dirty(): DirtyRegions | undefined {
    return this.#parts.dirty;
  }

  get outOfStep(): boolean {
    return this.#parts.outOfStep;
  }

  /** Others in place of these; while nobody is at work ({@link Gate.alone}), or nobody minds. */
  adopt(parts: Partial<VolumeParts>): void {
    this.#parts = { ...this.#parts, ...parts };
  }

  get failure(): { readonly error: unknown } | undefined {
    return this.#failure;
  }

  /** Rule 8. */
  fail(error: unknown): void {
    if (this.#failure !== undefined) return;
    this.#failure = { error };
    this.dirty?.fail(error);
    this.tags.cache.fail(error);
  }

  /** @throws what it failed with */
  checkFailure(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  /** Rule 6, and rule 8. */
  async flushData(options?: FlushOptions): Promise<void> {
    this.checkFailure();
    try {
      await this.data.target.flush(options);
    } catch (error) {
      if (!isHarmless(error)) this.fail(error);
      throw error;
    }
  }

  /** Rule 13: whether a block that does not match its tag may be good all the same. */
  mayDiffer(block: number): boolean {
    return this.#parts.suspects?.has(this.geometry.regionOfBlock(block)) ?? false;
  }

  /** 0 if it takes waiting: {@link generation} does. */
  tryGeneration(): number {
    return this.#parts.generations!.tryTake();
  }

  /** Never one that was there before, also not before a crash. */
  async generation(): Promise<number> {
    return this.tryGeneration() || this.#parts.generations!.take();
  }

  /**
   * {@link change} for whoever need not wait, in two halves: lets it in, to {@link end} when it is over. Undefined where somebody is in
   * the way, or a bit is not there.
   */
  tryBegin(first: number, count: number): Change | undefined {
    this.checkFailure();
    const from = this.geometry.regionOfBlock(first);
    const to = this.geometry.regionOfBlock(first + count - 1) + 1;
    if (!this.dirty!.isDurable(from, to)) return undefined;
    const lock = this.locks.tryTake(first, first + count); // rule 3
    return lock && { lock, epoch: this.dirty!.tryEnter(from, to) }; // rule 4
  }

  end({ lock, epoch }: Change): void {
    this.dirty!.leave(epoch);
    this.locks.release(lock);
    this.onChange();
  }

  /**
   * Rule 14: which blocks a transfer is of; of a read, as much as there is.
   *
   * @throws `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`, `ERR_RINGBOLT_MISALIGNED`
   */
  extent(offset: number, length: number, isRead: boolean): Extent {
    checkInteger('offset', offset, 0);
    const { path, geometry } = this;
    const { blockSize, dataBytes: size } = geometry;
    const isWhole = length % blockSize === 0 || offset + length === size;
    if (offset % blockSize !== 0 || !isWhole) {
      const [name, value] = offset % blockSize === 0 ? ['length', length] : ['offset', offset];
      const text = `${name} ${value} is no multiple of ${blockSize}, the block size of '${path}'`;
      throw ringboltError('ERR_RINGBOLT_MISALIGNED', text, { path, offset, length });
    }
    if (!isRead && offset + length > size) {
      if (length > size) throw outOfRange('length', `at most ${size}, the volume's size`, length);
      throw outOfRange('offset', `at most ${size - length}, for ${length} bytes to fit`, offset);
    }
    const bytes = Math.max(0, Math.min(length, size - offset));
    return { offset, bytes, first: offset / blockSize, count: Math.ceil(bytes / blockSize) };
  }

  /** Runs what changes these blocks or their tags; waits for others first, with so much patience. */
  async change<T>(
    first: number,
    count: number,
    run: (epoch: number, lock: RangeLock) => Promise<T>,
    patience = ENDLESS,
  ): Promise<T> {
    this.checkFailure();
    const lock = this.locks.take(first, first + count); // rule 3
    try {
      if (!lock.held) await patience.wait(lock.whenHeld());
      return await this.#underBit(first, count, (epoch) => run(epoch, lock), patience);
    } finally {
      this.locks.release(lock);
    }
  }

  async #underBit<T>(
    first: number,
    count: number,
    run: (epoch: number) => Promise<T>,
    patience: Patience,
  ): Promise<T> {
    const dirty = this.dirty!;
    const from = this.geometry.regionOfBlock(first);
    const to = this.geometry.regionOfBlock(first + count - 1) + 1;
    const epoch = await this.#enter(dirty, from, to, patience); // rule 4
    try {
      return await run(epoch);
    } finally {
      dirty.leave(epoch);
      this.onChange();
    }
  }

  async #enter(dirty: DirtyRegions, from: number, to: number, patience: Patience): Promise<number> {
    const entering = this.#letIn(dirty, from, to);
    if (typeof entering === 'number') return entering;
    try {
      return await patience.wait(entering);
    } catch (error) {
      this.#abandon(dirty, entering);
      throw error;
    }
  }

  /** Whoever does not wait any more may be let in all the same. */
  #abandon(dirty: DirtyRegions, entering: Promise<number>): void {
    const left: Promise<void> = entering
      .then(
        (epoch) => {
          dirty.leave(epoch);
          this.onChange();
        },
        () => undefined,
      )
      .then(() => void this.#abandoned.delete(left));
    this.#abandoned.add(left);
  }

  /**
   * Resolves when no bit is set for somebody who has gone, while nobody else comes: before growth, which relies on clear bitmaps and on no
   * epoch ending by itself, and before epochs stop, on which they may wait.
   */
  async whenAbandonedLeft(): Promise<void> {
    await Promise.all(this.#abandoned);
  }

  /** At once, if that can be. */
  #letIn(dirty: DirtyRegions, from: number, to: number): number | Promise<number> {
    const failed = (error: unknown): never => {
      this.fail(error); // a durable write of a bitmap has failed
      throw error;
    };
    try {
      return dirty.tryEnter(from, to) || dirty.enter(from, to).catch(failed);
    } catch (error) {
      return failed(error);
    }
  }
}

/** Rule 13: new at each opening. */
export function newNonce(): Uint8Array {
  return new Uint8Array(randomBytes(16));
}
