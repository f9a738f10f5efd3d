// What is inside a simulated disk: sectors of 512 bytes, a cache in front of them, and what a crash leaves of both.
//
// A sector has what is on the medium for certain, and the versions of it that came since and were not synced, in the order in which
// they came. Reads see the last one. After a crash any one of them may be what is there, or the old one: a disk writes its cache in
// whatever order it likes, but a sector at a time.
//
//   durable ◀─ sync ── version ─ version ─ version ── visible
//        └────────── a crash leaves any of these ────────┘

import type { Random } from '../support/random.js';

export const SECTOR = 512;

/**
 * What a crash keeps of what was not synced. `'prefix'`: all that came before some moment, as a disk that keeps order would.
 * `'every-other'`: the last version of every second sector that had any.
 */
export const CRASHES = ['none', 'all', 'every-other', 'prefix', 'random'] as const;
export type Crash = (typeof CRASHES)[number];

interface Version {
  readonly bytes: Uint8Array;
  readonly order: number;
  /** A sync that failed had it: no later one has it, whatever it says. */
  lost: boolean;
}

/** A write under way: what it would still change. */
export interface Pending {
  readonly offset: number;
  readonly bytes: () => Uint8Array;
}

export class SimulatedMedium {
  readonly #random: Random;
  #durable: Uint8Array;
  #visible: Uint8Array;
  readonly #unsynced = new Map<number, Version[]>();
  readonly #unreadable = new Set<number>();
  /** Writes that are in flight: a crash may have done any sectors of them. */
  readonly pending = new Set<Pending>();
  #order = 0;

  constructor(random: Random, size: number) {
    this.#random = random;
    this.#durable = new Uint8Array(size);
    this.#visible = new Uint8Array(size);
  }

  get size(): number {
    return this.#visible.length;
  }

  /** Of the last sector that was written: what comes later is not covered by a sync up to here. */
  get order(): number {
    return this.#order;
  }

  /** Sectors that a crash may change. */
  get unsyncedSectors(): number {
    return this.#unsynced.size;
  }

  /** What reads see. */
  visible(offset = 0, length = this.size - offset): Uint8Array {
    return this.#visible.subarray(offset, offset + length);
  }

  /** What is there for certain. */
  durable(offset = 0, length = this.size - offset): Uint8Array {
    return this.#durable.subarray(offset, offset + length);
  }

  /** Into the cache. A sector that cannot be read can be written. */
  write(offset: number, bytes: Uint8Array): void {
    const end = offset + bytes.length;
    for (let sector = Math.floor(offset / SECTOR); sector * SECTOR < end; sector++) {
      const start = sector * SECTOR;
      const version = this.#visible.slice(start, start + SECTOR);
      const from = Math.max(start, offset);
      const to = Math.min(start + version.length, end);
      version.set(bytes.subarray(from - offset, to - offset), from - start);
      this.#put(sector, version);
    }
  }

  #put(sector: number, bytes: Uint8Array): void {
    this.#visible.set(bytes, sector * SECTOR);
    this.#unreadable.delete(sector);
    const version = { bytes, order: ++this.#order, lost: false };
    const versions = this.#unsynced.get(sector);
    if (versions === undefined) this.#unsynced.set(sector, [version]);
    else versions.push(version);
  }

  /** Makes durable what came up to `order`, in these bytes. */
  sync(order: number, offset = 0, length = this.size - offset): void {
    for (const [sector, versions] of this.#unsyncedIn(offset, length)) {
      const last = versions.findLastIndex((version) => version.order <= order && !version.lost);
      if (last < 0) continue;
      this.#durable.set(versions[last]!.bytes, sector * SECTOR);
      versions.splice(0, last + 1);
      if (versions.length === 0) this.#unsynced.delete(sector);
    }
  }

  /** A sync that failed: the cache shows it all the same, and forgets that it is to be written. */
  lose(order: number, offset = 0, length = this.size - offset): void {
    for (const [, versions] of this.#unsyncedIn(offset, length)) {
      for (const version of versions) version.lost ||= version.order <= order;
    }
  }

