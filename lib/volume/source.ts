// Memory that is to be written, of a write that has to wait for others or goes in steps: the target does not have it yet, and its owner may
// do anything with it.
//
//   lease   ─ held ─▶ handed over: the target's, as any that it is given       released meanwhile ─▶ held until the end, and copied
//   array   ─ as long as it was ─▶ copied by the target
//
// What is in it may change: it is hashed as it is copied, or as rule 15 says. That it is somebody else's memory by then, or of another length
// than the blocks that are to have tags, would be worse.

import { trueLength } from '../memory/intrinsics.js';
import { leases, type Lease } from '../memory/lease.js';
import { invalidValue } from '../validate.js';

export class Source {
  readonly #memory: Lease | Uint8Array;
  readonly #length: number;
  #isHeld = false;

  /** @throws `ERR_RINGBOLT_RELEASED`, `ERR_RINGBOLT_BUSY` */
  constructor(memory: Lease | Uint8Array, length: number) {
    this.#memory = memory;
    this.#length = length;
    if (!leases.is(memory)) return;
    leases.hold(memory);
    this.#isHeld = true;
  }

  /**
   * As it is now, for whoever copies it before its next wait.
   *
   * @throws `ERR_INVALID_ARG_VALUE` if it was detached or resized
   */
  get bytes(): Uint8Array {
    const memory = this.#memory;
    const bytes = leases.is(memory) ? leases.memory(memory) : memory;
    if (trueLength(bytes) === this.#length) return bytes;
    throw invalidValue('from', 'was detached or resized while it was in an operation', bytes);
  }

  /**
   * For the target, at once.
   *
   * @throws `ERR_INVALID_ARG_VALUE` if it was detached or resized
   */
  handOver(): Lease | Uint8Array {
    const { bytes } = this;
    const memory = this.#memory;
    if (!leases.is(memory) || leases.isReleased(memory)) return bytes;
    this.end();
    return memory;
  }

  /** Nobody looks at it any more, but a target that it was handed over to. */
  end(): void {
    if (!this.#isHeld) return;
    this.#isHeld = false;
    leases.letGo(this.#memory as Lease);
  }
}
