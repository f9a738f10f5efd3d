// The tag pages that are in memory: so many and no more, whatever the volume's size, and however many of them are dirty.
//
//   use(page, visit) ──there──▶ visit, at once
//        │ not there: joins whoever waits for the same one
//        ▼
//   a slot: free, or of a page whose turn it is (page-order.ts) ──all dirty──▶ written back first
//        ▼
//   read, visits in their order, all before the page may go again
//
// Visits are synchronous. So no page is ever held, and nobody waits for a slot while holding one: operations of any length go
// through a cache of two pages.
//
// Rule 4 is kept by those who change tags: they say with each change under which epoch they have the region's bit, and no page is written
// but for such a change. While that bit is set, tags may be written before the data that they are for is durable, as happens where slots
// are wanted: after a crash a block of a dirty region that does not match its tag is not damaged. The bit is cleared only after
// the data was flushed and then the tags (rule 7, c to e), so no early tag outlives its bit without its data.
//
// A page is written by one write at a time, from a copy of its dirty sectors; what is changed meanwhile is dirty anew. A write that failed
// ends all writing (rule 8): its sectors stay dirty and stay here.

import type { Transfer } from '../device/block-target.js';
import { Fifo } from '../schedule/fifo.js';
import { TagPage } from './format/tag-page.js';
import { PAGE_BYTES, SECTOR_BYTES, SECTORS_PER_PAGE, TAGS_PER_SECTOR } from './geometry.js';
import { PageAhead, type PageRun } from './page-ahead.js';
import { CachedPage, PageOrder } from './page-order.js';
import type { Sidecar } from './sidecar.js';

export interface TagCacheOptions {
  readonly sidecar: Pick<
    Sidecar,
    'geometry' | 'seed' | 'unit' | 'readPages' | 'writeTags' | 'flush'
  >;
  /** At least 2. */
  readonly pages: number;
  /** A write has failed; called once. */
  readonly onFailure: (error: unknown) => void;
}

export interface TagCacheStats {
  readonly hits: number;
  readonly misses: number;
  /** Pages read ahead. */
  readonly ahead: number;
  /** In memory, and those of them that differ from the sidecar. */
  readonly pages: number;
  readonly dirty: number;
  /** Pages written, and those of them because there was no room. */
  readonly written: number;
  readonly writtenForRoom: number;
}

/** Of one batch. */
const MAX_WRITES = 64;
/** Looked at, of pages that cannot go, before somebody waits. */
const MAX_REFUSALS = 16;
const MAX_AHEAD = 8;

type Visit = (page: TagPage) => void;

/** A slot, and what is in it. Made once: pages that come and go would leave a good deal behind for the garbage collector. */
class Entry extends CachedPage {
  readonly bytes = new Uint8Array(PAGE_BYTES);
  readonly page: TagPage;
  /** A bit for each sector. */
  dirty = 0;
  /** Resolves, whatever became of it. */
  writing: Promise<unknown> | undefined;

  constructor(seed: number) {
    super();
    this.page = new TagPage(0, this.bytes, seed);
  }
}

interface Loading {
  readonly visits: Visit[];
  readonly rejects: ((reason: unknown) => void)[];
}

export class TagCache {
  readonly #sidecar: TagCacheOptions['sidecar'];
  readonly #capacity: number;
  readonly #onFailure: (error: unknown) => void;
  readonly #entries = new Map<number, Entry>();
  readonly #loading = new Map<number, Loading>();
  readonly #order: PageOrder<Entry>;
  readonly #ahead: PageAhead;
  /** Dirty or being written. */
  readonly #dirty = new Set<Entry>();
  readonly #free: Entry[] = [];
  #slots = 0;
  /** Pages that wait for a slot. */
  readonly #waiting = new Fifo<number>();
  #failure: { readonly error: unknown } | undefined;
  #hits = 0;
  #misses = 0;
  #readAhead = 0;
  #written = 0;
  #writtenForRoom = 0;

  constructor({ sidecar, pages, onFailure }: TagCacheOptions) {
    this.#sidecar = sidecar;
    this.#capacity = pages;
    this.#onFailure = onFailure;
    this.#order = new PageOrder(pages);
    const depth = Math.min(MAX_AHEAD, Math.floor(pages / 16));
    this.#ahead = new PageAhead(() => sidecar.geometry.pageCount, depth);
  }

  stats(): TagCacheStats {
    return {
      hits: this.#hits,
      misses: this.#misses,
      ahead: this.#readAhead,
      pages: this.#entries.size,
      dirty: this.#dirty.size,
      written: this.#written,
      writtenForRoom: this.#writtenForRoom,
    };
  }

  /** Whether a page is there; that is no use of it. */
  has(number: number): boolean {
    return this.#entries.has(number);
  }

