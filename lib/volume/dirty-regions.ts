// Which regions may be out of step with their tags: two bitmaps, one for each of two epochs, and the promise that a region's bit is durable
// in the current one before anything of it is written (rule 4). All that a crash may have left half done is under a bit.
//
//   epoch 5, bitmap 1      writers enter, bits are set and written     beginEpoch ─┐
//   epoch 6, bitmap 0      writers enter here                                      ├─ whenOldWritersLeft, data, tags, clearOld
//   epoch 7, bitmap 1      used again: it was cleared, durably                   ──┘
//
// A region is clean, wanted (its bit is being written, or will be with the next write), or durable. At most one write of a bitmap is under
// way; what is wanted meanwhile goes with the next one, all of it: many regions, one durable write. A writer is let in only
// when all its regions are durable in the bitmap that is current in that very moment, and it belongs to that epoch until it leaves:
// what was durable in an older bitmap counts for nothing.
//
// Rule 9: what recovery would read is bounded. Regions of both bitmaps count, those of both once. A writer whose regions would be too many
// waits for an epoch to end, and so do all that come behind it and want a bit; who has its bits goes on. Where one alone wants
// more than there may be, it waits until there is nobody else: the bound is the greater of what was asked for and what one
// operation has. Nothing is marked ahead beyond it. Epochs end when half of it is used, so that hardly anybody waits.
//
// This decides and waits, and does no I/O of its own: whoever owns it writes bitmaps, data and tags. One thread.

import { Fifo } from '../schedule/fifo.js';
import { Bitmap } from './format/bitmap.js';
import { BITMAP_SECTORS, SECTOR_BYTES, type Geometry } from './geometry.js';

export interface DirtyRegionsOptions {
  readonly geometry: Geometry;
  /** 0 and 1, each clear, and durably so: after recovery. */
  readonly bitmaps: readonly [Bitmap, Bitmap];
  /** From 1 on, more than any before. */
  readonly epoch: number;
  /** What the sidecar is written in, bytes: 512 to 4096. */
  readonly unit: number;
  /** Writes `bytes` of a bitmap, from `offset` in its area on; resolves when that is durable. `bytes` do not change meanwhile. */
  readonly write: (which: number, offset: number, bytes: Uint8Array) => Promise<unknown>;
  /** Of data, in dirty regions. Default: any number. */
  readonly maxBytes?: number;
}

/** Rule 4: bytes of data that are marked ahead of a sequential writer. */
const AHEAD_BYTES = 64 * 2 ** 20;
/** Sequential writers that are known at a time. */
const STREAMS = 8;

const CLEAN = 0;
const WANTED = 1;
/** This and above. */
const DURABLE = 2;
/** Durable; whoever enters it is about to come to the end of what was marked ahead. */
const DURABLE_NEAR_END = 3;

/** A writer that waits for an epoch to end. */
interface Waiter {
  readonly first: number;
  readonly end: number;
  readonly resolve: () => void;
  readonly reject: (reason: unknown) => void;
}

/** Regions that become durable with one write. */
class Batch {
  readonly regions: number[] = [];
  /** One of them, or -1. */
  nearEnd = -1;
  readonly done: Promise<void>;
  resolve!: () => void;
  reject!: (reason: unknown) => void;

  constructor() {
    this.done = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
    // Regions marked ahead have nobody who waits for them; those who come later are told by `#failure`.
    this.done.catch(() => undefined);
  }
}

