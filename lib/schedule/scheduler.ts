// Decides which operation goes to which queue, and when.
//
//   submit ─▶ rate limits ─▶ room in a lane? ── yes ─▶ lane ─ at 32 slots or the end of the tick ─▶ queue thread
//                                   │ no                ▲
//                                   ▼                   │ as completions make room, foreground first
//                              waiting, by class ───────┘
//
// One that is larger than maxIoBytes becomes several operations on its way into the lanes, which settle as one (see split.ts).
//
// A small read that is alone in the engine goes another way, through the ring of this thread (loop-lane.ts).
// Which lane, and what waits for it, is lane-choice.ts. Waiting is bounded by maxQueued, which callers ask about beforehand
// (hasRoomFor), so that a batch is refused as a whole and before any of it has begun.
//
// An operation may be interrupted at any time (see interrupt.ts). What waits goes at once. What the kernel has is
// cancelled there, which is advice only: a read is answered at once nevertheless, its memory following when the kernel lets go; a
// write keeps its caller waiting for its real outcome, so that a retry cannot be overtaken by it.

import { ECANCELED, ringboltError } from '../errors.js';
import { leases } from '../memory/lease.js';
import { OpKind, type NativeEngine } from '../native.js';
import { Fifo } from './fifo.js';
import { BatchClock } from './batch-clock.js';
import type { Interrupt } from '../interrupt.js';
import { Lane } from './lane.js';
import { LaneChoice, type LaneGroup } from './lane-choice.js';
import { LoopLane } from './loop-lane.js';
import {
  describeOperation,
  IO_CLASSES,
  Operation,
  resultSink,
  silentSink,
  type FileRef,
  type IoClass,
  type Sink,
} from './operation.js';
import { promiseOf } from './promise-ends.js';
import { RateLimiter, type RateLimit } from './rate-limiter.js';
import { RoomSeekers } from './room.js';
import { splitOf, type SplitHost } from './split.js';
import { TurnBudget } from './turn-budget.js';

/** Settled operations kept for reuse, at most. */
const MAX_SPARE = 4096;

/** Rates of an engine: of each class, and of both together. What is left out has no limit. */
export type EngineLimits = Readonly<Partial<Record<IoClass | 'total', RateLimit>>>;

export interface SchedulerOptions {
  /** The NUMA node of each queue, as far as known. */
  readonly nodes: readonly (number | undefined)[];
  readonly depth: number;
  /** Whether there is a further queue, which this thread drives. */
  readonly driven: boolean;
  readonly maxQueued: number;
  readonly maxIoBytes: number;
  readonly limits: EngineLimits;
}

export class Scheduler {
  /** Larger reads and writes are done in parts. */
  readonly maxIoBytes: number;
  /** Of all that is copied on this thread. */
  readonly budget = new TurnBudget();
  /** Those of the queues with a thread. */
  readonly #lanes: readonly Lane[];
  readonly #loopLane: LoopLane | undefined;
  /** Both. */
  readonly #allLanes: readonly Lane[];
  readonly #maxQueued: number;
  readonly #depth: number;
  /** Also of what waits for room in a lane. */
  readonly #choice: LaneChoice;
  readonly #classLimiters = IO_CLASSES.map(() => new RateLimiter((op) => this.#limitTotal(op)));
  readonly #totalLimiter = new RateLimiter((op) => this.#start(op));
  readonly #fileLimiters = new Set<RateLimiter>();
  /** Whether the first two have ever been used: they cost nothing until then. */
  #limited = false;
  readonly #controls: readonly Fifo<Operation>[];
  readonly #spare: Operation[] = [];
  readonly #clock = new BatchClock();
  /** Those that a rate limit holds back. */
  #heldCount = 0;
  /** Operations that were refused for want of room. */
  refusedTotal = 0;
  #reserved = 0;
  #flushPlanned = false;
  #checksumsPrepared = false;
  readonly #onIdle: (() => void)[] = [];
  readonly #roomSeekers = new RoomSeekers();
  /** What everything ends with once the engine has given up on its queues. */
  #abandoned: Error | undefined;

  constructor(native: NativeEngine, options: SchedulerOptions) {
    const { nodes } = options;
    this.#lanes = nodes.map((_, queue) => new Lane(native, queue, options.depth));
    if (options.driven) this.#loopLane = new LoopLane(native, nodes.length, this.budget);
    this.#allLanes = this.#loopLane ? [...this.#lanes, this.#loopLane.lane] : this.#lanes;
    this.#controls = this.#allLanes.map(() => new Fifo<Operation>());
    this.#choice = new LaneChoice(this.#lanes, nodes);
    this.#depth = options.depth;
    this.#maxQueued = options.maxQueued;
    this.maxIoBytes = options.maxIoBytes;
    if (Object.keys(options.limits).length > 0) this.setLimits(options.limits);
  }

