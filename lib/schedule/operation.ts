// One operation on its way: what is asked, and who is told. Reused: taken from the scheduler, filled, submitted, settled,
// and taken again, so that the I/O path allocates nothing but the caller's promise.

import type { Lease } from '../memory/lease.js';
import { OpKind } from '../native.js';

/** Scheduling classes, in order of priority. */
export const IO_CLASSES = ['foreground', 'background'] as const;
export type IoClass = (typeof IO_CLASSES)[number];

/** An open file: as the queues know it, and what is under way on it. */
export class FileRef {
  readonly path: string;
  readonly slot: number;
  readonly generation: number;
  /** Bytes; grows with writes past the end. */
  size: number;
  /** Why nothing more can be made durable: Linux reports a lost write once, and has done so. */
  flushError: Error | undefined = undefined;
  #underWay = 0;
  #onIdle: (() => void) | undefined;

  constructor(path: string, slot: number, generation: number, size: number) {
    this.path = path;
    this.slot = slot;
    this.generation = generation;
    this.size = size;
  }

  begin(): void {
    this.#underWay++;
  }

  end(): void {
    this.#underWay--;
    if (this.#underWay === 0) this.#onIdle?.();
  }

  /** Resolves once all that has begun has ended. One caller: whoever closes the file. */
  async whenIdle(): Promise<void> {
    if (this.#underWay === 0) return;
    await new Promise<void>((resolve) => {
      this.#onIdle = resolve;
    });
  }
}

/** Is told when an operation has ended: `result` is bytes or -errno, `bytesDone` counts in either case. */
export interface Sink {
  settle(op: Operation, result: number, bytesDone: number): void;
}

const unset: Sink = {
  settle() {
    throw new Error('ringbolt: an operation without a sink was settled');
  },
};

export class Operation {
  kind: OpKind = OpKind.noop;
  /** Index into IO_CLASSES. */
  ioClass = 0;
  flags = 0;
  file: FileRef | undefined = undefined;
  offset = 0;
  length = 0;
  unit = 0;
  submittedNs = 0;
  sink: Sink = unset;
  /** The memory, which is the engine's until this has settled. */
  lease: Lease | undefined = undefined;
  /** For the sink: the place in a batch. */
  index = 0;
  /** For the sink: a promise's ends. */
  resolve: ((value: number) => void) | undefined = undefined;
  reject: ((reason: Error) => void) | undefined = undefined;

  /** Drops what must not be kept alive by an operation waiting for its next use. */
  clear(): void {
    this.file = undefined;
    this.sink = unset;
    this.lease = undefined;
    this.resolve = undefined;
    this.reject = undefined;
    this.flags = 0;
    this.ioClass = 0;
  }
}
