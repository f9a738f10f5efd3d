// Decides which operation goes to which queue, and when.
//
//   submit ─▶ room in a lane? ── yes ─▶ lane ─ at 32 slots or the end of the tick ─▶ queue thread
//                   │ no                  ▲
//                   ▼                     │ as completions make room, foreground first
//              waiting, by class ─────────┘
//
// Operations of one tick stay together: a lane that has begun a batch is filled until it publishes, and the next batch
// begins on the lane with the least in flight. Waiting is bounded by maxQueued, which callers ask about beforehand
// (hasRoomFor), so that a batch is refused as a whole and before any of it has begun.

import { performance } from 'node:perf_hooks';
import { ringboltError } from '../errors.js';
import { leases } from '../memory/lease.js';
import type { NativeEngine, OpKind } from '../native.js';
import { Fifo } from './fifo.js';
import { Lane } from './lane.js';
import { IO_CLASSES, Operation, type FileRef, type Sink } from './operation.js';

/** Settled operations kept for reuse, at most. */
const MAX_SPARE = 4096;
const NS_PER_MS = 1e6;

export interface SchedulerOptions {
  readonly queues: number;
  readonly depth: number;
  readonly maxQueued: number;
}

export class Scheduler {
  readonly #lanes: readonly Lane[];
  readonly #maxQueued: number;
  readonly #depth: number;
  readonly #waiting: readonly Fifo<Operation>[] = IO_CLASSES.map(() => new Fifo<Operation>());
  readonly #controls: readonly Fifo<Operation>[];
  readonly #spare: Operation[] = [];
  /** What to add to performance.now() to get CLOCK_MONOTONIC, which native code subtracts from. */
  readonly #clockOriginNs: number;
  #waitingCount = 0;
  #reserved = 0;
  #lane: Lane;
  #flushPlanned = false;
  #nowNs = 0;
  readonly #onIdle: (() => void)[] = [];

