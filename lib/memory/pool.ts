// The pool as JavaScript sees it: leases over native slabs.
//
//   acquire ─ shelf of the class (shelf.ts) ─ native free lists ─ whatever is free, joined
//           └ larger than every class: a range of its own, given back to the system on release
//
// Each slab has an ArrayBuffer of its own, made at its first use and kept while the slab is free. While it is leased
// the pool forgets it: the lease has the only reference, which is how a forgotten one is found out (see lease.ts).

import { constants } from 'node:buffer';
import { ringboltError } from '../errors.js';
import { beginWait, type WaitOptions } from '../interrupt.js';
import { LAYOUT, type NativeEngine } from '../native.js';
import { checkInteger } from '../validate.js';
import { trueLength } from './intrinsics.js';
import { LeaseWaiters } from './lease-waiters.js';
import { LargeRoom } from './large-room.js';
import { leases, type Lease, type LeaseHome, type LeasedSlab } from './lease.js';
import { PoolDebug, type LeaseHolder } from './pool-debug.js';
import type { PoolStats } from './pool-stats.js';
import { ClassCounters, NO_UNIT, Shelf } from './shelf.js';
import { SlabTable } from './slab-table.js';
import { Trims } from './trims.js';
import { checkSecret, SECRET } from '../secret.js';

/** The pool's memory on one NUMA node, or all of it. */
interface PoolPart {
  readonly node: number | undefined;
  readonly bytes: number;
  readonly firstUnit: number;
}

/** What a pool is made of. */
export interface PoolLayout {
  readonly parts: readonly PoolPart[];
  readonly classBytes: readonly number[];
  /** Room for leases larger than every class. */
  readonly largeBytes: number;
  readonly largeUnit: number;
  /** Of the parts, that room, and what lies between them. */
  readonly units: number;
  readonly debug: boolean;
}

/** Counts leases. It must not know them, as none that it knows would ever be forgotten. */
export interface LeaseCounter {
  /** Called once for each, when its slab has come back: released, or forgotten and taken back. `bytes`: as asked for. */
  returned(bytes: number): void;
}

/** The engine's side of a pool. */
interface PoolAccess {
  create(native: NativeEngine, layout: PoolLayout): BufferPool;
  /** {@link BufferPool.acquire} for a size that was checked; `undefined` if none is free. Overtakes those who wait. */
  tryAcquire(pool: BufferPool, bytes: number): Lease | undefined;
  /** {@link BufferPool.acquire}, from that NUMA node's memory if it has any. */
  acquireOn(pool: BufferPool, bytes: number, node: number | undefined): Lease;
  /** The state of a pool from which nothing was to be had, in words. */
  describeFree(pool: BufferPool): string;
  /** The same, and `counter` is told when the slab has come back. */
  tryAcquireCounted(pool: BufferPool, bytes: number, counter: LeaseCounter): Lease | undefined;
  /** Takes back what was forgotten. */
  reclaim(pool: BufferPool): void;
  /** What leases of this pool, and of no other, have as their home. */
  home(pool: BufferPool): LeaseHome;
  /** `listener` is called whenever a slab has become free; one listener. */
  setOnRelease(pool: BufferPool, listener: () => void): void;
  /** Ends the wait of those who wait for memory. */
  close(pool: BufferPool, reason: Error): void;
  /** {@link PoolAccess.close}, when native code answers no more. */
  abandon(pool: BufferPool, reason: Error): void;
}

export let pools: PoolAccess;

/** Bits of a unit's state. */
const LEASED = 1;
const IN_FLIGHT = 2;
/** Those of ArrayBuffers begin at 1. */
const NO_GENERATION = 0;