  *#unsyncedIn(offset: number, length: number): Generator<[number, Version[]], undefined> {
    const [first, end] = [Math.floor(offset / SECTOR), Math.ceil((offset + length) / SECTOR)];
    if (end - first < this.#unsynced.size) {
      for (let sector = first; sector < end; sector++) {
        const versions = this.#unsynced.get(sector);
        if (versions !== undefined) yield [sector, versions];
      }
      return;
    }
    for (const entry of this.#unsynced) {
      if (entry[0] >= first && entry[0] < end) yield entry;
    }
  }

  /**
   * The power goes: what is there afterwards is durable, and all there is. So many of the sectors that were not synced, from 0 to 1, are
   * neither old nor new: they cannot be read, or hold anything.
   */
  crash(kind: Crash, spoilt = 0): void {
    this.#writePending();
    const sectors = [...this.#unsynced].toSorted(([a], [b]) => a - b);
    const orders = sectors.flatMap(([, versions]) => versions.map(({ order }) => order));
    const cut =
      kind === 'prefix'
        ? (orders.sort((a, b) => a - b)[this.#random.below(orders.length + 1)] ?? Infinity)
        : 0;
    for (const [index, [sector, versions]] of sectors.entries()) {
      const kept = this.#kept(kind, index, versions, cut);
      if (kept !== undefined) this.#durable.set(kept.bytes, sector * SECTOR);
      const start = sector * SECTOR;
      if (this.#random.chance(spoilt)) this.#spoil(sector);
      this.#visible.set(this.#durable.subarray(start, start + SECTOR), start);
    }
    this.#unsynced.clear();
  }

  #spoil(sector: number): void {
    const start = sector * SECTOR;
    for (
      let at = start;
      at < Math.min(start + SECTOR, this.size);
      at += 1 + this.#random.below(64)
    ) {
      this.#durable[at]! ^= 1 + this.#random.below(255);
    }
    if (this.#random.below(2) === 0) this.#unreadable.add(sector);
  }

  /** Whatever a write in flight would still have done, it may have. */
  #writePending(): void {
    const writes = [...this.pending];
    while (writes.length > 0) {
      const [one] = writes.splice(this.#random.below(writes.length), 1);
      this.write(one!.offset, one!.bytes());
    }
    this.pending.clear();
  }

  #kept(
    kind: Crash,
    index: number,
    versions: readonly Version[],
    cut: number,
  ): Version | undefined {
    switch (kind) {
      case 'none':
        return undefined;
      case 'all':
        return versions.at(-1);
      case 'every-other':
        return index % 2 === 0 ? versions.at(-1) : undefined;
      case 'prefix':
        return versions.findLast(({ order }) => order < cut);
      case 'random':
        return versions[this.#random.below(versions.length + 1)];
    }
  }

  /** Rot: nobody wrote this, and nobody is told. */
  flipBit(offset: number, bit = this.#random.below(8)): void {
    this.#durable[offset]! ^= 1 << bit;
    this.#visible[offset]! ^= 1 << bit;
  }

  /** Changes bytes behind everybody's back, durably. */
  overwrite(offset: number, bytes: Uint8Array): void {
    this.#durable.set(bytes, offset);
    this.#visible.set(bytes, offset);
  }

  /** Until it is written, no read of it succeeds. */
  breakSector(offset: number): void {
    this.#unreadable.add(Math.floor(offset / SECTOR));
  }

  /** Where the first sector lies that cannot be read; undefined if there is none. */
  unreadableIn(offset: number, length: number): number | undefined {
    if (this.#unreadable.size === 0) return undefined;
    for (let at = Math.floor(offset / SECTOR); at * SECTOR < offset + length; at++) {
      if (this.#unreadable.has(at)) return Math.max(offset, at * SECTOR);
    }
    return undefined;
  }

  /** At once and durably; what is added is zeros. */
  resize(size: number): void {
    for (const sector of this.#unsynced.keys()) {
      if ((sector + 1) * SECTOR > size) this.#unsynced.delete(sector);
    }
    const resized = (old: Uint8Array) => {
      const bytes = new Uint8Array(size);
      bytes.set(old.subarray(0, size));
      return bytes;
    };
    this.#durable = resized(this.#durable);
    this.#visible = resized(this.#visible);
  }
}