  /** A page that is there, until the caller's next wait. */
  tryUse(number: number): TagPage | undefined {
    const entry = this.#entries.get(number);
    if (entry === undefined) return undefined;
    this.#hits++;
    this.#order.use(entry);
    // What is read ahead may take its place.
    return this.#readOn(number) && !this.#entries.has(number) ? undefined : entry.page;
  }

  /** Calls `visit` with a page once it is there; it may keep it no longer than it runs. Rejects if there can be no room for it. */
  use<T>(number: number, visit: (page: TagPage) => T): Promise<T> {
    return new Promise((resolve, reject) => {
      const page = this.tryUse(number);
      if (page !== undefined) {
        resolve(visit(page));
        return;
      }
      this.#misses++;
      const loading = this.#load(number);
      loading.rejects.push(reject);
      loading.visits.push((loaded) => {
        try {
          resolve(visit(loaded));
        } catch (error) {
          reject(error);
        }
      });
      this.#serveWaiting();
      this.#readOn(number);
    });
  }

  /**
   * Of a visit that changed `count` tags. Rule 4: `epoch` is what DirtyRegions said when it let the caller in to write in the page's
   * region, and the caller has not left.
   */
  changed({ number }: TagPage, first: number, count: number, epoch: number): void {
    if (epoch === 0) throw new Error("ringbolt: a tag was changed without its region's bit");
    const entry = this.#entries.get(number)!;
    entry.dirty |= sectorsOf(first, count);
    this.#dirty.add(entry);
    // Before it comes to that, so that those who need room need not wait for it.
    if (this.#dirty.size > this.#capacity * 0.75) this.#makeRoom();
  }

  /** Resolves when what these tags were changed to is durable. */
  async makeDurable(number: number, first: number, count: number): Promise<void> {
    for (;;) {
      if (this.#failure !== undefined) throw this.#failure.error;
      const entry = this.#entries.get(number);
      if (entry?.writing !== undefined) await entry.writing;
      else if (entry === undefined || (entry.dirty & sectorsOf(first, count)) === 0) break;
      else if (await this.#write([entry], true)) return;
    }
    // It was written because there was no room: without being durable.
    await this.#sidecar.flush().catch((error: unknown) => {
      this.fail(error);
      throw error;
    });
  }

  /** Rule 7 (d): resolves when all tags that were changed before the call are written. */
  async writeAll(): Promise<void> {
    const entries = [...this.#dirty].sort((a, b) => a.number - b.number);
    for (let at = 0; at < entries.length; at += MAX_WRITES) {
      const some = entries.slice(at, at + MAX_WRITES);
      await Promise.all(some.flatMap(({ writing }) => writing ?? []));
      // Meanwhile others may have begun to write one, of what it has now.
      await this.#write(
        some.filter(({ writing, dirty }) => writing === undefined && dirty !== 0),
        false,
      );
      await Promise.all(some.flatMap(({ writing }) => writing ?? []));
      if (this.#failure !== undefined) throw this.#failure.error;
    }
  }

  #load(number: number): Loading {
    let loading = this.#loading.get(number);
    if (loading === undefined) {
      loading = { visits: [], rejects: [] };
      this.#loading.set(number, loading);
      this.#waiting.push(number);
    }
    return loading;
  }

  /** Gives slots to those that wait, in their order. */
  #serveWaiting(): void {
    for (;;) {
      const number = this.#waiting.peek();
      if (number === undefined) return;
      const slot = this.#takeSlot();
      if (slot === undefined) break;
      this.#waiting.shift();
      void this.#read(number, [slot]);
    }
    const isReading = this.#entries.size + this.#free.length < this.#slots;
    if (this.#failure === undefined) this.#makeRoom();
    else if (!isReading) this.#refuseWaiting(this.#failure.error);
  }

  /** All slots have dirty pages, and these stay so for ever. */
  #refuseWaiting(reason: unknown): void {
    for (;;) {
      const number = this.#waiting.shift();
      if (number === undefined) return;
      const loading = this.#loading.get(number)!;
      this.#loading.delete(number);
      for (const reject of loading.rejects) reject(reason);
    }
  }

  #takeSlot(): Entry | undefined {
    const free = this.#free.pop();
    if (free !== undefined) return free;
    if (this.#slots < this.#capacity) {
      this.#slots++;
      return new Entry(this.#sidecar.seed);
    }
    const limit = this.#failure === undefined ? MAX_REFUSALS : Infinity;
    const entry = this.#order.evict((page) => !this.#dirty.has(page), limit);
    if (entry === undefined) return undefined;
    this.#entries.delete(entry.number);
    return entry;
  }

