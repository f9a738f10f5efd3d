// One operation on its way: what is asked, and who is told. Reused: taken from the scheduler, filled, submitted, settled,
// and taken again, so that the I/O path allocates nothing but the caller's promise.

import type { Lease } from '../memory/lease.js';
import { OpKind, type NativeFile } from '../native.js';
import type { Interrupt, Interruptible } from '../interrupt.js';
import type { Lane } from './lane.js';
import type { LaneGroup } from './lane-choice.js';
import type { RateLimiter } from './rate-limiter.js';
import type { Split } from './split.js';
import type { WaitingList } from './waiting-list.js';

/** Scheduling classes, in order of priority. */
export const IO_CLASSES = ['foreground', 'background'] as const;
export type IoClass = (typeof IO_CLASSES)[number];

/** What there is to know of a file that native code has opened. */
type OpenedFile = Pick<
  NativeFile,
  'slot' | 'generation' | 'alignment' | 'size' | 'inMemory' | 'direct'
>;

/** An open file: as the queues know it, and what is under way on it. */
export class FileRef {
  readonly path: string;
  readonly slot: number;
  readonly generation: number;
  /** Whether the kernel reads without blocking who asks it to: not where its memory may be swapped out. */
  readonly readsWithoutBlocking: boolean;
  /** Whether the page cache is bypassed, so that reading copies nothing. */
  readonly direct: boolean;
  /** Offsets and lengths are multiples of it. */
  readonly blockSize: number;
  /** The lanes that are near its device, if some are nearer than others. Never another while anything is under way. */
  near: LaneGroup | undefined = undefined;
  /** Bytes; grows with writes past the end. */
  size: number;
  /** No further operations. */
  closing = false;
  /** Why nothing more can be made durable: Linux reports a lost write once, and has done so. */
  flushError: Error | undefined = undefined;
  /** The file's own rate limit, if it has had one. */
  limiter: RateLimiter | undefined = undefined;
  #underWay = 0;
  #onIdle: (() => void) | undefined;

  constructor(path: string, opened: OpenedFile) {
    this.path = path;
    this.slot = opened.slot;
    this.generation = opened.generation;
    this.readsWithoutBlocking = !opened.inMemory;
    this.direct = opened.direct;
    this.blockSize = opened.alignment;
    this.size = opened.size;
  }

  /** Something was written, up to byte `end`. */
  grow(end: number): void {
    this.size = Math.max(this.size, end);
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

/** Checksums of blocks, as they were checked: for one operation, or for several that share it. */
export interface ChecksumPlan {
  /** Of op slots: algorithm, whether blocks are numbered, whether values are compared. */
  readonly flags: number;
  readonly blockSize: number;
  readonly seedLow: number;
  readonly seedHigh: number;
  readonly copiesInOnePass: boolean;
  /** The users' own: any of them may be detached or resized at any time. Null: not wanted. */
  readonly out: BigUint64Array | null;
  readonly expected: BigUint64Array | null;
  readonly mismatches: Uint32Array | null;
  /** All there are. */
  readonly blocks: number;
}

/** Is told when an operation has ended: `result` is bytes or -errno, `bytesDone` counts in either case. */
export interface Sink {
  /** A read that is interrupted in the kernel is settled at once, and not again when it ends there. */
  readonly answersReadsAtOnce: boolean;
  settle(op: Operation, result: number, bytesDone: number): void;
}

const unset: Sink = {
  answersReadsAtOnce: false,
  settle() {
    throw new Error('ringbolt: an operation without a sink was settled');
  },
};

/** Nobody is told: the answer was given before, or none is wanted. */
export const silentSink: Sink = {
  answersReadsAtOnce: false,
  settle() {
    // See above.
  },
};

/** Resolves to the result as it is, errors included. */
export const resultSink: Sink = {
  answersReadsAtOnce: false,
  settle(op, result) {
    op.resolve!(result);
  },
};

/** What an operation needs of its scheduler. */
interface Interrupter {
  interrupt(op: Operation, reason: Error): void;
}

export class Operation implements Interruptible {
  readonly #scheduler: Interrupter;
  kind: OpKind = OpKind.noop;
  /** Index into IO_CLASSES. */
  ioClass = 0;
  flags = 0;
  file: FileRef | undefined = undefined;
  offset = 0;
  length = 0;
  unit = 0;
  /** Of a part: where in the slab its memory begins. */
  slabOffset = 0;
  /** Of a cancellation: the token of the operation it is for. */
  target = 0;
  submittedNs = 0;
  sink: Sink = unset;
  /** The memory, which is the engine's until this has settled. */
  lease: Lease | undefined = undefined;
  /** Where it waits, if it does, and its neighbours there. */
  list: WaitingList | undefined = undefined;
  previous: Operation | undefined = undefined;
  next: Operation | undefined = undefined;
  /** The queue that has it, if one does, and what it is called there. */
  lane: Lane | undefined = undefined;
  token = 0;
  /** Its parts, if it is done in several. */
  split: Split | undefined = undefined;
  /** The caller's signal and deadline, if there are any. */
  interrupts: Interrupt | undefined = undefined;
  /** Why it is to end early: what it ends with if that succeeds (-ECANCELED). */
  interruptReason: Error | undefined = undefined;
  checksums: ChecksumPlan | undefined = undefined;
  /** Of the first block: where its value is among those of the plan, and its number. */
  valueIndex = 0;
  blockNumber = 0;
  /** What went wrong with checksums: the operation has failed, whatever its result says. */
  problem: Error | undefined = undefined;
  /** For the sink: the place in a batch. */
  index = 0;
  /** For the sink: a promise's ends. */
  resolve: ((value: number) => void) | undefined = undefined;
  reject: ((reason: Error) => void) | undefined = undefined;

  constructor(scheduler: Interrupter) {
    this.#scheduler = scheduler;
  }

  interrupt(reason: Error): void {
    this.#scheduler.interrupt(this, reason);
  }

  /** Drops what must not be kept alive by an operation waiting for its next use. */
  clear(): void {
    this.file = undefined;
    this.sink = unset;
    this.lease = undefined;
    this.lane = undefined;
    this.split = undefined;
    this.slabOffset = 0;
    this.interrupts = undefined;
    this.interruptReason = undefined;
    this.resolve = undefined;
    this.reject = undefined;
    this.checksums = undefined;
    this.problem = undefined;
    this.flags = 0;
    this.ioClass = 0;
  }
}

const KINDS: Readonly<Record<OpKind, string>> = {
  [OpKind.noop]: 'no-op',
  [OpKind.read]: 'read',
  [OpKind.write]: 'write',
  [OpKind.dataSync]: 'flush',
  [OpKind.installFile]: 'opening',
  [OpKind.removeFile]: 'closing',
  [OpKind.cancel]: 'cancellation',
  [OpKind.checksum]: 'hashing',
};

/** For people. */
export function describeOperation(op: Operation): string {
  const kind = KINDS[op.kind];
  if (op.file === undefined) return kind;
  if (op.kind !== OpKind.read && op.kind !== OpKind.write) return `${kind} of '${op.file.path}'`;
  return `${kind} of ${op.length} bytes at ${op.offset} of '${op.file.path}'`;
}
