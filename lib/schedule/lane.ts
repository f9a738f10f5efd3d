// The JavaScript end of one queue: writes op slots, publishes them, reads completions, and knows which operation each
// token stands for.
//
//   Operation ─ push ─▶ slot in shared memory ─ publish: one native call for many ─▶ queue thread
//   Operation ◀─ table[token] ◀─ deliver(count) ◀─ one callback for many ◀───────────┘
//
// A slot is a cache line: native/engine/op_slot.h has its layout. A token is a place in the table and the place's
// generation, so that a completion that came twice would be noticed instead of settling a stranger.

import { systemError } from '../errors.js';
import { leases } from '../memory/lease.js';
import { LAYOUT, OpKind, type NativeEngine } from '../native.js';
import { changedError, corruptError, goneError } from './checksums.js';
import type { ChecksumPlan, Operation } from './operation.js';

const SLOT_WORDS = LAYOUT.opSlotBytes / 4;
const SLOT_DOUBLES = LAYOUT.opSlotBytes / 8;
const COMPLETION_WORDS = LAYOUT.completionSlotBytes / 4;
const INDEX_BITS = 16;
const INDEX_MASK = (1 << INDEX_BITS) - 1;

/** With which native code refuses a write whose blocks are not what was expected. File systems have a use for it, too. */
const EBADMSG = 74;

/** Unpublished slots at which the queue thread is given work without waiting for the end of the tick. */
const PUBLISH_AT = 32;

export class Lane {
  readonly #native: NativeEngine;
  readonly #publish: (count: number) => boolean;
  readonly #publishAt: number;
  readonly #queue: number;
  readonly #depth: number;
  readonly #mask: number;
  readonly #slotWords: Uint32Array;
  readonly #slotDoubles: Float64Array;
  readonly #completions: Int32Array;
  readonly #table: (Operation | undefined)[];
  readonly #generations: Uint16Array;
  /** A stack of free places in the table. */
  readonly #free: Uint16Array;
  #freeCount: number;
  #tail = 0;
  #head = 0;
  #unpublished = 0;
  #inFlight = 0;
  #controlInFlight = 0;
  /** While true, what is pushed is published at the end of the tick only. */
  holdBack = false;

  /**
   * `publish` makes the queue see the next slots, and answers false if it would not. The default wakes a queue's thread; another
   * is called at the end of a tick only, as it may settle operations before it returns.
   */
  constructor(
    native: NativeEngine,
    queue: number,
    depth: number,
    publish?: (count: number) => boolean,
  ) {
    const { submissions, completions } = native.queueBlocks(queue);
    const capacity = submissions.byteLength / LAYOUT.opSlotBytes;
    this.#native = native;
    this.#publish = publish ?? ((count) => native.kick(queue, count));
    this.#publishAt = publish === undefined ? PUBLISH_AT : Infinity;
    this.#queue = queue;
    this.#depth = depth;
    this.#mask = capacity - 1;
    this.#slotWords = new Uint32Array(submissions);
    this.#slotDoubles = new Float64Array(submissions);
    this.#completions = new Int32Array(completions);
    this.#table = new Array<Operation | undefined>(capacity).fill(undefined);
    this.#generations = new Uint16Array(capacity);
    this.#free = Uint16Array.from({ length: capacity }, (_, index) => capacity - 1 - index);
    this.#freeCount = capacity;
  }

  /** @throws `ENOMEM` */
  prepareChecksums(): void {
    const errno = this.#native.prepareChecksums(this.#queue);
    if (errno !== 0) throw systemError({ errno, syscall: 'mmap', detail: 'for checksums' });
  }

  /** Operations pushed and not settled, those that install and remove files aside. */
  get inFlight(): number {
    return this.#inFlight;
  }

  /** Operations, or files being installed or removed. */
  get isBusy(): boolean {
    return this.#inFlight > 0 || this.#controlInFlight > 0;
  }

  get index(): number {
    return this.#queue;
  }

  get unpublished(): number {
    return this.#unpublished;
  }

  /** Whether a further operation may be pushed. */
  get hasRoom(): boolean {
    return this.#inFlight < this.#depth;
  }

  /** Nothing in flight but perhaps a batch that is still being gathered. */
  get isIdle(): boolean {
    return this.#inFlight <= Math.min(this.#unpublished, PUBLISH_AT - 1) && this.hasRoom;
  }

  /** Whether a further file may be installed or removed: these have slots of their own. */
  get hasControlRoom(): boolean {
    return this.#controlInFlight < LAYOUT.controlSlots;
  }

