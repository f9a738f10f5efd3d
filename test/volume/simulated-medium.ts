// What is inside a simulated disk: sectors of 512 bytes, a cache in front of them, and what a crash leaves of both.
//
// A sector has what is on the medium for certain, and the versions of it that came since and were not synced, in the order in which
// they came. Reads see the last one. After a crash any one of them may be what is there, or the old one: a disk writes its cache in
// whatever order it likes, but a sector at a time.
//
//   durable ◀─ sync ── version ─ version ─ version ── visible
//        └────────── a crash leaves any of these ────────┘
//
// A hundred thousand crashes are to be had in minutes: versions lie in one piece of memory that is used again, and nothing is copied that
// nobody may look at.

import type { Seeded } from '../support/seeded.js';

export const SECTOR = 512;

/**
 * What a crash keeps of what was not synced. `'prefix'`: all that came before some moment, as a disk that keeps order would.
 * `'every-other'`: the last version of every second sector that had any. `'process'`: the power is still there, and so is all that
 * was written; it is no more durable than before.
 */
export const CRASHES = ['none', 'all', 'every-other', 'prefix', 'random'] as const;
export type PowerFailure = (typeof CRASHES)[number];
export type Crash = PowerFailure | 'process';

interface Version {
  /** Where its bytes are. */
  readonly slot: number;
  readonly order: number;
  /** A sync that failed had it: no later one has it, whatever it says. */
  lost: boolean;
}

/** Bytes of versions. */
class Slots {
  bytes = new Uint8Array(64 * SECTOR);
  readonly #free: number[] = [];
  #used = 0;

  /** A copy of the sector of `from` that begins at `at`. */
  keep(from: Uint8Array, at: number): number {
    const slot = this.#free.pop() ?? this.#used++;
    if ((slot + 1) * SECTOR > this.bytes.length) {
      const more = new Uint8Array(2 * this.bytes.length);
      more.set(this.bytes);
      this.bytes = more;
    }
    const sector = from.subarray(at, at + SECTOR);
    this.bytes.set(sector, slot * SECTOR);
    this.bytes.fill(0, slot * SECTOR + sector.length, (slot + 1) * SECTOR); // the medium may become longer
    return slot;
  }

  at(slot: number, length = SECTOR): Uint8Array {
    return this.bytes.subarray(slot * SECTOR, slot * SECTOR + length);
  }

  free(slot: number): void {
    this.#free.push(slot);
  }
}

/** A write under way: what it would still change. */
export class Pending {
  readonly offset: number;
  /** As they are when it comes to them: a lease may be changed meanwhile. */
  readonly data: Uint8Array;
  /** 1 for each sector that it has still to come to. */
  readonly left: Uint8Array;

  constructor(offset: number, data: Uint8Array) {
    this.offset = offset;
    this.data = data;
    this.left = new Uint8Array(Math.ceil(data.length / SECTOR));
  }
}

/** A read under way: what was there when it began, of the sectors that were written since. */
export class Reading {
  readonly offset: number;
  readonly length: number;
  readonly before = new Map<number, Uint8Array>();

  constructor(offset: number, length: number) {
    this.offset = offset;
    this.length = length;
  }
}

export class SimulatedMedium {
  readonly #random: Seeded;
  #durable: Uint8Array;
  #visible: Uint8Array;
  readonly #slots = new Slots();
  readonly #unsynced = new Map<number, Version[]>();
  readonly #unreadable = new Set<number>();
  readonly #readings = new Set<Reading>();
  /** Writes that are in flight: a crash may have done any sectors of them. */
  readonly pending = new Set<Pending>();
  #order = 0;
  /** No crash makes it shorter than that; and the order from which on a flush makes it as long as it is. */
  #keptSize: number;
  #grownAt = 0;

