// What test/volume/volume-life-crash.test.ts knows of the blocks of a volume: what may be there, what has rotted, and whether that may be seen.

import { ZEROS } from './simulated-volume.js';

/** Of rot; all writes are below. */
export const ROT = 2 ** 31;

/** Rot that was accepted is older than all writes. */
const ageOf = (version: number): number => (version >= ROT ? ZEROS : version);

export interface Rot {
  readonly sector: number;
  readonly version: number;
  /** The last write that was begun before. */
  readonly begun: number;
  /** Its block has a checksum for certain, so that it has to be found. */
  isCovered: boolean;
  isFound: boolean;
  /** Somebody has begun to overwrite or rebaseline the block: it may be good. */
  isExcused: boolean;
  /** Somebody has begun to rebaseline it. */
  isTaken: boolean;
}

export class Block {
  readonly number: number;
  /** Of each sector: no crash leaves an older one. */
  floor: number[];
  /** Of each sector, by the last write that resolved. */
  now: number[];
  /** Of the last write that was begun. */
  begun: number;
  rot: Rot | undefined;
  /** Rot, and what it was overwritten by: while that may not be durable, a crash may bring it back. */
  readonly lurking = new Map<number, number>();
  /** Rot was accepted together with what a write left that had no end: any sectors of both. */
  #isMixed = false;
  /** The last write that was begun before rot was accepted. */
  #accepted = ZEROS;
  /** A write has given it a checksum. */
  isWritten = false;

  constructor(number: number, sectors: number, version: number) {
    this.number = number;
    this.now = new Array<number>(sectors).fill(version);
    this.floor = this.now;
    this.begun = version;
  }

  /** Of writes of one block the later one resolves later. */
  written(version: number): void {
    if (ageOf(this.now[0]!) > version) return;
    const { rot } = this;
    this.now = this.now.map(() => version);
    this.isWritten = true;
    this.#isMixed = false;
    if (rot === undefined) return;
    // Rule 10: what was known to be damaged is written through.
    if (rot.isFound && !rot.isTaken) this.floor = this.now;
    else this.lurking.set(rot.version, version);
    this.rot = undefined;
  }

  /** What had resolved when the flush began. */
  flushed(now: readonly number[]): void {
    this.floor = this.floor.map((version, sector) => {
      const flushed = now[sector];
      if (flushed === undefined) return version;
      // Or the flush had begun before rot was accepted.
      if (version >= ROT && ageOf(flushed) <= this.#accepted) return version;
      return ageOf(flushed) >= ageOf(version) ? flushed : version;
    });
    for (const [rot, version] of this.lurking) {
      if (ageOf(now[0]!) >= version) this.lurking.delete(rot);
    }
  }

  /** A rebaseline of it has resolved. */
  rebaselined(): void {
    this.isWritten = true; // it has a checksum
    const { rot } = this;
    if (rot === undefined) return;
    if (rot.begun !== this.begun) {
      this.#isMixed = true;
      return;
    }
    this.now = this.now.map((version, sector) => (sector === rot.sector ? rot.version : version));
    this.floor = this.now;
    this.rot = undefined;
    this.#accepted = this.begun;
  }

  /** It is longer now, by zeros. */
  grown(sectors: number): void {
    const more = new Array<number>(Math.max(0, sectors - this.now.length)).fill(ZEROS);
    this.now = [...this.now, ...more];
    this.floor = [...this.floor, ...more];
  }

  /** While nothing has crashed: what a read may give. `begun`, `before`: when it began. */
  mayRead(versions: readonly number[], before: readonly number[]): boolean {
    const isWhole = versions.every((version) => version === versions[0]);
    const isLater = isWhole && versions[0]! > ageOf(before[0]!) && versions[0]! <= this.begun;
    const is = (what: readonly number[]) =>
      versions.every((version, sector) => {
        const { rot } = this;
        const isRot = rot !== undefined && rot.sector === sector && version === rot.version;
        return version === (what[sector] ?? ZEROS) || (isRot && (!rot.isCovered || rot.isExcused));
      });
    const isMix = this.#isMixed && this.mayBeLeft(versions, true);
    return isLater || isMix || is(this.now) || is(before);
  }

  /** What a crash may leave, as far as reads give it. */
  mayBeLeft(versions: readonly number[], isDirty: boolean): boolean {
    const { rot } = this;
    if (rot?.isFound === true && !rot.isExcused) return false;
    return versions.every((version, sector) => {
      const isRot = rot?.sector === sector && rot.version === version;
      if (isRot) return isDirty || rot.isExcused || !rot.isCovered;
      if (!isDirty && !this.#isMixed) return version === this.now[sector];
      if (version >= ROT) return this.lurking.has(version) || this.floor[sector] === version;
      return version >= ageOf(this.floor[sector]!) && version <= this.begun;
    });
  }

  /** This is what it has from now on. */
  settle(versions: number[]): void {
    this.now = this.floor = versions;
    this.begun = Math.max(this.begun, ...versions.map(ageOf));
    this.rot = undefined;
    this.lurking.clear();
    this.#isMixed = false;
    this.#accepted = this.begun;
  }
}
