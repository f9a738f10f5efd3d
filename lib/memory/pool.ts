// The pool as JavaScript sees it: leases over native slabs.
//
// Each slab has an ArrayBuffer of its own, made at its first use and kept while the slab is free. While it is leased
// the pool forgets it: the lease has the only reference, which is how a forgotten one is found out (see lease.ts).

import { ringboltError } from '../errors.js';
import { LAYOUT, type NativeEngine } from '../native.js';
import { checkInteger } from '../validate.js';
import { Lease, type LeaseHome } from './lease.js';

/** One size class of the pool. */
export interface SlabClassStats {
  /** Bytes of each slab. */
  readonly slabBytes: number;
  /** Slabs this class has at present; it takes more from the arena when it runs short. */
  readonly capacity: number;
  readonly inUse: number;
  /** Most slabs in use at once. */
  readonly highWater: number;
  readonly acquiredTotal: number;
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

/** Page-aligned memory that goes to the kernel without a copy. One for each engine, as `engine.pool`. */
export class BufferPool implements LeaseHome {
  readonly #native: NativeEngine;
  readonly #classBytes: readonly number[];
  readonly #bytes: number;
  /** By unit: the Buffers of free slabs that were leased before. */
  readonly #buffers: (Buffer | undefined)[];
  /** Class of a request, by the number of units it needs, up to the largest class. */
  readonly #classOfUnits: Uint8Array;
  #onRelease: (() => void) | undefined;

  /** @internal */
  constructor(native: NativeEngine, classBytes: readonly number[], bytes: number) {
    this.#native = native;
    this.#classBytes = classBytes;
    this.#bytes = bytes;
    this.#buffers = new Array<Buffer | undefined>(Math.ceil(bytes / LAYOUT.slabUnitBytes));
    const units = this.maxBytes / LAYOUT.slabUnitBytes;
    this.#classOfUnits = Uint8Array.from({ length: units + 1 }, (_, count) =>
      classBytes.findIndex((size) => size >= count * LAYOUT.slabUnitBytes),
    );
  }

  /** The largest lease there is, bytes. */
  get maxBytes(): number {
    return this.#classBytes.at(-1) ?? 0;
  }

  /**
   * Leases at least `bytes` (1 to {@link maxBytes}) of page-aligned memory; `lease.buffer` is exactly that long.
   *
   * @throws `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`
   * @throws `ERR_RINGBOLT_POOL_EXHAUSTED` if no slab of that size is free.
   */
  acquire(bytes: number): Lease {
    checkInteger('bytes', bytes, 1, this.maxBytes);
    const lease = this.tryAcquire(bytes);
    if (lease !== undefined) return lease;
    throw ringboltError(
      'ERR_RINGBOLT_POOL_EXHAUSTED',
      `No slab of ${bytes} bytes is free in a pool of ${this.#bytes}: release leases, ` +
        'or start the engine with more pool.bytes',
    );
  }

  /** @internal {@link acquire} for a size that was checked; `undefined` if none is free. */
  tryAcquire(bytes: number): Lease | undefined {
    const units = Math.ceil(bytes / LAYOUT.slabUnitBytes);
    const slabClass = this.#classOfUnits[units] ?? 0;
    const unit = this.#native.acquireSlab(slabClass);
    if (unit === undefined) return undefined;
    let buffer = this.#buffers[unit];
    this.#buffers[unit] = undefined;
    // The slab's last ArrayBuffer may be collected, detached, or of another class than the slab is now.
    if (buffer === undefined || buffer.length !== this.#classBytes[slabClass]) {
      buffer = Buffer.from(this.#native.slabBuffer(unit));
    }
    return new Lease(this, unit, buffer, bytes);
  }

  /** @internal */
  takeBack(unit: number, slabBuffer: Buffer): void {
    this.#buffers[unit] = slabBuffer;
    this.#native.releaseSlab(unit);
    this.#onRelease?.();
  }

  /** @internal Called whenever a slab has become free; one listener. */
  set onRelease(listener: (() => void) | undefined) {
    this.#onRelease = listener;
  }

  stats(): PoolStats {
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
        missesTotal: of.misses,
      })),
    };
  }
}
