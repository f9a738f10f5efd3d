// Who is told when an operation has ended: a promise, or a batch.

import { systemError, type RingboltError } from '../errors.js';
import { FLAG_DURABLE, OpKind } from '../native.js';
import type { Operation, Sink } from '../schedule/operation.js';
import type { BatchResult } from './block-target.js';

const SYSCALLS: Readonly<Record<OpKind, string>> = {
  [OpKind.noop]: 'noop',
  [OpKind.read]: 'read',
  [OpKind.write]: 'write',
  [OpKind.dataSync]: 'fdatasync',
  [OpKind.installFile]: 'open',
  [OpKind.removeFile]: 'close',
};

/** The error of an operation that ended with -errno. */
function operationError(op: Operation, result: number, bytesDone: number): RingboltError {
  const transfers = op.kind === OpKind.read || op.kind === OpKind.write;
  return systemError(
    { errno: -result, syscall: SYSCALLS[op.kind], detail: '' },
    {
      path: op.file?.path,
      ...(transfers && { offset: op.offset, length: op.length, bytesDone }),
    },
  );
}

/**
 * What every sink does before it tells anybody: keeps the file's size, and remembers that something could not be made
 * durable. Returns the error, if the operation failed.
 */
export function takeOutcome(op: Operation, result: number, bytesDone: number): Error | undefined {
  const { file } = op;
  if (op.kind === OpKind.write && file !== undefined) {
    file.size = Math.max(file.size, op.offset + bytesDone);
  }
  if (result >= 0) return undefined;
  const error = operationError(op, result, bytesDone);
  const durable = op.kind === OpKind.dataSync || (op.flags & FLAG_DURABLE) !== 0;
  if (durable && file !== undefined) file.flushError ??= error;
  return error;
}

/** Settles the operation's own promise. */
export const promiseSink: Sink = {
  settle(op, result, bytesDone) {
    const error = takeOutcome(op, result, bytesDone);
    if (error === undefined) op.resolve!(result);
    else op.reject!(error);
  },
};

/** Settles one promise when the last of many operations has ended; with the error of the first in order, if any. */
export class Batch implements Sink {
  readonly promise: Promise<BatchResult>;
  readonly #transferred: Float64Array;
  #bytesTotal = 0;
  #remaining: number;
  #failedIndex = Infinity;
  #error: Error | undefined;
  #resolve!: (result: BatchResult) => void;
  #reject!: (reason: Error) => void;

  constructor(count: number) {
    this.#transferred = new Float64Array(count);
    this.#remaining = count;
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  settle(op: Operation, result: number, bytesDone: number): void {
    const error = takeOutcome(op, result, bytesDone);
    if (error === undefined) this.succeed(op.index, result);
    else this.fail(op.index, error);
  }

  succeed(index: number, bytes: number): void {
    this.#transferred[index] = bytes;
    this.#bytesTotal += bytes;
    this.#count();
  }

  fail(index: number, error: Error): void {
    if (index < this.#failedIndex) {
      this.#failedIndex = index;
      this.#error = error;
    }
    this.#count();
  }

  #count(): void {
    if (--this.#remaining > 0) return;
    if (this.#error === undefined) {
      this.#resolve({ bytesTotal: this.#bytesTotal, transferred: this.#transferred });
    } else {
      this.#reject(this.#error);
    }
  }
}
