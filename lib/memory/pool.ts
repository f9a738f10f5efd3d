// The pool as JavaScript sees it: leases over native slabs.
//
// Each slab has an ArrayBuffer of its own, made at its first use and kept while the slab is free. While it is leased
// the pool forgets it: the lease has the only reference, which is how a forgotten one is found out (see lease.ts).

import { ringboltError } from '../errors.js';
import { LAYOUT, type NativeEngine } from '../native.js';
import { checkInteger } from '../validate.js';
import { trueLength } from './intrinsics.js';
import { leases, type Lease, type LeaseHome } from './lease.js';
import { checkSecret, SECRET } from '../secret.js';

/** One size class of the pool. */
export interface SlabClassStats {
  /** Bytes of each slab. */
  readonly slabBytes: number;
  /** Slabs this class has at present; when it runs short it takes more from the arena, or from other classes. */
  readonly capacity: number;
  readonly inUse: number;
  /** Most slabs in use at once. */
  readonly highWater: number;
  readonly acquiredTotal: number;
  /** Acquisitions of this size that were given a larger slab, or several smaller ones joined, for want of one of its own. */
  readonly substitutedTotal: number;
  /** Acquisitions that failed because nothing was free. */
  readonly missesTotal: number;
}

/** The pool's state and its totals since the engine's start. */
export interface PoolStats {
  readonly bytes: number;
  readonly bytesInUse: number;
  /** Leases that were forgotten without release and taken back. */
  readonly leakedTotal: number;
  readonly classes: readonly SlabClassStats[];
}

/** Counts leases. It must not know them, as none that it knows would ever be forgotten. */
export interface LeaseCounter {
  /** Called once for each, when its slab has come back: released, or forgotten and taken back. `bytes`: as asked for. */
  returned(bytes: number): void;
}

/** The engine's side of a pool. */
interface PoolAccess {
  create(native: NativeEngine, classBytes: readonly number[], bytes: number): BufferPool;
  /** {@link BufferPool.acquire} for a size that was checked; `undefined` if none is free. */
  tryAcquire(pool: BufferPool, bytes: number): Lease | undefined;
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
}

export let pools: PoolAccess;

/** Page-aligned memory that goes to the kernel without a copy. One for each engine, as `engine.pool`. */
export class BufferPool {
  readonly #native: NativeEngine;
  readonly #classBytes: readonly number[];
  readonly #bytes: number;
  /** By unit: the Buffers of free slabs that were leased before. */
  readonly #buffers: (Buffer | undefined)[];
  /** By unit: which of the slab's ArrayBuffers is the present one. */
  readonly #generations: Uint32Array;
  /** By unit: whether the kernel has it. */
  readonly #inFlight: Uint8Array;
  /** Class of a request, by the number of units it needs, up to the largest class. */
  readonly #classOfUnits: Uint8Array;
  /** By unit, of those slabs whose return somebody counts. */
  readonly #counters: (LeaseCounter | undefined)[];
  /** By unit, of those: the bytes that were asked for. */
  readonly #countedBytes: Uint32Array;
  #onRelease: (() => void) | undefined;
  #warned = false;

  readonly #home: LeaseHome;

