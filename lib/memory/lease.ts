// A lease: the right to use one slab of the pool until it is given back.
//
//          acquire            submit               completion
//   pool ───────────▶ held ───────────▶ in flight ───────────▶ held ──release──▶ pool
//                                         │ release
//                                         ▼
//                                   in flight, released ─ completion ─▶ pool
//
// While an operation is in flight its slab belongs to the engine, whatever the user does with the lease. The lease holds
// the only strong reference to the slab's memory as JavaScript sees it: if it is forgotten, and every view
// with it, the memory is collected and the pool takes the slab back. The memory may also be collected because its
// ArrayBuffer was detached, under a lease that is still there: such a lease cannot be submitted any more, and its
// release is of no consequence, as its slab has another generation by then.
//
// Where no ArrayBuffer may lie over native memory, that memory is another than the slab's, and what is between the two copies
// (lib/device/staging.ts) keeps the lease from its user besides, before the operation and after it.
//
// What the engine does with leases goes through `leases`, which no user can reach.

import { ringboltError } from '../errors.js';
import { plainView, trueLength } from './intrinsics.js';
import { checkSecret, SECRET } from '../secret.js';

/** Where leases come from and go back to. */
export interface LeaseHome {
  takeBack(slab: LeasedSlab): void;
  /** The kernel has the slab, or has let go of it. */
  setInFlight(unit: number, inFlight: boolean): void;
}

/** A slab as the pool leases it, time and again. */
export interface LeasedSlab {
  readonly home: LeaseHome;
  readonly unit: number;
  /** Of its memory: another ArrayBuffer over the same slab has another. */
  readonly generation: number;
  /** All of it. */
  readonly slabBuffer: Buffer;
}

/** The engine's side of leases. */
interface LeaseAccess {
  /** `bytes`: how much of the slab was asked for. */
  create(slab: LeasedSlab, bytes: number): Lease;
  is(value: unknown): value is Lease;
  /** Why the lease cannot go into an operation of `home` now; `undefined` if it can. */
  obstacle(lease: Lease, home: LeaseHome): Error | undefined;
  /** {@link Lease.buffer}, whatever somebody put over that. */
  buffer(lease: Lease): Buffer;
  /** 0 if the memory was detached or transferred. */
  bytes(lease: Lease): number;
  unit(lease: Lease): number;
  /** Leaves only the first `bytes` of it; nobody has seen the lease before. */
  shorten(lease: Lease, bytes: number): void;
  /** The leased memory, also after release. */
  memory(lease: Lease): Buffer;
  /** An operation has begun. */
  depart(lease: Lease): void;
  /** The kernel has let go. */
  arrive(lease: Lease): void;
  /**
   * Its memory is being copied, or waits for that, until {@link LeaseAccess.letGo}; operations may begin and end meanwhile.
   *
   * @throws `ERR_RINGBOLT_RELEASED`, `ERR_RINGBOLT_BUSY`
   */
  hold(lease: Lease): void;
  letGo(lease: Lease): void;
  isReleased(lease: Lease): boolean;
}

export let leases: LeaseAccess;

const HELD = 0;
const IN_FLIGHT = 1;
// Bits: may come together with the others.
const RELEASED = 2;
const COPIED = 4;

/** A slab of the pool, leased. Made by {@link BufferPool.acquire}. */
export class Lease {
  readonly #slab: LeasedSlab;
  #buffer: Buffer;
  #bytes: number;
  #state = HELD;

  /** @internal */
  constructor(secret: symbol, slab: LeasedSlab, buffer: Buffer, bytes: number) {
    checkSecret(secret);
    this.#slab = slab;
    this.#buffer = buffer;
    this.#bytes = bytes;
  }

  /**
   * The leased memory: page-aligned, as long as was asked for, holding whatever was there before. Do not keep it past
   * {@link release}: it would show the next holder's data. (Not aligned where leases are copied: `engine.info.memory`.)
   *
   * @throws `ERR_RINGBOLT_RELEASED`
   */
  get buffer(): Buffer {
    return leases.buffer(this);
  }

  /**
   * Gives the slab back to the pool; in flight, as soon as the operation has completed.
   *
   * @throws `ERR_RINGBOLT_RELEASED` if that was done before.
   */
  release(): void {
    if ((this.#state & RELEASED) !== 0) throw releasedError();
    this.#state |= RELEASED;
    if (this.#state === RELEASED) this.#goHome();
  }

  /** {@link release}, unless that was done before: for `using`. */
  [Symbol.dispose](): void {
    if ((this.#state & RELEASED) === 0) this.release();
  }

  #goHome(): void {
    this.#slab.home.takeBack(this.#slab);
  }

  static {
    leases = {
      create(slab, bytes) {
        const { slabBuffer } = slab;
        const whole = bytes === trueLength(slabBuffer);
        const buffer = whole ? slabBuffer : Buffer.from(plainView(slabBuffer).buffer, 0, bytes);
        return new Lease(SECRET, slab, buffer, bytes);
      },
      is: (value): value is Lease => typeof value === 'object' && value !== null && #state in value,
      obstacle(lease, home) {
        if (lease.#slab.home !== home) {
          return ringboltError('ERR_RINGBOLT_UNSUPPORTED', 'The lease belongs to another engine');
        }
        if ((lease.#state & RELEASED) !== 0) return releasedError();
        return lease.#state === HELD ? undefined : busyError();
      },
      buffer(lease) {
        if ((lease.#state & RELEASED) !== 0) throw releasedError();
        return lease.#buffer;
      },
      bytes: (lease) => (trueLength(lease.#buffer) === lease.#bytes ? lease.#bytes : 0),
      unit: (lease) => lease.#slab.unit,
      shorten(lease, bytes) {
        lease.#buffer = Buffer.from(plainView(lease.#slab.slabBuffer).buffer, 0, bytes);
        lease.#bytes = bytes;
      },
      memory: (lease) => lease.#buffer,
      depart(lease) {
        if (lease.#state !== HELD && (lease.#state & ~RELEASED) !== COPIED)
          throw new Error('ringbolt: a lease was submitted that is not held');
        lease.#state |= IN_FLIGHT;
        lease.#slab.home.setInFlight(lease.#slab.unit, true);
      },
      arrive(lease) {
        lease.#state &= ~IN_FLIGHT;
        lease.#slab.home.setInFlight(lease.#slab.unit, false);
        if (lease.#state === RELEASED) lease.#goHome();
      },
      hold(lease) {
        if ((lease.#state & RELEASED) !== 0) throw releasedError();
        if (lease.#state !== HELD) throw busyError();
        lease.#state |= COPIED;
      },
      letGo(lease) {
        lease.#state &= ~COPIED;
        if (lease.#state === RELEASED) lease.#goHome();
      },
      isReleased: (lease) => (lease.#state & RELEASED) !== 0,
    };
  }
}

function releasedError(): Error {
  return ringboltError('ERR_RINGBOLT_RELEASED', 'The lease was released');
}

function busyError(): Error {
  return ringboltError('ERR_RINGBOLT_BUSY', 'The lease is in an operation in flight');
}