  constructor(random: Seeded, size: number) {
    this.#random = random;
    this.#keptSize = size;
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

  /** Whether it shows what a sync that failed has lost. */
  get hasLost(): boolean {
    for (const versions of this.#unsynced.values()) if (versions.at(-1)!.lost) return true;
    return false;
  }

  /** Whether a crash may change these bytes. */
  isUnsynced(offset: number, length: number): boolean {
    for (let at = Math.floor(offset / SECTOR); at * SECTOR < offset + length; at++) {
      if (this.#unsynced.has(at)) return true;
    }
    return false;
  }

  /** What reads see. */
  visible(offset = 0, length = this.size - offset): Uint8Array {
    return this.#visible.subarray(offset, offset + length);
  }

  /** What is there for certain. */
  durable(offset = 0, length = this.size - offset): Uint8Array {
    return this.#durable.subarray(offset, offset + length);
  }

  /** A read that begins; {@link endRead} is to be called. */
  beginRead(offset: number, length: number): Reading {
    const reading = new Reading(offset, length);
    this.#readings.add(reading);
    return reading;
  }

  /** What it has read, if anybody wants it: of each sector that was written meanwhile, what was there before or what is there now. */
  endRead(reading: Reading, into: Uint8Array | undefined): void {
    this.#readings.delete(reading);
    if (into === undefined) return;
    const { offset, length, before } = reading;
    into.set(this.visible(offset, length));
    for (const [sector, bytes] of before) {
      if (this.#random.below(2) === 0) continue;
      const at = sector * SECTOR - offset;
      const from = Math.max(0, -at);
      into.set(bytes.subarray(from, Math.min(bytes.length, length - at)), at + from);
    }
  }

  /** Into the cache. A sector that cannot be read can be written. */
  write(offset: number, bytes: Uint8Array): void {
    const end = Math.min(offset + bytes.length, this.size);
    for (let at = offset; at < end;) {
      const sector = Math.floor(at / SECTOR);
      const to = Math.min(end, (sector + 1) * SECTOR);
      const isAll = to - at === bytes.length;
      this.#put(sector, at, isAll ? bytes : bytes.subarray(at - offset, to - offset));
      at = to;
    }
  }

  /** One sector of a write in flight. */
  writeSector(pending: Pending, index: number): void {
    pending.left[index] = 0;
    const at = index * SECTOR;
    this.write(pending.offset + at, pending.data.subarray(at, at + SECTOR));
  }

  #put(sector: number, at: number, bytes: Uint8Array): void {
    if (this.#readings.size > 0) this.#remember(sector);
    this.#visible.set(bytes, at);
    if (this.#unreadable.size > 0) this.#unreadable.delete(sector);
    const slot = this.#slots.keep(this.#visible, sector * SECTOR);
    const version = { slot, order: ++this.#order, lost: false };
    const versions = this.#unsynced.get(sector);
    if (versions === undefined) this.#unsynced.set(sector, [version]);
    else versions.push(version);
  }

  /** For those who read it just now. */
  #remember(sector: number): void {
    const start = sector * SECTOR;
    for (const { offset, length, before } of this.#readings) {
      if (start + SECTOR <= offset || start >= offset + length || before.has(sector)) continue;
      before.set(sector, this.#visible.slice(start, start + SECTOR));
    }
  }

  /** Makes durable what came up to `order`, in these bytes. */
  sync(order: number, offset = 0, length = this.size - offset): void {
    if (order >= this.#grownAt && length >= this.size) this.#keptSize = this.size;
    for (const [sector, versions] of this.#unsyncedIn(offset, length)) {
      const last = versions.findLastIndex((version) => version.order <= order && !version.lost);
      if (last < 0) continue;
      this.#persist(sector, versions[last]!);
      for (const { slot } of versions.splice(0, last + 1)) this.#slots.free(slot);
      if (versions.length === 0) this.#unsynced.delete(sector);
    }
  }

  #persist(sector: number, { slot }: Version): void {
    const start = sector * SECTOR;
    this.#durable.set(this.#slots.at(slot, Math.min(SECTOR, this.size - start)), start);
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
   * The power goes: what is there afterwards is durable, and all there is. So many of the sectors below `spoiltBelow` (bytes) that were
   * not synced, from 0 to 1, are neither old nor new: they cannot be read, or hold anything.
   */
  crash(kind: Crash, spoilt = 0, spoiltBelow = Infinity): void {
    this.#readings.clear();
    if (kind === 'process') {
      this.#writePending(2);
      return;
    }
    this.#writePending(1);
    const sectors = [...this.#unsynced].sort(([a], [b]) => a - b);
    const cut = kind === 'prefix' ? this.#cut(sectors) : 0;
    for (const [index, [sector, versions]] of sectors.entries()) {
      const kept = this.#kept(kind, index, versions, cut);
      if (kept !== undefined) this.#persist(sector, kept);
      const start = sector * SECTOR;
      if (start < spoiltBelow && this.#random.chance(spoilt)) this.#spoil(sector);
      this.#visible.set(this.#durable.subarray(start, start + SECTOR), start);
      for (const { slot } of versions) this.#slots.free(slot);
    }
    this.#unsynced.clear();
    const isLonger = kind === 'all' || (kind !== 'none' && this.#random.below(2) === 0);
    if (this.size > this.#keptSize) this.resize(isLonger ? this.size : this.#keptSize);
  }

  #cut(sectors: readonly [number, Version[]][]): number {
    const orders = sectors.flatMap(([, versions]) => versions.map(({ order }) => order));
    return orders.sort((a, b) => a - b)[this.#random.below(orders.length + 1)] ?? Infinity;
  }

  /** It has some bytes that are wrong, or only zeros, or cannot be read. */
  #spoil(sector: number): void {
    const end = Math.min((sector + 1) * SECTOR, this.size);
    const how = this.#random.below(3);
    if (how === 0) this.#durable.fill(0, sector * SECTOR, end);
    for (let at = sector * SECTOR; at < end && how > 0; at += 1 + this.#random.below(64)) {
      this.#durable[at]! ^= 1 + this.#random.below(255);
    }
    if (how === 2) this.#unreadable.add(sector);
  }

  /** What writes in flight would still have done, in any order: each sector, or one of so many. */
  #writePending(oneOf: number): void {
    const sectors: (readonly [Pending, number])[] = [];
    for (const pending of this.pending) {
      for (let index = 0; index < pending.left.length; index++) {
        if (pending.left[index] === 1) sectors.push([pending, index]);
      }
    }
    for (let left = sectors.length; left > 0; left--) {
      const at = this.#random.below(left);
      const [pending, index] = sectors[at]!;
      sectors[at] = sectors[left - 1]!;
      if (oneOf === 1 || this.#random.below(oneOf) === 0) this.writeSector(pending, index);
    }
    this.pending.clear();
  }

  #kept(
    kind: PowerFailure,
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

  /** Another one with the same in it, that goes its own way from here. Without reads under way. */
  clone(random: Seeded): SimulatedMedium {
    const other = new SimulatedMedium(random, 0);
    other.#durable = this.#durable.slice();
    other.#visible = this.#visible.slice();
    other.#order = this.#order;
    other.#keptSize = this.#keptSize;
    for (const [sector, versions] of this.#unsynced) {
      const copies = versions.map(({ slot, order, lost }) => {
        return { slot: other.#slots.keep(this.#slots.bytes, slot * SECTOR), order, lost };
      });
      other.#unsynced.set(sector, copies);
    }
    for (const { offset, data, left } of this.pending) {
      const pending = new Pending(offset, data);
      pending.left.set(left);
      other.pending.add(pending);
    }
    return other;
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

  /** It was out of reach for a while. */
  mendSector(offset: number): void {
    this.#unreadable.delete(Math.floor(offset / SECTOR));
  }

  /** Where the first sector lies that cannot be read; undefined if there is none. */
  unreadableIn(offset: number, length: number): number | undefined {
    if (this.#unreadable.size === 0) return undefined;
    for (let at = Math.floor(offset / SECTOR); at * SECTOR < offset + length; at++) {
      if (this.#unreadable.has(at)) return Math.max(offset, at * SECTOR);
    }
    return undefined;
  }

  /** By zeros; the next flush makes that durable, a crash before may undo it. */
  grow(size: number): void {
    const { size: old } = this;
    const kept = this.#keptSize;
    if (size <= old) return;
    this.resize(size);
    this.#keptSize = kept;
    this.#grownAt = ++this.#order;
  }

  /** At once and durably; what is added is zeros. */
  resize(size: number): void {
    for (const [sector, versions] of this.#unsynced) {
      if ((sector + 1) * SECTOR <= size) continue;
      for (const { slot } of versions) this.#slots.free(slot);
      this.#unsynced.delete(sector);
    }
    const resized = (old: Uint8Array) => {
      const bytes = new Uint8Array(size);
      bytes.set(old.subarray(0, size));
      return bytes;
    };
    this.#durable = resized(this.#durable);
    this.#visible = resized(this.#visible);
    this.#keptSize = size;
  }
}
