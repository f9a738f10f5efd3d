// The flushes and durable writes of one file. Concurrent flushes join; one covers all that had resolved before it begins.
//
// Linux tells of lost data once, to whoever asks first:
//
//   write A ── resolved                   lost, and told of once: to D
//        flush F ──────────────────────────────── goes well: nothing is left to be told
//              durable write D ────────── EIO
//
// So a flush that went well waits for the durable writes under way at that moment, and a durable write for the flush: if anything else
// has failed by then, so have they.

import { RingboltError, type ErrorDetails } from '../errors.js';
import { JoinedRuns } from '../joined-runs.js';
import { OpKind } from '../native.js';
import type { FileRef } from '../schedule/operation.js';
import type { Scheduler } from '../schedule/scheduler.js';
import { promiseSink } from './sinks.js';

export class Flushes {
  readonly #scheduler: Scheduler;
  readonly #file: FileRef;
  readonly #runs = new JoinedRuns<void>();
  /** The operation of the one that runs. */
  #operation: Promise<number> | undefined;
  readonly #durableWrites = new Set<Promise<unknown>>();

  constructor(scheduler: Scheduler, file: FileRef) {
    this.#scheduler = scheduler;
    this.#file = file;
  }

  /** `ioClass`: of the flush that this call begins, if it begins one. */
  join(ioClass: number): Promise<void> {
    return this.#runs.join(() => this.#run(ioClass));
  }

  /** `write`: a durable write, or a batch of them, that has begun; `tells`: whether its result tells of failures itself. */
  async confirm<T>(write: Promise<T>, tells: (result: T) => boolean): Promise<T> {
    this.#durableWrites.add(write);
    let result: T;
    try {
      result = await write;
    } finally {
      this.#durableWrites.delete(write);
    }
    if (this.#operation !== undefined) await Promise.allSettled([this.#operation]);
    if (!tells(result)) checkDurable(this.#file);
    return result;
  }

  whenIdle(): Promise<void> {
    return this.#runs.whenIdle();
  }

  async #run(ioClass: number): Promise<void> {
    checkDurable(this.#file);
    const scheduler = this.#scheduler;
    if (!scheduler.hasRoomFor(1)) throw scheduler.overloaded(1);
    const op = scheduler.take();
    op.kind = OpKind.dataSync;
    op.file = this.#file;
    op.ioClass = ioClass;
    op.sink = promiseSink;
    this.#operation = scheduler.submitForPromise(op);
    try {
      await this.#operation;
    } finally {
      this.#operation = undefined;
    }
    if (this.#durableWrites.size > 0) await Promise.allSettled(this.#durableWrites);
    checkDurable(this.#file);
  }
}

/**
 * For what is to be durable: Linux reports a lost write once, so that a success after that would mean nothing.
 *
 * @throws the code of the flush or durable write that failed, whose error is the `cause`; `details` are those of the operation
 * that is refused
 */
export function checkDurable(file: FileRef, details?: ErrorDetails): void {
  const { flushError: cause, path } = file;
  if (cause === undefined) return;
  if (!(cause instanceof RingboltError)) throw cause;
  const { code, errno, syscall } = cause;
  const text = `a flush or durable write of '${path}' failed before, and what it lost is not written: open the file again`;
  throw new RingboltError(code, `${code}: ${text}`, { errno, syscall, path, ...details, cause });
}