/** Page-aligned memory that goes to the kernel without a copy. One for each engine, as `engine.pool`. */
export class BufferPool {
  readonly #native: NativeEngine;
  readonly #layout: PoolLayout;
  readonly #maxBytes: number;
  readonly #maxSlabBytes: number;
  readonly #counters: readonly ClassCounters[];
  /** By part, then by class. */
  readonly #shelves: readonly Shelf[];
  /** Class of a request, by the number of units it needs, up to the largest class. */
  readonly #classOfUnits: Uint8Array;
  /** Free slabs that were leased before. */
  readonly #slabs: SlabTable;
  /** By unit: of its present ArrayBuffer. */
  readonly #generations: Uint32Array;
  readonly #states: Uint8Array;
  /** By unit: the place in #shelves of the one that it goes back to. */
  readonly #shelfOf: Uint16Array;
  /** By unit, of those slabs whose return somebody counts. */
  readonly #counted = new Map<number, { readonly counter: LeaseCounter; readonly bytes: number }>();
  readonly #waiters = new LeaseWaiters(() => this.#reclaimForgotten());
  readonly #debug: PoolDebug | undefined;
  readonly #large: LargeRoom;
  /** The first unit of the room for large leases. */
  readonly #largeUnit: number;
  #closed: Error | undefined;
  #onRelease: (() => void) | undefined;
  #leaked = 0;
  readonly #trims = new Trims(() => this.#trimNow());
  #warned = false;

  readonly #home: LeaseHome;