  /** @internal */
  constructor(secret: symbol, native: NativeEngine, classBytes: readonly number[], bytes: number) {
    checkSecret(secret);
    this.#native = native;
    this.#classBytes = classBytes;
    this.#bytes = bytes;
    const units = Math.ceil(bytes / LAYOUT.slabUnitBytes);
    this.#buffers = new Array<Buffer | undefined>(units);
    this.#generations = new Uint32Array(units);
    this.#counters = new Array<LeaseCounter | undefined>(units);
    this.#countedBytes = new Uint32Array(units);
    this.#inFlight = new Uint8Array(units);
    this.#home = {
      takeBack: (unit, generation, slabBuffer) => this.#takeBack(unit, generation, slabBuffer),
      setInFlight: (unit, inFlight) => {
        this.#inFlight[unit] = inFlight ? 1 : 0;
      },
    };
    const largest = this.maxBytes / LAYOUT.slabUnitBytes;
    this.#classOfUnits = Uint8Array.from({ length: largest + 1 }, (_, count) =>
      classBytes.findIndex((size) => size >= count * LAYOUT.slabUnitBytes),
    );
  }

  /** The largest lease there is, bytes. */
  get maxBytes(): number {
    return this.#classBytes.at(-1) ?? 0;
  }

  /**
   * Leases at least `bytes` (1 to {@link maxBytes}) of page-aligned memory; `lease.buffer` is exactly that long. Where its size
   * class has nothing left, a larger slab or several smaller ones stand in.
   *
   * @throws `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`
   * @throws `ERR_RINGBOLT_POOL_EXHAUSTED` if nothing free is large enough.
   */
  acquire(bytes: number): Lease {
    checkInteger('bytes', bytes, 1, this.maxBytes);
    const lease = this.#tryAcquire(bytes);
    if (lease !== undefined) return lease;
    throw ringboltError(
      'ERR_RINGBOLT_POOL_EXHAUSTED',
      `No slab of ${bytes} bytes is free: ${this.#describeFree()}. ` +
        'Release leases, or start the engine with more pool.bytes',
    );
  }

  #tryAcquire(bytes: number): Lease | undefined {
    const units = Math.ceil(bytes / LAYOUT.slabUnitBytes);
    const slabClass = this.#classOfUnits[units] ?? 0;
    let unit = this.#native.acquireSlab(slabClass);
    if (unit === undefined && this.#reclaimForgotten()) unit = this.#native.acquireSlab(slabClass);
    if (unit === undefined) return undefined;
    let buffer = this.#buffers[unit];
    this.#buffers[unit] = undefined;
    // The slab's last ArrayBuffer may be collected, detached, or of another class than the slab is now.
    if (buffer === undefined || trueLength(buffer) !== this.#classBytes[slabClass]) {
      // As long as the class, although the slab that stands in for one may be larger: so it will fit the next time.
      const made = this.#native.slabBuffer(unit, this.#classBytes[slabClass]);
      buffer = Buffer.from(made.buffer);
      this.#generations[unit] = made.generation;
    }
    const generation = this.#generations[unit]!;
    return leases.create({ home: this.#home, unit, generation, slabBuffer: buffer }, bytes);
  }

  /** What is left of the pool, for whoever asked in vain. */
  #describeFree(): string {
    const { bytesInUse, classes } = this.stats();
    const free = classes
      .map(({ capacity, inUse, slabBytes }) => ({ count: capacity - inUse, slabBytes }))
      .filter(({ count }) => count > 0)
      .map(({ count, slabBytes }) => `${count} of ${slabBytes}`);
    const rest = free.length === 0 ? 'nothing is free' : `free are only ${free.join(', ')} bytes`;
    return `${bytesInUse} bytes of the pool's ${this.#bytes} are leased, ${rest}`;
  }

  #takeBack(unit: number, generation: number, slabBuffer: Buffer): void {
    // Reclaimed meanwhile, and perhaps leased to somebody else: not this lease's to give back.
    if (this.#generations[unit] !== generation) return;
    // One that its holder has made something else of is not for the next holder.
    const intact = Object.getPrototypeOf(slabBuffer) === Buffer.prototype;
    this.#buffers[unit] = intact ? slabBuffer : undefined;
    this.#native.releaseSlab(unit);
    this.#tellReturned(unit);
    this.#onRelease?.();
  }

  #tellReturned(unit: number): void {
    const counter = this.#counters[unit];
    if (counter === undefined) return;
    this.#counters[unit] = undefined;
    counter.returned(this.#countedBytes[unit]!);
  }

  /** Takes back slabs whose memory nobody can reach any more. True if there were any. */
  #reclaimForgotten(): boolean {
    let reclaimed = false;
    for (const { unit, generation } of this.#native.takeForgotten()) {
      if (this.#inFlight[unit] === 1) {
        // Its memory was detached under way. It is asked about again when the kernel has let go.
        this.#native.putForgotten(unit, generation);
      } else if (this.#native.reclaimSlab(unit, generation)) {
        reclaimed = true;
        this.#tellReturned(unit);
      }
    }
    if (reclaimed) this.#warnOnce();
    return reclaimed;
  }

  #warnOnce(): void {
    if (this.#warned) return;
    this.#warned = true;
    process.emitWarning('A lease was forgotten without release(). Its slab was taken back.', {
      type: 'RingboltWarning',
      code: 'RINGBOLT_LEASE_FORGOTTEN',
      detail: 'pool.stats().leakedTotal counts them; this warning comes once for each engine.',
    });
  }

  stats(): PoolStats {
    this.#reclaimForgotten();
    const { leaked, classes } = this.#native.poolStats();
    return {
      bytes: this.#bytes,
      bytesInUse: classes.reduce((sum, of) => sum + of.inUse * of.slabBytes, 0),
      leakedTotal: leaked,
      classes: classes.map((of) => ({
        slabBytes: of.slabBytes,
        capacity: of.capacity,
        inUse: of.inUse,
        highWater: of.highWater,
        acquiredTotal: of.acquired,
        substitutedTotal: of.substituted,
        missesTotal: of.misses,
      })),
    };
  }

  static {
    pools = {
      create: (native, classBytes, bytes) => new BufferPool(SECRET, native, classBytes, bytes),
      tryAcquire: (pool, bytes) => pool.#tryAcquire(bytes),
      describeFree: (pool) => pool.#describeFree(),
      tryAcquireCounted(pool, bytes, counter) {
        const lease = pool.#tryAcquire(bytes);
        if (lease === undefined) return undefined;
        const unit = leases.unit(lease);
        pool.#counters[unit] = counter;
        pool.#countedBytes[unit] = bytes;
        return lease;
      },
      reclaim(pool) {
        pool.#reclaimForgotten();
      },
      home: (pool) => pool.#home,
      setOnRelease(pool, listener) {
        pool.#onRelease = listener;
      },
    };
  }
}