  constructor(native: NativeEngine, options: SchedulerOptions) {
    this.#lanes = Array.from(
      { length: options.queues },
      (_, queue) => new Lane(native, queue, options.depth),
    );
    this.#controls = this.#lanes.map(() => new Fifo<Operation>());
    this.#lane = this.#lanes[0]!;
    this.#depth = options.depth;
    this.#maxQueued = options.maxQueued;
    this.#clockOriginNs = Number(process.hrtime.bigint()) - performance.now() * NS_PER_MS;
  }

  /** Operations that wait for room in a queue. */
  get waiting(): number {
    return this.#waitingCount;
  }

  /** Operations in the queues. */
  get inFlight(): number {
    return this.#lanes.reduce((sum, lane) => sum + lane.inFlight, 0);
  }

  /** Whether `count` more may be submitted, or reserved, now. */
  hasRoomFor(count: number): boolean {
    const wanted = this.#waitingCount + this.#reserved + count;
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

  /** The error of a caller who submits more than hasRoomFor allows. */
  overloaded(count: number): Error {
    return ringboltError(
      'ERR_RINGBOLT_OVERLOADED',
      `${this.#waitingCount + this.#reserved} operations wait and ${count} more were submitted; ` +
        `at most ${this.#maxQueued} may wait (maxQueued)`,
    );
  }

  /** An operation to fill and submit; it must not be kept after it has settled. */
  take(): Operation {
    return this.#spare.pop() ?? new Operation();
  }

  /** Requires hasRoomFor(1), asked in this same turn, or a reservation. */
  submit(op: Operation): void {
    this.#planFlush();
    op.submittedNs = this.#nowNs;
    if (op.lease !== undefined) leases.depart(op.lease);
    op.file?.begin();
    const lane = this.#waitingCount === 0 ? this.#laneWithRoom() : undefined;
    if (lane === undefined) {
      this.#waiting[op.ioClass]!.push(op);
      this.#waitingCount++;
    } else if (lane.push(op)) {
      this.#readClock();
    }
  }

  /** Submits and resolves to the result of a `sink` that uses the operation's promise ends. */
  submitForPromise(op: Operation): Promise<number> {
    const promise = new Promise(takeEnds);
    op.resolve = lastResolve;
    op.reject = lastReject;
    lastResolve = undefined;
    lastReject = undefined;
    this.submit(op);
    return promise;
  }

  /** Installs or removes a file in every queue; resolves to 0 or the first -errno once all have answered. */
  async control(kind: OpKind, file: FileRef): Promise<number> {
    const results = await Promise.all(
      this.#lanes.map((lane, index) => {
        const op = this.take();
        op.kind = kind;
        op.file = file;
        op.sink = resultSink;
        file.begin(); // as submit() does: recycling ends it
        return new Promise<number>((resolve) => {
          op.resolve = resolve;
          this.#planFlush();
          if (lane.hasControlRoom) lane.push(op);
          else this.#controls[index]!.push(op);
        });
      }),
    );
    return results.find((result) => result < 0) ?? 0;
  }

  /** Native code calls this with completions to settle. */
  deliver(queue: number, count: number): void {
    const lane = this.#lanes[queue]!;
    // Until this returns, what is delivered still counts as outstanding natively: there may be no room for more.
    lane.holdBack = true;
    try {
      lane.deliver(count, this.#recycle);
    } finally {
      this.#admit(queue);
      lane.holdBack = false;
    }
    if (this.#onIdle.length > 0 && this.inFlight === 0 && this.#waitingCount === 0) {
      for (const resolve of this.#onIdle.splice(0)) resolve();
    }
  }

  /** Resolves once nothing waits and nothing is in flight. */
  async whenIdle(): Promise<void> {
    if (this.inFlight === 0 && this.#waitingCount === 0) return;
    await new Promise<void>((resolve) => this.#onIdle.push(resolve));
  }

  readonly #recycle = (op: Operation): void => {
    op.file?.end();
    op.clear();
    if (this.#spare.length < MAX_SPARE) this.#spare.push(op);
  };

  #laneWithRoom(): Lane | undefined {
    const current = this.#lane;
    if (current.hasRoom && (current.unpublished > 0 || this.#lanes.length === 1)) return current;
    let best = current;
    for (const lane of this.#lanes) if (lane.inFlight < best.inFlight) best = lane;
    this.#lane = best;
    return best.hasRoom ? best : undefined;
  }

  /** Lets operations that wait into the room that completions made. */
  #admit(queue: number): void {
    const controls = this.#controls[queue]!;
    while (controls.length > 0 && this.#lanes[queue]!.hasControlRoom) {
      this.#planFlush();
      this.#lanes[queue]!.push(controls.shift()!);
    }
    for (const waiting of this.#waiting) {
      while (waiting.length > 0) {
        const lane = this.#laneWithRoom();
        if (lane === undefined) return;
        this.#planFlush();
        this.#waitingCount--;
        lane.push(waiting.shift()!);
      }
    }
  }

  #planFlush(): void {
    if (this.#flushPlanned) return;
    this.#flushPlanned = true;
    this.#readClock();
    process.nextTick(this.#flush);
  }

  readonly #flush = (): void => {
    this.#flushPlanned = false;
    for (const lane of this.#lanes) lane.publish();
  };

  /** Once a batch and not once an operation: it costs as much as all else that submitting does. */
  #readClock(): void {
    this.#nowNs = this.#clockOriginNs + performance.now() * NS_PER_MS;
  }
}

// One executor for all promises: a closure for each would be the only thing that submitting allocates besides. It runs
// inside `new Promise`, so nothing can come between it and the reading of what it left here.
let lastResolve: ((value: number) => void) | undefined;
let lastReject: ((reason: Error) => void) | undefined;
const takeEnds = (resolve: (value: number) => void, reject: (reason: Error) => void): void => {
  lastResolve = resolve;
  lastReject = reject;
};

/** Resolves to the result as it is, errors included. */
const resultSink: Sink = {
  settle(op, result) {
    op.resolve!(result);
  },
};