  /** Requires hasRoom, or hasControlRoom. True if it published. */
  push(op: Operation): boolean {
    if (isControl(op)) this.#controlInFlight++;
    else this.#inFlight++;
    const index = this.#free[--this.#freeCount]!;
    this.#table[index] = op;

    op.lane = this;
    op.token = (this.#generations[index]! << INDEX_BITS) | index;

    const slot = this.#tail & this.#mask;
    const word = slot * SLOT_WORDS;
    const double = slot * SLOT_DOUBLES;
    const words = this.#slotWords;
    words[word] = op.token;
    words[word + 1] = op.kind | (op.ioClass << 8) | (op.flags << 16);
    if (op.file !== undefined) {
      words[word + 2] = op.file.slot;
      words[word + 3] = op.file.generation;
    } else {
      words[word + 2] = op.target;
    }
    this.#slotDoubles[double + 2] = op.offset;
    this.#slotDoubles[double + 3] = op.submittedNs;
    words[word + 8] = op.length;
    words[word + 9] = op.unit;
    words[word + 10] = op.slabOffset;
    if (op.checksums !== undefined) this.#putChecksums(op, op.checksums, index, slot);

    this.#tail = (this.#tail + 1) >>> 0;
    this.#unpublished++;
    if (this.#unpublished < this.#publishAt || this.holdBack) return false;
    this.publish();
    return true;
  }

  /** Makes the queue see what was pushed. */
  publish(): void {
    if (this.#unpublished === 0) return;
    const count = this.#unpublished;
    this.#unpublished = 0;
    if (!this.#publish(count)) {
      throw new Error('ringbolt: a queue refused operations that were counted as fitting');
    }
  }

  /** Undoes the last push(), which was of `op` and is not published. */
  takeBack(op: Operation): void {
    this.#tail = (this.#tail - 1) >>> 0;
    this.#unpublished--;
    this.#takeFromTable(op.token);
    op.lane = undefined;
  }

  /**
   * Settles the oldest `count` completions; `done` gets each operation back afterwards. Whatever a sink throws, all are
   * settled first: one that was left would never be.
   */
  deliver(count: number, done: (op: Operation) => void): void {
    let failed = false;
    let failure: unknown;
    for (let i = 0; i < count; i++) {
      const word = (this.#head & this.#mask) * COMPLETION_WORDS;
      this.#head = (this.#head + 1) >>> 0;
      try {
        const token = this.#completions[word]!;
        const op = this.#takeFromTable(token);
        const result = this.#completions[word + 1]!;
        const bytesDone = this.#completions[word + 2]! >>> 0;
        if (op.checksums !== undefined) {
          this.#takeChecksums(op, op.checksums, token, result, bytesDone);
        }
        if (op.lease !== undefined) leases.arrive(op.lease);
        op.sink.settle(op, result, bytesDone);
        done(op);
      } catch (error) {
        failed = true;
        failure = error;
      }
    }
    if (failed) throw failure;
  }

  /** Those whose completions have not come, files' installations and the like aside. */
  inFlightOperations(): readonly Operation[] {
    return this.#table.filter((op) => op !== undefined && !isControl(op)) as Operation[];
  }

  /** Forgets everything in flight, passing each to `each`. Their completions must never be delivered. */
  abandon(each: (op: Operation) => void): void {
    const ops = this.#table.filter((op) => op !== undefined);
    this.#table.fill(undefined);
    this.#inFlight = 0;
    this.#controlInFlight = 0;
    this.#unpublished = 0;
    for (const op of ops) each(op);
  }

  /** The place of an operation in the table is that of its values, too. */
  #putChecksums(op: Operation, plan: ChecksumPlan, place: number, slot: number): void {
    const word = slot * SLOT_WORDS;
    const { expected, blockSize } = plan;
    const blocks = Math.ceil(op.length / blockSize);
    if (
      expected !== null &&
      !this.#native.putExpected(this.#queue, place, expected, op.valueIndex, blocks)
    ) {
      op.problem = goneError(plan);
      // It goes and comes back as all others do, but nothing is read, and above all nothing written.
      this.#slotWords[word + 1] = OpKind.noop | (op.ioClass << 8);
      return;
    }
    this.#slotWords[word + 1]! |= plan.flags << 16;
    this.#slotWords[word + 11] = blockSize;
    this.#slotDoubles[slot * SLOT_DOUBLES + 6] = op.blockNumber;
    this.#slotWords[word + 14] = plan.seedLow;
    this.#slotWords[word + 15] = plan.seedHigh;
  }

  #takeChecksums(
    op: Operation,
    plan: ChecksumPlan,
    token: number,
    result: number,
    bytesDone: number,
  ): void {
    const refused = result === -EBADMSG && op.kind === OpKind.write;
    if (op.problem !== undefined || (result < 0 && !refused)) return;
    const blocks = Math.ceil((refused ? op.length : result) / plan.blockSize);
    const mismatches = this.#native.takeChecksums(
      this.#queue,
      token & INDEX_MASK,
      blocks,
      op.valueIndex,
      plan.out,
      plan.mismatches,
    );
    if (mismatches < 0) op.problem = goneError(plan);
    else if (refused && bytesDone === op.length) op.problem = changedError(op);
    else if (refused && mismatches > 0) op.problem = corruptError(plan, op, blocks);
  }

  #takeFromTable(token: number): Operation {
    const index = token & INDEX_MASK;
    const op = this.#table[index];
    if (op === undefined || this.#generations[index] !== token >>> INDEX_BITS) {
      throw new Error('ringbolt: a completion for no operation');
    }
    this.#table[index] = undefined;
    this.#generations[index]++;
    this.#free[this.#freeCount++] = index;
    if (isControl(op)) this.#controlInFlight--;
    else this.#inFlight--;
    return op;
  }
}

function isControl(op: Operation): boolean {
  return (
    op.kind === OpKind.installFile || op.kind === OpKind.removeFile || op.kind === OpKind.cancel
  );
}