  /** @internal */
  constructor(secret: symbol, native: NativeEngine, layout: PoolLayout) {
    checkSecret(secret);
    const { parts, classBytes, units, debug } = layout;
    this.#native = native;
    this.#layout = layout;
    this.#maxSlabBytes = classBytes.at(-1)!;
    // Each large lease takes a power of two of their room.
    const largeBytes = layout.largeBytes === 0 ? 0 : 2 ** Math.floor(Math.log2(layout.largeBytes));
    this.#maxBytes = Math.max(this.#maxSlabBytes, Math.min(largeBytes, constants.MAX_LENGTH));
    this.#counters = classBytes.map((bytes) => new ClassCounters(bytes));
    this.#shelves = parts.flatMap(({ bytes: partBytes }, part) =>
      this.#counters.map(
        (counters, slabClass) => new Shelf(native, { part, partBytes, slabClass }, counters),
      ),
    );
    this.#slabs = new SlabTable();
    this.#generations = new Uint32Array(units);
    this.#states = new Uint8Array(units);
    this.#shelfOf = new Uint16Array(units);
    this.#largeUnit = layout.largeUnit;
    this.#large = new LargeRoom(native, layout.largeBytes);
    this.#debug = debug ? new PoolDebug(native) : undefined;
    this.#home = {
      takeBack: (slab) => {
        this.#takeBack(slab);
      },
      setInFlight: (unit, inFlight) => {
        this.#states[unit] = inFlight ? LEASED | IN_FLIGHT : LEASED;
      },
    };
    const largest = this.#maxSlabBytes / LAYOUT.slabUnitBytes;
    this.#classOfUnits = Uint8Array.from({ length: largest + 1 }, (_, count) =>
      classBytes.findIndex((size) => size >= count * LAYOUT.slabUnitBytes),
    );
  }

  /** The largest lease there may be, bytes: never more than a Buffer of this Node can have (4 GiB in Node 20). */
  get maxBytes(): number {
    return this.#maxBytes;
  }

  /** The largest lease that is one of the pool's slabs, and so is in memory from the start, bytes. */
  get maxSlabBytes(): number {
    return this.#maxSlabBytes;
  }

  /**
   * Leases at least `bytes` (1 to {@link maxBytes}) of page-aligned memory; `lease.buffer` is exactly that long. Larger than
   * {@link maxSlabBytes}, it is memory of its own, which comes page by page as it is first touched and goes back to the system on
   * release: some milliseconds later, if it is much; {@link acquireWhenFree} waits for it.
   *
   * @throws `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`
   * @throws `ERR_RINGBOLT_POOL_EXHAUSTED` if nothing free is large enough, if JavaScript has no memory for the Buffer, or if callers of {@link acquireWhenFree} wait: it does not
   * overtake them.
   */
  acquire(bytes: number): Lease {
    checkInteger('bytes', bytes, 1, this.maxBytes);
    return this.#acquire(bytes, 0);
  }

  /**
   * {@link acquire} that waits until the memory is free. Callers have theirs in the order in which they came, whatever they want.
   *
   * @throws `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE`, `ERR_OUT_OF_RANGE`, `ERR_RINGBOLT_CLOSED` if the engine is closed
   * meanwhile, `ERR_RINGBOLT_OVERLOADED` if 65,536 callers wait, `ERR_RINGBOLT_TIMEOUT`, an `AbortError`; all as rejections.
   */
  async acquireWhenFree(bytes: number, options: WaitOptions = {}): Promise<Lease> {
    checkInteger('bytes', bytes, 1, this.maxBytes);
    const interrupts = beginWait(options);
    try {
      if (this.#closed !== undefined) throw this.#closed;
      const lease = this.#waiters.size === 0 ? this.#take(bytes, 0) : undefined;
      if (lease !== undefined) return lease;
      this.#countersOf(bytes).waits++;
      return await this.#waiters.wait(() => this.#take(bytes, 0), interrupts);
    } finally {
      interrupts?.end();
    }
  }

  /**
   * Gives memory that nobody leases back to the system; it comes back by itself when it is leased again, at the cost of page faults.
   * The event loop is free meanwhile. Calls join: at most one is under way, and all others wait for the next.
   *
   * @returns how many bytes that were. Huge pages that were set aside by the administrator (hugetlb) are never given back.
   * @throws `ERR_RINGBOLT_CLOSED`
   */
  trim(): Promise<number> {
    return this.#trims.trim();
  }

  async #trimNow(): Promise<number> {
    if (this.#closed !== undefined) throw this.#closed;
    this.#reclaimForgotten();
    this.#clearShelves();
    this.#slabs.clear();
    this.#debug?.trimBegins();
    return this.#native.trimPool().finally(() => this.#debug?.trimEnded());
  }

  /**
   * Who holds leases, for how long, and where they were acquired; longest first.
   *
   * @throws `ERR_RINGBOLT_UNSUPPORTED` unless the engine was started with `pool.debug`
   */
  holders(): readonly LeaseHolder[] {
    if (this.#debug === undefined) {
      const text = 'Who holds leases is only known to an engine that was started with pool.debug';
      throw ringboltError('ERR_RINGBOLT_UNSUPPORTED', text);
    }
    this.#reclaimForgotten();
    return this.#debug.holders((unit) => (this.#states[unit]! & IN_FLIGHT) !== 0);
  }

  #acquire(bytes: number, part: number): Lease {
    const waiting = this.#waiters.size;
    const lease = waiting === 0 ? this.#take(bytes, part) : undefined;
    if (lease !== undefined) return lease;
    const why = waiting > 0 ? `${waiting} callers wait for memory` : this.#describeFree();
    throw ringboltError(
      'ERR_RINGBOLT_POOL_EXHAUSTED',
      `No ${bytes} bytes are free: ${why}. Release leases, or start the engine with more pool.bytes`,
    );
  }

  #countersOf(bytes: number): { waits: number } {
    return bytes > this.#maxSlabBytes ? this.#large : this.#shelfFor(bytes, 0).counters;
  }

  #shelfFor(bytes: number, part: number): Shelf {
    const units = Math.ceil(bytes / LAYOUT.slabUnitBytes);
    return this.#shelves[part * this.#counters.length + this.#classOfUnits[units]!]!;
  }

  #take(bytes: number, part: number): Lease | undefined {
    if (bytes > this.#maxSlabBytes) return this.#takeLarge(bytes);
    const shelf = this.#shelfFor(bytes, part);
    let unit = shelf.pop();
    if (unit === NO_UNIT && this.#reclaimForgotten()) unit = shelf.pop();
    // What lies on other shelves may be joined to what is wanted.
    if (unit === NO_UNIT && this.#clearShelves()) unit = shelf.pop();
    const { counters, slabClass } = shelf;
    if (unit === NO_UNIT) {
      counters.misses++;
      return undefined;
    }
    let slab = this.#slabs.take(unit);
    // The slab's last ArrayBuffer may be collected, detached, or of another class than the slab is now.
    if (slab === undefined || trueLength(slab.slabBuffer) !== counters.slabBytes) {
      slab = this.#makeSlab(unit, counters.slabBytes, () => {
        shelf.push(unit);
      });
      this.#shelfOf[unit] = this.#partOf(unit) * this.#counters.length + slabClass;
    }
    this.#states[unit] = LEASED;
    this.#shelves[this.#shelfOf[unit]!]!.inUse++;
    counters.acquired[0]!++;
    if (++counters.inUse > counters.highWater) counters.highWater = counters.inUse;
    this.#debug?.acquired(unit, bytes, counters.slabBytes);
    return leases.create(slab, bytes);
  }

  #takeLarge(bytes: number): Lease | undefined {
    let unit = this.#native.takeLarge(bytes);
    if (unit === NO_UNIT && this.#reclaimForgotten()) unit = this.#native.takeLarge(bytes);
    if (unit === NO_UNIT) {
      this.#large.misses++;
      return undefined;
    }
    const slab = this.#makeSlab(unit, bytes, () => {
      this.#native.giveLarge(unit);
    });
    this.#states[unit] = LEASED;
    this.#large.leased(unit, bytes);
    this.#debug?.acquired(unit, bytes, 0); // its contents go with it
    return leases.create(slab, bytes);
  }

  /** An ArrayBuffer over a slab that is not leased yet; `giveBack` is called if there is no memory for one. */
  #makeSlab(unit: number, bytes: number, giveBack: () => void): LeasedSlab {
    try {
      const { buffer, generation } = this.#native.slabBuffer(unit, bytes);
      this.#generations[unit] = generation;
      return { home: this.#home, unit, generation, slabBuffer: Buffer.from(buffer) };
    } catch (cause) {
      giveBack();
      const text = `JavaScript has no memory for a Buffer of ${bytes} bytes`;
      throw ringboltError('ERR_RINGBOLT_POOL_EXHAUSTED', text, { cause });
    }
  }

  #partOf(unit: number): number {
    const { parts } = this.#layout;
    let part = parts.length - 1;
    while (unit < parts[part]!.firstUnit) part--;
    return part;
  }

  #partOn(node: number | undefined): number {
    const part = this.#layout.parts.findIndex((each) => each.node === node);
    return Math.max(part, 0);
  }

  #takeBack(slab: LeasedSlab): void {
    const { unit, generation, slabBuffer } = slab;
    // Reclaimed meanwhile, and perhaps leased to somebody else: not this lease's to give back.
    if (this.#generations[unit] !== generation || this.#states[unit] !== LEASED) return;
    const isLarge = unit >= this.#largeUnit;
    this.#debug?.released(
      slab,
      isLarge ? 0 : this.#shelves[this.#shelfOf[unit]!]!.counters.slabBytes,
    );
    // One that its holder has made something else of is not for the next holder.
    if (!isLarge && Object.getPrototypeOf(slabBuffer) === Buffer.prototype) {
      this.#slabs.put(unit, slab);
    }
    this.#free(unit);
  }

  /** The slab is nobody's any more. */
  #free(unit: number): void {
    this.#states[unit] = 0;
    if (unit < this.#largeUnit) {
      const shelf = this.#shelves[this.#shelfOf[unit]!]!;
      shelf.inUse--;
      shelf.counters.inUse--;
      shelf.push(unit);
      this.#tellFree(unit);
    } else {
      this.#large.free(unit, this.#closed !== undefined, () => {
        this.#tellFree(unit);
      });
    }
  }

  #tellFree(unit: number): void {
    if (this.#counted.size > 0) {
      const counted = this.#counted.get(unit);
      this.#counted.delete(unit);
      counted?.counter.returned(counted.bytes);
    }
    if (this.#waiters.size > 0) this.#waiters.serve();
    this.#onRelease?.();
  }

  /** Gives free slabs to whoever may join them. True if there were any. */
  #clearShelves(): boolean {
    let any = false;
    for (const shelf of this.#shelves) any = shelf.clear() || any;
    return any;
  }

  /** Takes back slabs whose memory nobody can reach any more. True if there were any. */
  #reclaimForgotten(): boolean {
    let reclaimed = false;
    for (const { unit, generation } of this.#native.takeForgotten()) {
      // It is free, or has another ArrayBuffer by now.
      if (this.#states[unit] === 0 || this.#generations[unit] !== generation) continue;
      if (this.#states[unit] !== LEASED) {
        // Its memory was detached under way. It is asked about again when the kernel has let go.
        this.#native.putForgotten(unit, generation);
        continue;
      }
      reclaimed = true;
      this.#leaked++;
      this.#generations[unit] = NO_GENERATION; // its lease, if it is still there, has nothing to give back
      this.#warnOnce(unit);
      this.#debug?.forgotten(unit);
      this.#free(unit);
    }
    return reclaimed;
  }

  #warnOnce(unit: number): void {
    if (this.#warned) return;
    this.#warned = true;
    const where = this.#debug?.where(unit);
    const detail =
      where === undefined
        ? 'Start the engine with pool.debug to learn where it was acquired.'
        : `It was acquired\n${where}`;
    process.emitWarning('A lease was forgotten without release(). Its slab was taken back.', {
      type: 'RingboltWarning',
      code: 'RINGBOLT_LEASE_FORGOTTEN',
      detail: `pool.stats().leakedTotal counts them; this warning comes once for each engine. ${detail}`,
    });
  }

  /** What is left of the pool, for whoever asked in vain. */
  #describeFree(): string {
    const { bytes, bytesInUse, large } = this.stats();
    const { largestFreeBytes } = this.#native.poolStats();
    const ofLarge =
      large.bytesInUse === 0
        ? ''
        : `, and ${large.bytesInUse} of ${large.limitBytes} bytes for large ones`;
    const rest =
      largestFreeBytes === 0
        ? 'nothing else is left'
        : `the largest free slab has ${largestFreeBytes} bytes`;
    return `${bytesInUse} bytes of the pool's ${bytes} are leased${ofLarge}; ${rest}`;
  }

  stats(): PoolStats {
    this.#reclaimForgotten();
    const { classBytes, parts } = this.#layout;
    const native = this.#native.poolStats();
    const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
    const nodes = parts.map(({ node, bytes }, part) => {
      const shelves = this.#shelves.filter((shelf) => shelf.part === part);
      const inUse = sum(shelves.map((shelf) => shelf.inUse * shelf.counters.slabBytes));
      return { node, bytes, bytesInUse: inUse, remoteTotal: native.parts[part]!.remote };
    });
    return {
      bytes: sum(parts.map(({ bytes }) => bytes)),
      bytesInUse: sum(nodes.map(({ bytesInUse }) => bytesInUse)),
      leakedTotal: this.#leaked,
      trimmedBytesTotal: this.#trims.bytesTotal,
      waiting: this.#waiters.size,
      classes: classBytes.map((slabBytes, slabClass) => {
        const { inUse, highWater, acquired, refills, misses, waits } = this.#counters[slabClass]!;
        return {
          slabBytes,
          capacity: sum(native.parts.map(({ slabs }) => slabs[slabClass]!)),
          inUse,
          highWater,
          acquiredTotal: acquired[0]!,
          refillsTotal: refills,
          missesTotal: misses,
          waitsTotal: waits,
        };
      }),
      nodes,
      large: this.#large.stats(),
    };
  }

  static {
    pools = {
      create: (native, layout) => new BufferPool(SECRET, native, layout),
      tryAcquire: (pool, bytes) => pool.#take(bytes, 0),
      acquireOn(pool, bytes, node) {
        checkInteger('bytes', bytes, 1, pool.maxBytes);
        return pool.#acquire(bytes, pool.#partOn(node));
      },
      describeFree: (pool) => pool.#describeFree(),
      tryAcquireCounted(pool, bytes, counter) {
        const lease = pool.#take(bytes, 0);
        if (lease !== undefined) pool.#counted.set(leases.unit(lease), { counter, bytes });
        return lease;
      },
      reclaim(pool) {
        pool.#reclaimForgotten();
      },
      home: (pool) => pool.#home,
      setOnRelease(pool, listener) {
        pool.#onRelease = listener;
      },
      close(pool, reason) {
        pool.#closed = reason;
        pool.#waiters.abandon(reason);
      },
      abandon(pool, reason) {
        pools.close(pool, reason);
        pool.#trims.abandon(reason);
      },
    };
  }
}