  /** Reads as many pages as there are slots. */
  async #read(first: number, slots: readonly Entry[]): Promise<void> {
    const [only] = slots;
    const into = slots.length === 1 ? only!.bytes : new Uint8Array(slots.length * PAGE_BYTES);
    const isWhole = await this.#sidecar.readPages(first, into);
    for (const [index, { bytes }] of slots.entries()) {
      const at = index * PAGE_BYTES;
      if (bytes !== into) bytes.set(into.subarray(at, at + PAGE_BYTES));
      this.#arrive(first + index, slots[index]!, !isWhole);
    }
    this.#serveWaiting();
  }

  #arrive(number: number, entry: Entry, isPartial: boolean): void {
    const loading = this.#loading.get(number)!;
    this.#loading.delete(number);
    const { page } = entry;
    page.turn(number, isPartial);
    entry.begin(number);
    this.#entries.set(number, entry);
    this.#order.add(entry);
    if (loading.visits.length > 0) this.#order.use(entry);
    for (const visit of loading.visits) visit(page);
    // The next one may be luckier.
    if (isPartial) this.#drop(entry);
  }

  #drop(entry: Entry): void {
    if (this.#dirty.has(entry)) return;
    this.#order.remove(entry);
    this.#entries.delete(entry.number);
    this.#free.push(entry);
  }

  /** Whether it began to read something. */
  #readOn(number: number): boolean {
    const run = this.#ahead.use(number);
    if (run === undefined || this.#waiting.length > 0) return false;
    this.#readRun(run);
    return true;
  }

  /** One read for each stretch of pages that are not there; only as far as there are slots that nobody has to be waited for. */
  #readRun({ first, end }: PageRun): void {
    let slots: Entry[] = [];
    for (let number = first; number <= end; number++) {
      const isThere = number === end || this.#entries.has(number) || this.#loading.has(number);
      const slot = isThere ? undefined : this.#takeSlot();
      if (slot !== undefined) {
        slots.push(slot);
        this.#loading.set(number, { visits: [], rejects: [] });
        continue;
      }
      this.#readAhead += slots.length;
      if (slots.length > 0) void this.#read(number - slots.length, slots);
      slots = [];
      if (!isThere) return;
    }
  }

  /** Begins to write some dirty pages, unless some are being written. */
  #makeRoom(): void {
    if (this.#failure !== undefined) return;
    const entries: Entry[] = [];
    for (const entry of this.#dirty) {
      if (entry.writing !== undefined) return;
      if (entries.push(entry) === MAX_REFUSALS) break;
    }
    this.#writtenForRoom += entries.length;
    void this.#write(entries, false);
  }

  /** Resolves when that has ended, to whether it went well; none of them is being written. */
  #write(entries: readonly Entry[], durable: boolean): Promise<boolean> {
    if (entries.length === 0 || this.#failure !== undefined) return Promise.resolve(false);
    const transfers: Transfer[] = [];
    const masks = entries.map((entry) => {
      this.#snapshot(entry, transfers);
      const { dirty } = entry;
      entry.dirty = 0;
      return dirty;
    });
    const writing = this.#sidecar.writeTags(transfers, durable).then(
      () => {
        this.#written += entries.length;
        for (const entry of entries) this.#endWrite(entry, 0);
        this.#serveWaiting();
        return true;
      },
      (error: unknown) => {
        for (const [index, entry] of entries.entries()) this.#endWrite(entry, masks[index]!);
        this.fail(error);
        return false;
      },
    );
    for (const entry of entries) entry.writing = writing;
    return writing;
  }

  #endWrite(entry: Entry, dirty: number): void {
    entry.writing = undefined;
    entry.dirty |= dirty;
    if (entry.dirty !== 0) return;
    this.#dirty.delete(entry);
    if (entry.page.isPartial) this.#drop(entry);
  }

  /** Rule 8: nothing is written any more. */
  fail(error: unknown): void {
    if (this.#failure !== undefined) return;
    this.#failure = { error };
    this.#onFailure(error);
    this.#serveWaiting();
  }

  /** A copy of the dirty sectors, in stretches of whole units. */
  #snapshot({ number, page, bytes, dirty }: Entry, into: Transfer[]): void {
    const { unit, geometry } = this.#sidecar;
    const offset = geometry.offsetOfPage(number);
    const perUnit = unit / SECTOR_BYTES;
    for (let sector = 0; sector < SECTORS_PER_PAGE; sector++) {
      if ((dirty & (1 << sector)) !== 0) page.seal(sector);
    }
    const unitMask = (1 << perUnit) - 1;
    let start = -1;
    for (let sector = 0; sector <= SECTORS_PER_PAGE; sector += perUnit) {
      const isDirty = sector < SECTORS_PER_PAGE && ((dirty >> sector) & unitMask) !== 0;
      if (isDirty && start < 0) start = sector;
      if (isDirty || start < 0) continue;
      const [from, to] = [start * SECTOR_BYTES, sector * SECTOR_BYTES];
      into.push({ offset: offset + from, buffer: bytes.slice(from, to) });
      start = -1;
    }
  }
}

/** A bit for each sector that has one of these tags. */
function sectorsOf(first: number, count: number): number {
  const from = Math.floor(first / TAGS_PER_SECTOR);
  const to = Math.floor((first + count - 1) / TAGS_PER_SECTOR);
  return (2 << to) - (1 << from);
}
