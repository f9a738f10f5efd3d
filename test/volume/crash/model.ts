// What a block of a volume may have in it, whatever happened: the three promises, block by block.
//
//   clean region     exactly the last write that resolved
//   dirty region     of each sector, what the last flush covers, or anything written since
//   damaged          refused, once that was found out; never anything but a later write
//
// Each sector says of which write it is (simulated-volume.ts), and each write has a higher number than those before it.

import { ZEROS } from '../simulated-volume.js';

/** Of rot. */
export const DAMAGE = 2 ** 31;

const SECTORS = 8;

type Refusal = 'ERR_RINGBOLT_CORRUPT' | 'ERR_RINGBOLT_TORN';

/** How often each of these was there to be judged. */
export const newSeen = () => ({
  crashes: 0,
  crashesOfProcesses: 0,
  crashesInRecovery: 0,
  blocksOfCleanRegions: 0,
  blocksOfDirtyRegions: 0,
  olderThanLast: 0,
  newerThanLast: 0,
  mixed: 0,
  flushesKept: 0,
  recalculated: 0,
  plantedFound: 0,
  plantedInDirty: 0,
  foundKept: 0,
  foundOverwritten: 0,
  foundOverwrittenByCrash: 0,
  tagsLost: 0,
  torn: 0,
  tornKept: 0,
  failedVolumes: 0,
  readsVerified: 0,
  epochs: 0,
});
export type CrashSeen = ReturnType<typeof newSeen>;

/** Rot that was taken for good after a crash is older than all writes. */
const ageOf = (version: number) => (version >= DAMAGE ? ZEROS : version);

const all = (version: number): readonly number[] => new Array<number>(SECTORS).fill(version);
const areSame = (a: readonly number[], b: readonly number[]) => a.every((one, i) => one === b[i]);
const isWhole = (versions: readonly number[]) => versions.every((one) => one === versions[0]);

const UNTOUCHED = all(ZEROS);

/** What was known of a block when a read began. */
export type Before = Pick<
  BlockModel,
  'now' | 'begun' | 'ended' | 'planted' | 'found' | 'uncertain'
>;

export class BlockModel {
  readonly number: number;
  readonly #seen: CrashSeen;
  readonly #wrong: (what: string) => void;
  /** Of each sector: no crash leaves an older one. */
  floor = UNTOUCHED;
  /** Of each sector, by the last write that resolved. */
  now = UNTOUCHED;
  /** Of the last write that was begun. */
  begun = ZEROS;
  /** Writes that resolved so far. */
  ended = 0;
  /** Rot that may come to light: nobody has found it yet. */
  planted: number | undefined;
  /** The same, overwritten by this version: a crash may bring it back. */
  lurking: { readonly rot: number; readonly version: number } | undefined;
  /** Rot, or a torn block, that was found: refused until it is overwritten. */
  found: Refusal | undefined;
  /** What was found is that its tag is damaged. */
  isTagLost = false;
  /** A write of that was rejected, and did it all the same: it may be good now, or refused after a crash. */
  mayBeGood = false;
  /** A write was rejected since the last one that resolved, and what it left was not seen. */
  uncertain = false;

  constructor(number: number, seen: CrashSeen, wrong: (what: string) => void) {
    this.number = number;
    this.#seen = seen;
    this.#wrong = wrong;
  }

