// Discarding and zeroing ranges of a file, in pieces on the engine's control thread: system calls that take as long as they
// take, and that no ring offers for every target.

import { RingboltError, systemError } from '../errors.js';
import { SpaceChange, type NativeEngine } from '../native.js';
import type { Interrupt, Interruptible } from '../interrupt.js';
import type { FileRef } from '../schedule/operation.js';
import { interruptedError } from './sinks.js';

/** After each piece other files have their turn with the control thread, and a signal is heeded. */
const PIECE_BYTES = 256 * 2 ** 20;

export interface SpaceRequest {
  readonly native: NativeEngine;
  readonly file: FileRef;
  readonly change: SpaceChange;
  readonly offset: number;
  readonly length: number;
  readonly interrupts: Interrupt | undefined;
}

/**
 * Resolves when all of it is done.
 *
 * @throws the error of the piece that failed, or the interruption's; `bytesDone` says how far it came.
 */
export async function changeSpace(request: SpaceRequest): Promise<void> {
  const { native, file, change, offset, length, interrupts } = request;
  const target: Interruptible = {
    interrupt() {
      // Looked at between two pieces: one that runs cannot be called back.
    },
  };
  file.begin();
  interrupts?.add(target);
  try {
    for (let done = 0; done < length; done += PIECE_BYTES) {
      const reason = interrupts?.reason;
      if (reason !== undefined) {
        throw interruptedError(reason, { path: file.path, offset, length, bytesDone: done });
      }
      const bytes = Math.min(PIECE_BYTES, length - done);
      const { slot, generation, path } = file;
      const failure = await native.changeSpace(slot, generation, change, offset + done, bytes);
      if (failure.errno !== 0)
        throw systemError(failure, { path, offset, length, bytesDone: done });
      if (change === SpaceChange.zero) file.size = Math.max(file.size, offset + done + bytes);
    }
  } finally {
    interrupts?.delete(target);
    file.end();
  }
}

/** Bytes of zeros in one write. */
const ZEROS_BYTES = 2 ** 20;
/** Writes under way at once. */
const ZERO_WRITES = 4;

/** For targets that cannot zero a range: writes zeros. */
export async function writeZeroBytes(
  offset: number,
  length: number,
  write: (offset: number, zeros: Uint8Array) => Promise<unknown>,
): Promise<void> {
  const zeros = new Uint8Array(Math.min(ZEROS_BYTES, length));
  let next = 0;
  let failed = false;
  const writeOn = async () => {
    while (next < length && !failed) {
      const at = next;
      next += zeros.length;
      try {
        await write(offset + at, zeros.subarray(0, Math.min(zeros.length, length - at)));
      } catch (error) {
        failed = true;
        throw error;
      }
    }
  };
  const outcomes = await Promise.allSettled(Array.from({ length: ZERO_WRITES }, writeOn));
  for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
}

export function isUnsupported(error: unknown): boolean {
  return error instanceof RingboltError && error.code === 'ERR_RINGBOLT_UNSUPPORTED';
}