export class DirtyRegions {
  readonly #options: DirtyRegionsOptions;
  /** Of each region, in the current epoch. */
  readonly #states: Uint8Array;
  readonly #aheadRegions: number;
  /** Rule 9: regions. */
  readonly #most: number;
  /** Where a sequential writer would ask next; -1 for none. */
  readonly #heads = new Float64Array(STREAMS).fill(-1);
  #nextHead = 0;
  /** By bitmap. */
  readonly #writers = [0, 0];
  readonly #regions = [0, 0];
  readonly #running: [Promise<void> | undefined, Promise<void> | undefined] = [
    undefined,
    undefined,
  ];
  #epoch: number;
  /** What the next write will have. */
  #next: Batch | undefined;
  #isOldClear = true;
  #onOldWritersLeft: (() => void) | undefined;
  #failure: { readonly error: unknown } | undefined;
  /** In either bitmap, or soon. */
  #total = 0;
  readonly #waiting = new Fifo<Waiter>();
  /** Writers that are let in and wait for their bits. */
  #entering = 0;
  /** Called when a writer waits for an epoch to end, and it may. */
  onFull: () => void = () => undefined;

  constructor(options: DirtyRegionsOptions) {
    const { geometry, epoch, maxBytes = Infinity } = options;
    this.#options = options;
    this.#epoch = epoch;
    this.#states = new Uint8Array(geometry.regionCount);
    const regionBytes = geometry.blocksPerRegion * geometry.blockSize;
    this.#aheadRegions = Math.ceil(AHEAD_BYTES / regionBytes);
    this.#most = Math.max(1, Math.floor(maxBytes / regionBytes));
  }

  get epoch(): number {
    return this.#epoch;
  }

  /** With a bit in the current bitmap, or soon. */
  get regions(): number {
    return this.#regions[this.#current]!;
  }

  /** With a bit in the other one. */
  get oldRegions(): number {
    return this.#regions[1 - this.#current]!;
  }

  /** At most: of data that recovery would have to read after a crash now. */
  get bytes(): number {
    const { blocksPerRegion, blockSize } = this.#options.geometry;
    return this.#total * blocksPerRegion * blockSize;
  }

  /**
   * Half of what there may be is used, or somebody waits for the epoch to end. Then those that were let in have to have come in:
   * were their bits wanted anew in each epoch, they would wait for one another for ever.
   */
  get isFull(): boolean {
    if (this.#waiting.length > 0) return this.#entering === 0;
    return this.#total >= this.#most / 2;
  }

  get #current(): number {
    return this.#epoch & 1;
  }

  /** Whether {@link tryEnter} lets in who asks now. */
  isDurable(first: number, end: number): boolean {
    if (this.#failure !== undefined) return false;
    for (let region = first; region < end; region++) {
      if (this.#states[region]! < DURABLE) return false;
    }
    return true;
  }

  /**
   * Rule 4: for whoever is to write in regions `first` to `end` - 1. Returns the epoch to {@link leave}, if all of them are durable;
   * 0 if not: then {@link enter} is to be waited for.
   *
   * @throws what made it {@link fail}
   */
  tryEnter(first: number, end: number): number {
    if (this.#failure !== undefined) throw this.#failure.error;
    const states = this.#states;
    for (let region = first; region < end; region++) {
      const state = states[region]!;
      if (state < DURABLE) return 0;
      if (state === DURABLE_NEAR_END) this.#goAhead(region);
    }
    this.#writers[this.#current]!++;
    return this.#epoch;
  }

  /** The same, when they are. Rejects with what made it {@link fail}. */
  async enter(first: number, end: number): Promise<number> {
    let isEntering = false;
    try {
      for (;;) {
        const epoch = this.tryEnter(first, end);
        if (epoch !== 0) return epoch;
        if (this.#hasRoom(first, end)) {
          if (!isEntering) this.#entering++;
          isEntering = true;
          // Once around for the write, and once more for each epoch that ended meanwhile.
          await this.#want(first, end).done;
        } else {
          if (isEntering) this.#hasEntered();
          isEntering = false;
          await this.#room(first, end);
          isEntering = true;
        }
      }
    } finally {
      if (isEntering) this.#hasEntered();
    }
  }

  /** The write has ended: its data is as durable as the next flush makes it, its tag is in the cache. */
  leave(epoch: number): void {
    const which = epoch & 1;
    this.#writers[which]!--;
    if (which !== this.#current && this.#writers[which] === 0) this.#onOldWritersLeft?.();
  }

  /** Rule 7 (a): the other bitmap becomes current. The old one has to have been cleared since the last time. */
  beginEpoch(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
    if (!this.#isOldClear) throw new Error('ringbolt: an epoch began before the last one was over');
    this.#isOldClear = false;
    this.#epoch++;
    this.#states.fill(CLEAN);
    this.#heads.fill(-1);
    // What was wanted of the old bitmap and not begun is wanted of the new one, by those who still wait.
    const next = this.#next;
    this.#next = undefined;
    if (next !== undefined) {
      this.#regions[1 - this.#current]! -= next.regions.length;
      next.resolve();
    }
    this.#total = this.oldRegions;
  }

  /** Rule 7 (b). To be called once an epoch. */
  async whenOldWritersLeft(): Promise<void> {
    if (this.#writers[1 - this.#current] === 0) return;
    await new Promise<void>((resolve) => {
      this.#onOldWritersLeft = resolve;
    });
    this.#onOldWritersLeft = undefined;
  }

  /** Rule 7 (f): resolves when the old bitmap is clear, durably. Before it, all that its bits are for is durable. */
  async clearOld(): Promise<void> {
    const which = 1 - this.#current;
    if (this.#writers[which] !== 0) throw new Error('ringbolt: a bit was cleared under a write');
    await this.#running[which]; // or that write would come after this one
    // Rule 8: after a failure no bit is cleared.
    if (this.#failure !== undefined) throw this.#failure.error;
    const bitmap = this.#options.bitmaps[which]!;
    const sectors: number[] = [];
    for (let sector = 0; sector < BITMAP_SECTORS; sector++) {
      if (bitmap.isClear(sector)) continue;
      bitmap.clear(sector);
      sectors.push(sector);
    }
    if (sectors.length > 0) await this.#write(bitmap, sectors);
    this.#regions[which] = 0;
    this.#total = this.regions;
    this.#isOldClear = true;
    this.#letIn();
  }

  /**
   * Rule 14: the same for a volume that has grown, two epochs later, so that the same bitmap is current. The other one is clear, nobody has
   * entered, and this one is not used any more.
   */
  async grown(geometry: Geometry): Promise<DirtyRegions> {
    await this.#running[this.#current]; // of what is marked ahead
    return new DirtyRegions({ ...this.#options, geometry, epoch: this.#epoch + 2 });
  }

  /** Rule 8: a flush, of data or sidecar, has failed. Nobody enters any more, and no bit is cleared. */
  fail(error: unknown): void {
    this.#failure ??= { error };
    this.#next?.reject(this.#failure.error);
    this.#next = undefined;
    for (let one = this.#waiting.shift(); one !== undefined; one = this.#waiting.shift()) {
      one.reject(this.#failure.error);
    }
  }

  /** Whether these may all be dirty, and nobody has waited for that before. */
  #hasRoom(first: number, end: number): boolean {
    const more = this.#newIn(first, end);
    if (more === 0 && this.#cleanIn(first, end) === end) return true;
    return this.#waiting.length === 0 && this.#fits(more);
  }

  #fits(more: number): boolean {
    return more === 0 || this.#total === 0 || this.#total + more <= this.#most;
  }

  /** Those that would count: neither here nor in the old bitmap. */
  #newIn(first: number, end: number): number {
    let count = 0;
    for (let region = first; region < end; region++) if (this.#isNew(region)) count++;
    return count;
  }

  #isNew(region: number): boolean {
    return this.#states[region] === CLEAN && !this.#options.bitmaps[1 - this.#current]!.has(region);
  }

  /** Resolves when it may be tried again. */
  #room(first: number, end: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ first, end, resolve, reject });
      if (this.isFull) this.onFull();
    });
  }

  #hasEntered(): void {
    this.#entering--;
    if (this.#entering === 0 && this.#waiting.length > 0) this.onFull();
  }

  /** An epoch has ended. Those that go have their bits marked at once, so that nobody overtakes them. */
  #letIn(): void {
    for (let one = this.#waiting.peek(); one !== undefined; one = this.#waiting.peek()) {
      if (!this.#fits(this.#newIn(one.first, one.end))) return;
      this.#waiting.shift();
      this.#entering++;
      this.#want(one.first, one.end);
      one.resolve();
    }
  }

  /** What is to be waited for. */
  #want(first: number, end: number): Batch {
    const batch = this.#batch();
    const clean = this.#cleanIn(first, end);
    if (clean === end) return batch; // with the write under way: the next one, perhaps of nothing, is after it
    const known = this.#heads.indexOf(clean);
    this.#add(batch, clean, end);
    const aheadEnd = known < 0 ? end : this.#aheadEnd(end);
    this.#noteHead(known, aheadEnd);
    this.#add(batch, end, aheadEnd);
    if (aheadEnd > end) batch.nearEnd = (end + aheadEnd) >> 1;
    return batch;
  }

  /** The first clean region of these, or `end`. */
  #cleanIn(first: number, end: number): number {
    let region = first;
    while (region < end && this.#states[region] !== CLEAN) region++;
    return region;
  }

  /** Somebody is half through what was marked ahead: nobody waits for what is marked now. */
  #goAhead(region: number): void {
    this.#states[region] = DURABLE;
    const end = this.#aheadEnd(region + 1);
    const first = this.#cleanIn(region, end);
    if (first === end) return;
    this.#noteHead(this.#heads.indexOf(first), end);
    const batch = this.#batch();
    this.#add(batch, first, end);
    batch.nearEnd = (first + end) >> 1;
  }

  /** Of what is marked ahead, from `first` on: no more than there is room for, and nothing where somebody waits for that. */
  #aheadEnd(first: number): number {
    const most = Math.min(first + this.#aheadRegions, this.#states.length);
    if (this.#waiting.length > 0) return first;
    if (this.#total + most - first <= this.#most) return most;
    let room = this.#most - this.#total;
    for (let region = first; region < most; region++) {
      if (this.#isNew(region) && room-- <= 0) return region;
    }
    return most;
  }

  #noteHead(known: number, end: number): void {
    const at = known < 0 ? this.#nextHead : known;
    if (known < 0) this.#nextHead = (this.#nextHead + 1) % STREAMS;
    this.#heads[at] = end;
  }

  #add(batch: Batch, first: number, end: number): void {
    for (let region = first; region < end; region++) {
      if (this.#states[region] !== CLEAN) continue;
      if (this.#isNew(region)) this.#total++;
      this.#states[region] = WANTED;
      batch.regions.push(region);
      this.#regions[this.#current]!++;
    }
  }

  /** Of the next write. It begins when nothing more comes in this turn, and the one before it is done. */
  #batch(): Batch {
    if (this.#next === undefined) {
      this.#next = new Batch();
      queueMicrotask(() => {
        this.#begin();
      });
    }
    return this.#next;
  }

  #begin(): void {
    const which = this.#current;
    const batch = this.#next;
    if (batch === undefined || this.#running[which] !== undefined) return;
    this.#next = undefined;
    if (batch.regions.length === 0) return batch.resolve(); // what it was to wait for is over
    const bitmap = this.#options.bitmaps[which]!;
    for (const region of batch.regions) bitmap.add(region);
    const sectors = batch.regions.map((region) => Bitmap.sectorOf(region));
    this.#running[which] = this.#run(which, batch, sectors);
  }

  async #run(which: number, batch: Batch, sectors: readonly number[]): Promise<void> {
    const epoch = this.#epoch;
    try {
      await this.#write(this.#options.bitmaps[which]!, sectors);
      if (this.#epoch === epoch) this.#settle(batch);
      batch.resolve();
    } catch (error) {
      batch.reject(error);
    }
    this.#running[which] = undefined;
    this.#begin();
  }

  #settle({ regions, nearEnd }: Batch): void {
    for (const region of regions) this.#states[region] = DURABLE;
    if (nearEnd >= 0 && this.#states[nearEnd] === DURABLE) this.#states[nearEnd] = DURABLE_NEAR_END;
  }

  /** One durable write, from the first of these sectors to the last. */
  async #write(bitmap: Bitmap, sectors: readonly number[]): Promise<void> {
    const { unit, write } = this.#options;
    let [first, last] = [Infinity, -1];
    for (const sector of sectors) {
      first = Math.min(first, sector);
      last = Math.max(last, sector);
    }
    for (const sector of new Set(sectors)) bitmap.seal(sector, this.#epoch);
    const start = Math.floor((first * SECTOR_BYTES) / unit) * unit;
    const end = Math.ceil(((last + 1) * SECTOR_BYTES) / unit) * unit;
    try {
      await write(bitmap.which, start, bitmap.bytes.subarray(start, end));
    } catch (error) {
      // It may be there or not, and trying again may lie.
      this.fail(error);
      throw error;
    }
  }
}