  /** Replaces all limits; what waits for one that is gone passes at once. */
  setLimits(limits: EngineLimits): void {
    this.#limited = true;
    for (const [index, limiter] of this.#classLimiters.entries()) {
      limiter.set(limits[IO_CLASSES[index]!]);
    }
    this.#totalLimiter.set(limits.total);
  }

  /** The limiter of one file, for FileRef.limiter. */
  makeFileLimiter(): RateLimiter {
    const limiter = new RateLimiter((op) => this.#limitClass(op));
    this.#fileLimiters.add(limiter);
    return limiter;
  }

  /** The file is closed; nothing waits for it. */
  dropFileLimiter(limiter: RateLimiter): void {
    this.#fileLimiters.delete(limiter);
  }

  /** The lanes near a node, for FileRef.near. */
  lanesNear(node: number): LaneGroup | undefined {
    return this.#choice.near(node);
  }

  /**
   * Must come before the first operation with checksums.
   *
   * @throws `ENOMEM`
   */
  prepareChecksums(): void {
    if (this.#checksumsPrepared) return;
    for (const lane of this.#lanes) lane.prepareChecksums();
    this.#checksumsPrepared = true;
  }

  /** Operations that wait for room in a queue, or for a rate limit. */
  get waiting(): number {
    return this.#choice.waitingCount + this.#heldCount;
  }

  /** Operations in the queues. */
  get inFlight(): number {
    let sum = 0;
    for (const lane of this.#allLanes) sum += lane.inFlight;
    return sum;
  }

  /** Whether `count` more may be submitted, or reserved, now. */
  hasRoomFor(count: number): boolean {
    const wanted = this.waiting + this.#reserved + count;
    if (wanted <= this.#maxQueued) return true;
    const free = this.#lanes.length * this.#depth - this.inFlight;
    return wanted <= this.#maxQueued + free;
  }

  /**
   * Counts a transfer that submits its operations over time as one that waits, until it has submitted the last: it was
   * admitted as a whole, and none of its parts is refused afterwards. Requires hasRoomFor(1).
   */
  reserve(): void {
    this.#reserved++;
  }

  /** Ends what {@link reserve} began. */
  unreserve(): void {
    this.#reserved--;
  }

  /** Of what may be in flight and wait, the share that does: 0 to 1. */
  get pressure(): number {
    // One that is done in parts may have some in flight and wait for room for the others.
    return Math.min(1, (this.inFlight + this.waiting + this.#reserved) / this.capacity);
  }

  /** Operations that may be in flight and wait at once. */
  get capacity(): number {
    return this.#lanes.length * this.#depth + this.#maxQueued;
  }

  /** Resolves when {@link hasRoomFor}(count), in order of arrival; room is not set aside. Requires count <= capacity. */
  async whenRoomFor(count: number, interrupts: Interrupt | undefined): Promise<void> {
    if (this.#roomSeekers.size > 0 || !this.hasRoomFor(count)) {
      await this.#roomSeekers.wait(count, interrupts);
    }
    if (this.#abandoned !== undefined) throw this.#abandoned;
  }

  /** The error of a caller who submits more than hasRoomFor allows. */
  overloaded(count: number): Error {
    this.refusedTotal += count;
    return ringboltError(
      'ERR_RINGBOLT_OVERLOADED',
      `${this.waiting + this.#reserved} operations wait and ${count} more were submitted; ` +
        `at most ${this.#maxQueued} may wait (maxQueued)`,
    );
  }

  /** An operation to fill and submit; it must not be kept after it has settled. */
  take(): Operation {
    return this.#spare.pop() ?? new Operation(this);
  }

  /** Requires hasRoomFor(1), asked in this same turn, or a reservation. */
  submit(op: Operation): void {
    this.#planFlush();
    op.submittedNs = this.#clock.nowNs;
    if (op.lease !== undefined) leases.depart(op.lease);
    op.file?.begin();
    op.interrupts?.add(op);
    const transfers = op.kind !== OpKind.noop && op.kind !== OpKind.checksum;
    if (transfers && (this.#limited || op.file?.limiter !== undefined)) {
      this.#limit(op);
      return;
    }
    const large = op.length > this.maxIoBytes && transfers;
    const loop = this.#loopLane;
    if (loop !== undefined) {
      const alone = !large && this.#choice.any.current.inFlight === 0;
      if (alone && loop.suits(op) && this.#isIdle()) return loop.push(op);
      const first = loop.takeBack();
      if (first !== undefined) this.#place(first);
    }
    if (large)
      this.#queue(op); // where parts are made of it
    else this.#place(op);
  }

  #isIdle(): boolean {
    return this.inFlight === 0 && this.waiting === 0;
  }

  #place(op: Operation): void {
    const lane = this.#choice.laneFor(op);
    if (lane === undefined) {
      this.#choice.wait(op);
      if (this.#choice.mayPassOthers(op)) this.#admitWaiting();
    } else if (lane.push(op)) {
      this.#clock.read();
    }
  }

  #limit(op: Operation): void {
    if (this.#abandoned !== undefined) return this.#giveUp(op, this.#abandoned);
    this.#heldCount++; // until #start()
    if (op.file?.limiter?.admit(op) !== false) this.#limitClass(op);
  }

  #limitClass(op: Operation): void {
    if (this.#classLimiters[op.ioClass]!.admit(op)) this.#limitTotal(op);
  }

  #limitTotal(op: Operation): void {
    if (this.#totalLimiter.admit(op)) this.#start(op);
  }

  /** What has passed all limits goes behind what waits for room, and on from there if there is any. */
  #start(op: Operation): void {
    this.#heldCount--;
    this.#queue(op);
  }

  #queue(op: Operation): void {
    this.#choice.wait(op);
    this.#admitWaiting();
  }

  /** Ends `op` early, as far as that can be done: see the head of this file. Once; later calls do nothing. */
  interrupt(op: Operation, reason: Error): void {
    if (op.interruptReason !== undefined) return;
    op.interruptReason = reason;
    const { lane, split } = op;
    if (split !== undefined) {
      split.interrupt(reason);
      this.#tellProgress();
      return;
    }
    if (lane === undefined) return this.#interruptWaiting(op);
    const reads = op.kind === OpKind.read || op.kind === OpKind.checksum;
    if (reads && op.sink.answersReadsAtOnce) {
      const { sink } = op;
      op.sink = silentSink;
      op.checksums = undefined; // whose arrays are the caller's again
      op.interrupts?.delete(op);
      sink.settle(op, -ECANCELED, 0);
    }
    this.#control(lane.index, OpKind.cancel, undefined, op.token, silentSink);
  }

  #interruptWaiting(op: Operation): void {
    if (!this.#choice.leave(op)) {
      this.#heldCount--;
      op.list!.remove(op);
    }
    if (op.lease !== undefined) leases.arrive(op.lease);
    try {
      op.sink.settle(op, -ECANCELED, 0);
    } finally {
      this.#recycle(op);
      this.#tellProgress();
    }
  }

  /** Submits and resolves to the result of a `sink` that uses the operation's promise ends. */
  submitForPromise(op: Operation): Promise<number> {
    const promise = promiseOf(op);
    this.submit(op);
    return promise;
  }

  /** Installs or removes a file in every queue; resolves to 0 or the first -errno once all have answered. */
  async control(kind: OpKind, file: FileRef): Promise<number> {
    if (this.#abandoned !== undefined) throw this.#abandoned;
    const results = await Promise.all(
      this.#allLanes.map((_, index) => {
        file.begin(); // as submit() does: recycling ends it
        return new Promise<number>((resolve) => {
          this.#control(index, kind, file, 0, resultSink).resolve = resolve;
        });
      }),
    );
    return results.find((result) => result < 0) ?? 0;
  }

  /** An operation for one certain queue, in slots set aside for such. */
  #control(
    queue: number,
    kind: OpKind,
    file: FileRef | undefined,
    target: number,
    sink: Sink,
  ): Operation {
    const op = this.take();
    op.kind = kind;
    op.file = file;
    op.target = target;
    op.sink = sink;
    this.#planFlush();
    const lane = this.#allLanes[queue]!;
    if (lane === this.#loopLane?.lane) this.#loopLane.settleIn();
    if (lane.hasControlRoom) lane.push(op);
    else this.#controls[queue]!.push(op);
    return op;
  }

  /** Native code calls this with completions to settle. */
  deliver(queue: number, count: number): void {
    const lane = this.#allLanes[queue]!;
    if (lane === this.#loopLane?.lane) this.#loopLane.arriving();
    // Until this returns, what is delivered still counts as outstanding natively: there may be no room for more.
    lane.holdBack = true;
    try {
      lane.deliver(count, this.#recycle);
    } finally {
      this.#admit(queue);
      lane.holdBack = false;
    }
    this.#tellProgress();
  }

  #tellProgress(): void {
    if (this.#roomSeekers.size > 0) this.#roomSeekers.tell((count) => this.hasRoomFor(count));
    if (this.#onIdle.length > 0 && this.inFlight === 0 && this.waiting === 0) {
      for (const resolve of this.#onIdle.splice(0)) resolve();
    }
  }

  /** Resolves once nothing waits and nothing is in flight. */
  async whenIdle(): Promise<void> {
    if (this.inFlight === 0 && this.waiting === 0) return;
    await new Promise<void>((resolve) => this.#onIdle.push(resolve));
  }

  /** What is under way, for people: the oldest first, at most `count`. */
  describe(count: number): readonly string[] {
    const ops = this.#allLanes.flatMap((lane) => lane.inFlightOperations());
    ops.sort((a, b) => a.submittedNs - b.submittedNs);
    return ops.slice(0, count).map(describeOperation);
  }

  /**
   * Gives up on the queues: everything ends with `reason`, what the kernel still has included. Its memory stays the
   * kernel's. Nothing may be submitted afterwards, and nothing is delivered.
   */
  abandon(reason: Error): void {
    this.#abandoned = reason;
    this.#limited = true; // makes submit() look
    const limiters = [...this.#fileLimiters, ...this.#classLimiters, this.#totalLimiter];
    for (const limiter of limiters) {
      for (let op = limiter.shift(); op !== undefined; op = limiter.shift()) {
        this.#giveUp(op, reason);
      }
    }
    this.#heldCount = 0;
    this.#choice.drain((op) => this.#giveUp(op, reason));
    for (const lane of this.#allLanes) lane.abandon((op) => this.#giveUp(op, reason));
    for (const controls of this.#controls) {
      for (let op = controls.shift(); op !== undefined; op = controls.shift()) {
        this.#giveUp(op, reason);
      }
    }
    this.#tellProgress();
  }

  /** The lease is not given back: the kernel may still write to it. */
  #giveUp(op: Operation, reason: Error): void {
    op.interruptReason ??= reason;
    if (op.split !== undefined) return op.split.giveUp();
    op.sink.settle(op, -ECANCELED, 0);
    this.#recycle(op);
  }

  readonly #recycle = (op: Operation): void => {
    op.interrupts?.delete(op);
    op.file?.end();
    op.clear();
    if (this.#spare.length < MAX_SPARE) this.#spare.push(op);
  };

  /** Lets operations that wait into the room that completions made. */
  #admit(queue: number): void {
    const controls = this.#controls[queue]!;
    while (controls.length > 0 && this.#allLanes[queue]!.hasControlRoom) {
      this.#planFlush();
      this.#allLanes[queue]!.push(controls.shift()!);
    }
    this.#admitWaiting();
  }

  #admitWaiting(): void {
    const choice = this.#choice;
    if (choice.waitingCount === 0) return;
    choice.beginRound();
    for (let ioClass = 0; ioClass < IO_CLASSES.length; ioClass++) {
      for (let next = choice.next(ioClass); next !== undefined; next = choice.next(ioClass)) {
        this.#admitFirst(next, next.waiting[ioClass]!.first!);
      }
    }
  }

  /** The first that waits in a group, or the next part of it. */
  #admitFirst(group: LaneGroup, first: Operation): void {
    const large = first.length > this.maxIoBytes;
    const split = large ? splitOf(first, this.maxIoBytes, this.#splitHost) : undefined;
    const lane = this.#choice.laneIn(group, split !== undefined);
    if (lane === undefined) {
      group.full = true;
      return;
    }
    this.#planFlush();
    let op = first;
    if (split === undefined) {
      this.#choice.leave(first);
    } else {
      op = this.take();
      split.begin(op);
    }
    lane.push(op);
  }

  readonly #splitHost: SplitHost = {
    leave: (whole) => {
      this.#choice.leave(whole);
    },
    end: (whole, tell) => {
      // As for any other: what was given up is still the kernel's.
      if (whole.lease !== undefined && this.#abandoned === undefined) leases.arrive(whole.lease);
      try {
        tell();
      } finally {
        this.#recycle(whole);
      }
    },
  };

  #planFlush(): void {
    if (this.#flushPlanned) return;
    this.#flushPlanned = true;
    this.#clock.read();
    process.nextTick(this.#flush);
  }

  readonly #flush = (): void => {
    this.#flushPlanned = false;
    for (const lane of this.#allLanes) lane.publish();
  };
}