  /** To be examined, while this one goes on. */
  copy(): BlockModel {
    return Object.assign(new BlockModel(this.number, this.#seen, this.#wrong), this);
  }

  /** With a sentence of what is known of the block. */
  #report(what: string, versions?: readonly number[]): void {
    const has = versions === undefined ? '' : `, has ${String(versions)}`;
    this.#wrong(`${what}: block ${this.number}${has}: ${JSON.stringify(this)}`);
  }

  before(): Before {
    const { now, begun, ended, planted, found, uncertain } = this;
    return { now, begun, ended, planted, found, uncertain };
  }

  /** Rot, while nothing is dirty. */
  plant(rot: number): void {
    this.planted = rot;
  }

  /** Its tag is damaged, while no volume is open. */
  loseTag(): void {
    this.found = 'ERR_RINGBOLT_CORRUPT';
    this.isTagLost = true;
    this.mayBeGood = false;
    this.planted = this.lurking = undefined;
    this.#seen.tagsLost++;
  }

  /** A write of this version resolved. Of writes of one block the later one resolves later, as the range lock has it. */
  written(version: number, durable: boolean): void {
    this.ended++;
    if (ageOf(this.now[0]!) > version) return;
    const versions = all(version);
    this.now = versions;
    this.uncertain = this.isTagLost = this.mayBeGood = false;
    if (this.planted !== undefined && !durable) this.lurking = { rot: this.planted, version };
    if (durable) this.lurking = undefined;
    this.planted = undefined;
    // Rule 10: what was known to be damaged is written through.
    if (durable || this.found !== undefined) this.floor = versions;
    if (this.found !== undefined) this.#seen.foundOverwritten++;
    this.found = undefined;
  }

  /** A flush resolved; `resolved` is what `now` was when it was asked for. */
  flushed(resolved: readonly number[]): void {
    if (this.lurking !== undefined && ageOf(resolved[0]!) >= this.lurking.version)
      this.lurking = undefined;
    if (resolved === this.floor) return;
    // A durable write may have come since.
    this.floor = this.floor.map((version, sector) => {
      const flushed = resolved[sector]!;
      return ageOf(flushed) >= ageOf(version) ? flushed : version;
    });
  }

  /** Verified data is of a write, whole; and of none that was overwritten before. */
  checkRead(before: Before, versions: readonly number[]): void {
    const isNow = areSame(this.now, versions);
    const isLater =
      isWhole(versions) && versions[0]! > ageOf(before.now[0]!) && versions[0]! <= this.begun;
    if (!isNow && !isLater && !areSame(before.now, versions))
      this.#report('read, and nobody wrote it', versions);
    // Something was written since, or the read would have been refused.
    if (before.found !== undefined && !isLater && !isNow)
      this.#report('was damaged, and is not any more', versions);
    // Unless something that was begun before it has resolved since.
    const isLatest = this.begun === before.begun && this.ended === before.ended;
    if (before.uncertain && isLatest) {
      this.uncertain = false;
      this.now = versions;
      this.mayBeGood = this.found !== undefined;
      if (this.planted !== undefined) this.lurking = { rot: this.planted, version: this.begun };
      this.planted = undefined;
    }
    this.#seen.readsVerified++;
  }

  checkRefused(before: Before, code: string): void {
    if (code === 'ERR_RINGBOLT_TORN') {
      if (!this.uncertain && !before.uncertain && before.found !== code)
        this.#report('called torn, and no write failed');
      if (this.begun === before.begun && this.uncertain && this.found === undefined) {
        this.found = code;
        this.#seen.torn++;
      }
    } else if (code === 'ERR_RINGBOLT_CORRUPT') {
      if (before.planted === undefined && before.found === undefined) this.#report('false alarm');
      // Unless somebody overwrites it right now.
      if (this.planted !== undefined && this.begun === before.begun) {
        this.found = 'ERR_RINGBOLT_CORRUPT';
        this.planted = undefined;
        this.#seen.plantedFound++;
      }
    } else this.#report(`refused with ${code}`);
  }

  /** What was read of it after a crash and recovery: that is what it has from now on. */
  examineData(versions: readonly number[], isDirty: boolean): void {
    if (this.found !== undefined) this.#examineFound(versions);
    else if (isDirty) this.#examineDirty(versions);
    else this.#examineClean(versions);
    this.floor = this.now = versions;
    this.planted = this.lurking = this.found = undefined;
    this.uncertain = this.mayBeGood = this.isTagLost = false;
    for (const version of versions) {
      if (version < DAMAGE && version > this.begun) this.begun = version;
    }
  }

  /** A torn one may be back to what it was, and any may be overwritten; whole in any case. */
  #examineFound(versions: readonly number[]): void {
    const isBack =
      (this.found === 'ERR_RINGBOLT_TORN' || this.mayBeGood) && areSame(this.now, versions);
    const isNew =
      isWhole(versions) && versions[0]! > ageOf(this.now[0]!) && versions[0]! <= this.begun;
    if (!isBack && !isNew) this.#report('laundered', versions);
    if (isNew) this.#seen.foundOverwrittenByCrash++;
  }

  #examineClean(versions: readonly number[]): void {
    this.#seen.blocksOfCleanRegions++;
    if (!this.uncertain && !areSame(this.now, versions))
      this.#report('other data in a clean region', versions);
    if (this.planted !== undefined) this.#report('rot not found', versions);
  }

  #examineDirty(versions: readonly number[]): void {
    const seen = this.#seen;
    const { planted, lurking } = this;
    seen.blocksOfDirtyRegions++;
    if (planted !== undefined) seen.plantedInDirty++;
    let [isOlder, isNewer] = [false, false];
    for (let sector = 0; sector < SECTORS; sector++) {
      const version = versions[sector]!;
      const floor = this.floor[sector]!;
      const age = ageOf(this.now[sector]!);
      if (version < age) isOlder = true;
      if (version > age) isNewer = true;
      if (version === floor || version === planted || version === lurking?.rot) continue;
      if (version < ageOf(floor) || version > this.begun)
        this.#report('neither old nor new', versions);
    }
    if (isOlder) seen.olderThanLast++;
    if (isNewer) seen.newerThanLast++;
    if (!isWhole(versions)) seen.mixed++;
    else if (this.floor[0]! > 0) seen.flushesKept++;
  }

  /** It was refused after a crash and recovery. `onDisk`: what it has there all the same. */
  examineRefusal(code: string, onDisk: readonly number[], isDirty: boolean): void {
    const { found } = this;
    if (code === 'ERR_RINGBOLT_TORN') {
      if (found === code) this.#seen.tornKept++;
      else if (!this.uncertain && this.begun === this.now[0]) this.#report('called torn');
    } else if (code === 'ERR_RINGBOLT_CORRUPT') {
      if (found === code) this.#seen.foundKept++;
      else if (this.planted === undefined) this.#report('false alarm after a crash');
      else this.#seen.plantedFound++;
    } else this.#report(`refused with ${code}`);
    if (
      found !== undefined &&
      this.#isOverwritten(onDisk) &&
      (isDirty || found !== 'ERR_RINGBOLT_TORN')
    )
      this.#report('overwritten, and refused all the same', onDisk);
    this.found = code as Refusal;
    this.planted = undefined;
  }

  /** Rule 10: the new checksum was there before any new data. */
  #isOverwritten(onDisk: readonly number[]): boolean {
    const isLast = isWhole(onDisk) && onDisk[0] === this.begun && this.begun > this.now[0]!;
    return isLast && !this.isTagLost;
  }
}
