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

import { ringboltError } from '../errors.js';

/** Where leases come from and go back to. */
export interface LeaseHome {
  /** @internal `generation`: of the slab's memory as it was leased. */
  takeBack(unit: number, generation: number, slabBuffer: Buffer): void;
  /** @internal The kernel has the slab, or has let go of it. */
  setInFlight(unit: number, inFlight: boolean): void;
}

const HELD = 0;
const IN_FLIGHT = 1;
const RELEASED = 2; // a bit: may come together with IN_FLIGHT

/** A slab of the pool, leased. Made by {@link BufferPool.acquire}. */
export class Lease {
  readonly #home: LeaseHome;
  readonly #unit: number;
  readonly #generation: number;
  readonly #slabBuffer: Buffer;
  readonly #buffer: Buffer;
  #state = HELD;

  /** @internal */
  constructor(
    home: LeaseHome,
    unit: number,
    generation: number,
    slabBuffer: Buffer,
    bytes: number,
  ) {
    this.#home = home;
    this.#unit = unit;
    this.#generation = generation;
    this.#slabBuffer = slabBuffer;
    this.#buffer = bytes === slabBuffer.length ? slabBuffer : slabBuffer.subarray(0, bytes);
  }

  /**
   * The leased memory: page-aligned, as long as was asked for, holding whatever was there before. Do not keep it past
   * {@link release}: it would show the next holder's data.
   *
   * @throws `ERR_RINGBOLT_RELEASED`
   */
  get buffer(): Buffer {
    if ((this.#state & RELEASED) !== 0) throw releasedError();
    return this.#buffer;
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

  /** @internal For the I/O path: whether `value` is a lease at all. */
  static is(value: unknown): value is Lease {
    return typeof value === 'object' && value !== null && #state in value;
  }

  /** @internal Why the lease cannot go into an operation of `home` now; `undefined` if it can. */
  obstacle(home: LeaseHome): Error | undefined {
    if (this.#home !== home) {
      return ringboltError('ERR_RINGBOLT_UNSUPPORTED', 'The lease belongs to another engine');
    }
    if ((this.#state & RELEASED) !== 0) return releasedError();
    if (this.#state === IN_FLIGHT) {
      return ringboltError('ERR_RINGBOLT_BUSY', 'The lease is in an operation in flight');
    }
    return undefined;
  }

  /** @internal Bytes; 0 if the memory was detached or transferred. */
  get bytes(): number {
    return this.#buffer.length;
  }

  /** @internal */
  get unit(): number {
    return this.#unit;
  }

  /** @internal An operation has begun. */
  depart(): void {
    if (this.#state !== HELD) throw new Error('ringbolt: a lease was submitted that is not held');
    this.#state = IN_FLIGHT;
    this.#home.setInFlight(this.#unit, true);
  }

  /** @internal The kernel has let go. */
  arrive(): void {
    this.#state &= RELEASED;
    this.#home.setInFlight(this.#unit, false);
    if (this.#state === RELEASED) this.#goHome();
  }

  #goHome(): void {
    this.#home.takeBack(this.#unit, this.#generation, this.#slabBuffer);
  }
}

function releasedError(): Error {
  return ringboltError('ERR_RINGBOLT_RELEASED', 'The lease was released');
}
