// Who is told when an operation has ended: a promise, or a batch.

import {
  abortError,
  AbortError,
  ECANCELED,
  RingboltError,
  systemError,
  type ErrorDetails,
} from '../errors.js';
import { FLAG_DURABLE, OpKind } from '../native.js';
import type { Interrupt, Interruptible } from '../interrupt.js';
import type { Operation, Sink } from '../schedule/operation.js';
import type { BatchErrors, BatchResult } from './block-target.js';

const SYSCALLS: Readonly<Record<OpKind, string>> = {
  [OpKind.noop]: 'noop',
  [OpKind.read]: 'read',
  [OpKind.write]: 'write',
  [OpKind.dataSync]: 'fdatasync',
  [OpKind.installFile]: 'open',
  [OpKind.removeFile]: 'close',
  [OpKind.cancel]: 'cancel',
  [OpKind.checksum]: 'checksum',
};

/** The error of an operation that ended with -errno. */
function operationError(op: Operation, result: number, bytesDone: number): Error {
  const transfers = op.kind === OpKind.read || op.kind === OpKind.write;
  if (result === -ECANCELED && op.interruptReason !== undefined) {
    return interruptedError(op.interruptReason, {
      path: op.file?.path,
      ...(transfers && { offset: op.offset, length: op.length, bytesDone }),
    });
  }
  return systemError(
    { errno: -result, syscall: SYSCALLS[op.kind], detail: '' },
    {
      path: op.file?.path,
      ...(transfers && { offset: op.offset, length: op.length, bytesDone }),
    },
  );
}

/** The reason of an interruption, as the error of one operation among those that it ended. */
export function interruptedError(reason: Error, details: ErrorDetails): Error {
  if (reason instanceof RingboltError) {
    return new RingboltError(reason.code, reason.message, { cause: reason.cause, ...details });
  }
  if (!(reason instanceof AbortError)) return reason;
  return Object.assign(abortError(reason.cause), { bytesDone: details.bytesDone ?? 0 });
}

/**
 * What every sink does before it tells anybody: keeps the file's size, and remembers that something could not be made
 * durable. Returns the error, if the operation failed.
 */
export function takeOutcome(op: Operation, result: number, bytesDone: number): Error | undefined {
  const { file } = op;
  if (op.kind === OpKind.write && file !== undefined && bytesDone > 0) {
    file.grow(op.offset + bytesDone);
  }
  // Before the rest: that data is not as expected, or an array gone, says nothing of what was written before.
  if (op.problem !== undefined) return Object.assign(op.problem, { bytesDone });
  if (result >= 0) return undefined;
  const error = operationError(op, result, bytesDone);
  if (result === -ECANCELED) return error; // not done is not failed
  const durable = op.kind === OpKind.dataSync || (op.flags & FLAG_DURABLE) !== 0;
  if (durable && file !== undefined) file.flushError ??= error;
  return error;
}

/** Settles the operation's own promise. */
export const promiseSink: Sink = {
  answersReadsAtOnce: true,
  settle(op, result, bytesDone) {
    const error = takeOutcome(op, result, bytesDone);
    if (error === undefined) op.resolve!(result);
    else op.reject!(error);
  },
};

/**
 * Settles one promise when the last of many operations has ended: with the first error in order; or with what came of each
 * (`'collect'`). With `'abort'` the first error in time ends the others early, and is the one that is told.
 */
export class Batch implements Sink, Interruptible {
  readonly answersReadsAtOnce = true;
  readonly promise: Promise<BatchResult>;
  readonly #onError: BatchErrors;
  readonly #interrupts: Interrupt | undefined;
  readonly #transferred: Float64Array;
  readonly #errors = new Map<number, Error>();
  #bytesTotal = 0;
  #remaining: number;
  #failedIndex = Infinity;
  #error: Error | undefined;
  #resolve!: (result: BatchResult) => void;
  #reject!: (reason: Error) => void;

  /** `'abort'` requires `interrupts`, which all operations must be targets of. */
  constructor(count: number, onError: BatchErrors = 'wait', interrupts?: Interrupt) {
    this.#onError = onError;
    this.#interrupts = interrupts;
    this.#transferred = new Float64Array(count);
    this.#remaining = count;
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  settle(op: Operation, result: number, bytesDone: number): void {
    const error = takeOutcome(op, result, bytesDone);
    if (error === undefined) return this.succeed(op.index, result);
    op.interrupts?.delete(op); // it has ended: nothing of it is to be interrupted by what follows
    this.fail(op.index, error);
  }

  /** Its operations are told one by one. */
  interrupt(): void {
    // Nothing of its own.
  }

  succeed(index: number, bytes: number): void {
    this.#transferred[index] = bytes;
    this.#bytesTotal += bytes;
    this.#count();
  }

  fail(index: number, error: Error): void {
    if (this.#onError === 'collect') {
      this.#errors.set(index, error);
    } else if (this.#onError === 'abort') {
      const first = this.#error === undefined;
      this.#error ??= error;
      if (first) this.#interrupts?.fire(error);
    } else if (index < this.#failedIndex) {
      this.#failedIndex = index;
      this.#error = error;
    }
    this.#count();
  }

  #count(): void {
    if (--this.#remaining > 0) return;
    if (this.#error === undefined) {
      this.#resolve({
        bytesTotal: this.#bytesTotal,
        transferred: this.#transferred,
        errors: this.#errors,
      });
    } else {
      this.#reject(this.#error);
    }
  }
}
