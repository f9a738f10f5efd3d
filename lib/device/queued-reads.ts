// The reads of a stream over a file: straight to the scheduler, with one sink and one way to cancel for all of them.
//
// They are reads like any others. What is saved is what each would have had of its own: a promise, an Interrupt and the reading of
// its options, together more than everything else that JavaScript does for a read.

import { abortError, closedError } from '../errors.js';
import { leases } from '../memory/lease.js';
import { OpKind } from '../native.js';
import { Interrupt } from '../interrupt.js';
import {
  IO_CLASSES,
  type FileRef,
  type IoClass,
  type Operation,
  type Sink,
} from '../schedule/operation.js';
import type { Scheduler } from '../schedule/scheduler.js';
import { checkInteger } from '../validate.js';
import { takeOutcome } from './sinks.js';
import type { Reads, StreamRead } from './streams/reads.js';

export class QueuedReads implements Reads, Sink {
  readonly answersReadsAtOnce = true;
  readonly #scheduler: Scheduler;
  readonly #file: FileRef;
  readonly #ioClass: number;
  readonly #interrupt = new Interrupt(undefined, undefined);
  /** By Operation.index: those under way. */
  readonly #reads: (StreamRead | undefined)[] = [];
  readonly #freePlaces: number[] = [];

  constructor(scheduler: Scheduler, file: FileRef, ioClass: IoClass) {
    this.#scheduler = scheduler;
    this.#file = file;
    this.#ioClass = IO_CLASSES.indexOf(ioClass);
  }

  begin(read: StreamRead): void {
    const obstacle = this.#obstacle(read);
    if (obstacle === undefined) this.#submit(read);
    else process.nextTick(() => read.failed(obstacle)); // not before this has returned
  }

  cancel(): void {
    this.#interrupt.fire(abortError(undefined));
  }

  settle(op: Operation, result: number, bytesDone: number): void {
    const place = op.index;
    const read = this.#reads[place]!;
    this.#reads[place] = undefined;
    this.#freePlaces.push(place);
    const error = takeOutcome(op, result, bytesDone);
    if (error === undefined) read.succeeded(result);
    else read.failed(error);
  }

  /** What a read with a promise would have been refused for. The lease is the stream's own, and nobody has seen it. */
  #obstacle({ offset, lease }: StreamRead): unknown {
    if (this.#file.closing) return closedError('file', this.#file.path);
    if (!this.#scheduler.hasRoomFor(1)) return this.#scheduler.overloaded(1);
    try {
      checkInteger('offset + length', offset + leases.bytes(lease), 0);
    } catch (error) {
      return error;
    }
    return undefined;
  }

  #submit(read: StreamRead): void {
    const { lease } = read;
    const place = this.#freePlaces.pop() ?? this.#reads.length;
    this.#reads[place] = read;
    const op = this.#scheduler.take();
    op.kind = OpKind.read;
    op.file = this.#file;
    op.offset = read.offset;
    op.length = leases.bytes(lease);
    op.unit = leases.unit(lease);
    op.lease = lease;
    op.ioClass = this.#ioClass;
    op.interrupts = this.#interrupt;
    op.index = place;
    op.sink = this;
    this.#scheduler.submit(op);
  }
}
