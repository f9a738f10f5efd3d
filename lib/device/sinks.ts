// Who is told when an operation has ended: a promise, or a batch.

import type { RingboltError } from '../errors.js';
import { systemError } from '../errors.js';
import { OpKind } from '../native.js';
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
export function operationError(op: Operation, result: number, bytesDone: number): RingboltError {
  const transfers = op.kind === OpKind.read || op.kind === OpKind.write;
  return systemError(
    { errno: -result, syscall: SYSCALLS[op.kind], detail: '' },
    {
      path: op.file?.path,
      ...(transfers && { offset: op.offset, length: op.length, bytesDone }),
    },
  );
}

/** What every sink does with a success before it tells anybody. */
export function noteProgress(op: Operation, bytes: number): void {
  if (op.kind !== OpKind.write || op.file === undefined) return;
  op.file.size = Math.max(op.file.size, op.offset + bytes);
}

/** Settles the operation's own promise. */
export const promiseSink: Sink = {
  settle(op, result, bytesDone) {
    if (result < 0) {
      op.reject!(operationError(op, result, bytesDone));
    } else {
      noteProgress(op, result);
      op.resolve!(result);
    }
  },
};

/** Settles one promise when the last of many operations has ended; with the error of the first in order, if any. */
export class Batch implements Sink {
  readonly promise: Promise<BatchResult>;
  readonly #transferred: Uint32Array;
  #bytesTotal = 0;
  #remaining: number;
  #failedIndex = Infinity;
  #error: Error | undefined;
  #resolve!: (result: BatchResult) => void;
  #reject!: (reason: Error) => void;

  constructor(count: number) {
    this.#transferred = new Uint32Array(count);
    this.#remaining = count;
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  settle(op: Operation, result: number, bytesDone: number): void {
    if (result < 0) {
      this.fail(op.index, operationError(op, result, bytesDone));
    } else {
      noteProgress(op, result);
      this.succeed(op.index, result);
    }
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
