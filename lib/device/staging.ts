// Leases where no ArrayBuffer may lie over native memory (Electron): each has memory of V8's own beside its slab, and what is
// between the two copies,
//
//   write:  buffer ─ copy ─▶ slab ─▶ queue          read:  queue ─▶ slab ─ copy ─▶ buffer
//
// on the JavaScript thread and within what may be copied in a turn. The operation itself is the same as everywhere: one for the
// whole lease, with its checksums. Until its promise settles the lease is not its user's.

import { invalidValue } from '../validate.js';
import { plainView } from '../memory/intrinsics.js';
import { leases, type Lease } from '../memory/lease.js';
import { OpKind } from '../native.js';
import type { Interrupt } from '../interrupt.js';
import type { FileRef } from '../schedule/operation.js';
import { COPY_BYTES_PER_TURN } from '../schedule/turn-budget.js';
import type { Copier } from './copier.js';
import { hashArray, type CheckedChecksumOptions } from './memory-hasher.js';
import { interruptedError } from './sinks.js';

export interface StagedTransfer {
  readonly kind: typeof OpKind.read | typeof OpKind.write;
  readonly file: FileRef;
  readonly offset: number;
  readonly lease: Lease;
  readonly interrupts: Interrupt | undefined;
  /** Begins the operation. Requires scheduler.hasRoomFor(1). */
  readonly submit: () => Promise<number>;
}

type Piece = (memory: Uint8Array, at: number) => void;

export class Staging {
  readonly #copier: Copier;

  constructor(copier: Copier) {
    this.#copier = copier;
  }

  /** Requires that the lease was checked, and scheduler.hasRoomFor(1). */
  async transfer(request: StagedTransfer): Promise<number> {
    const { kind, file, lease } = request;
    leases.hold(lease);
    file.begin();
    try {
      if (kind === OpKind.write) return await this.#write(request);
      const bytes = await request.submit();
      await this.#read(lease, bytes);
      return bytes;
    } finally {
      leases.letGo(lease);
      file.end();
    }
  }

  async hash(lease: Lease, options: CheckedChecksumOptions): Promise<bigint> {
    leases.hold(lease);
    try {
      return await hashArray(this.#copier, plainView(leases.memory(lease)), options);
    } finally {
      leases.letGo(lease);
    }
  }

  async #write({ file, offset, lease, interrupts, submit }: StagedTransfer): Promise<number> {
    const { scheduler, slabs } = this.#copier;
    const length = leases.bytes(lease);
    let fail!: (reason: Error) => void;
    const interrupted = new Promise<never>((_, reject) => (fail = reject));
    const waiter = {
      interrupt: (reason: Error) => {
        fail(interruptedError(reason, { path: file.path, offset, length, bytesDone: 0 }));
      },
    };
    let written: Promise<number>;
    interrupts?.add(waiter); // until the operation is: one without targets ends
    try {
      scheduler.reserve(); // counts as one that waits
      const copied = this.#inTurns('from', lease, length, (memory, at) => {
        if (interrupts?.reason !== undefined) return;
        slabs.fill(lease, at, memory);
        this.#copier.writtenBytes += memory.length;
      });
      await Promise.race([copied, interrupted]).finally(() => {
        scheduler.unreserve();
      });
      if (interrupts?.reason !== undefined) await interrupted; // in this very moment
      written = submit(); // which adds a target of its own
    } finally {
      interrupts?.delete(waiter);
    }
    return written;
  }

  #read(lease: Lease, bytes: number): Promise<void> {
    return this.#inTurns('into', lease, bytes, (memory, at) => {
      this.#copier.slabs.read(lease, at, memory);
      this.#copier.readBytes += memory.length;
    });
  }

  /** Passes the first `length` bytes of a lease's memory to `piece`, so much a turn. */
  async #inTurns(name: string, lease: Lease, length: number, piece: Piece): Promise<void> {
    const whole = leases.bytes(lease);
    for (let at = 0; at < length; at += COPY_BYTES_PER_TURN) {
      const bytes = Math.min(length - at, COPY_BYTES_PER_TURN);
      await new Promise<void>((resolve, reject) => {
        this.#copier.budget.spend(bytes, () => {
          if (whole === 0 || leases.bytes(lease) !== whole) {
            const reason = 'was detached while it was in an operation';
            reject(invalidValue(name, reason, leases.memory(lease)));
            return;
          }
          piece(plainView(leases.memory(lease)).subarray(at, at + bytes), at);
          resolve();
        });
      });
    }
  }
}
