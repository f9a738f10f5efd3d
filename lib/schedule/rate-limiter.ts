// A token bucket for bytes and one for operations, and the operations that wait for them.
//
//   submit ─▶ [file's limiter] ─▶ [class's] ─▶ [engine's] ─▶ room in a queue
//
// A stage lets an operation pass when its bucket holds what the operation costs, or is full: so one that is larger than the
// bucket passes too, leaves a debt, and the next waits the longer. Within a stage foreground goes first and each class is in order of
// arrival; nothing overtakes what waits in front of it in its own class.
//
// The bucket holds what comes in within the burst time. The clock is performance.now(), injected by the scheduler.

import { OpKind } from '../native.js';
import { checkInteger, checkOptions, invalidType, outOfRange } from '../validate.js';
import { IO_CLASSES, type Operation } from './operation.js';
import { WaitingList } from './waiting-list.js';

/** At least one of the two rates. */
export interface RateLimit {
  /** Bytes read and written in a second, at least 1. */
  readonly bytesPerSecond?: number;
  /** Operations begun in a second, at least 1; flushes count, too. */
  readonly operationsPerSecond?: number;
  /** How long a rate may be saved up while nothing is submitted, 1 to 60,000 ms. Default 100. */
  readonly burstMs?: number;
}

const DEFAULT_BURST_MS = 100;
const MAX_BURST_MS = 60_000;
const MS_PER_S = 1000;
/** After which the timer looks whether anything waits still. */
const LONGEST_WAIT_MS = 1000;

/** @throws TypeError, RangeError with Node's codes */
export function checkRateLimit(name: string, limit: unknown): asserts limit is RateLimit {
  checkOptions(name, limit, ['bytesPerSecond', 'operationsPerSecond', 'burstMs']);
  const { bytesPerSecond, operationsPerSecond, burstMs = DEFAULT_BURST_MS } = limit as RateLimit;
  if (bytesPerSecond === undefined && operationsPerSecond === undefined) {
    throw invalidType(name, 'an object with bytesPerSecond or operationsPerSecond', limit);
  }
  for (const [key, rate] of Object.entries({ bytesPerSecond, operationsPerSecond })) {
    if (rate === undefined) continue;
    if (typeof rate !== 'number') throw invalidType(`${name}.${key}`, 'of type number', rate);
    if (!(rate >= 1 && rate <= Number.MAX_SAFE_INTEGER)) {
      throw outOfRange(`${name}.${key}`, '>= 1 and finite', rate);
    }
  }
  checkInteger(`${name}.burstMs`, burstMs, 1, MAX_BURST_MS);
}

class Bucket {
  readonly #perMs: number;
  readonly #capacity: number;
  #tokens: number;
  #filledMs: number;

  constructor(perSecond: number, burstMs: number, nowMs: number) {
    this.#perMs = perSecond / MS_PER_S;
    this.#capacity = Math.max(1, this.#perMs * burstMs);
    this.#tokens = this.#capacity;
    this.#filledMs = nowMs;
  }

  /** How long until something of that cost may pass; 0 if it may now. */
  waitMs(cost: number, nowMs: number): number {
    const earned = (nowMs - this.#filledMs) * this.#perMs;
    this.#tokens = Math.min(this.#capacity, this.#tokens + earned);
    this.#filledMs = nowMs;
    return Math.max(0, Math.min(cost, this.#capacity) - this.#tokens) / this.#perMs;
  }

  charge(amount: number): void {
    this.#tokens -= amount;
  }
}

export class RateLimiter {
  readonly #pass: (op: Operation) => void;
  readonly #waiting = IO_CLASSES.map(() => new WaitingList());
  #bytes: Bucket | undefined;
  #operations: Bucket | undefined;
  #timer: NodeJS.Timeout | undefined;

  /** `pass` gets the operations that had to wait, in order, as their time comes. */
  constructor(pass: (op: Operation) => void) {
    this.#pass = pass;
  }

  /** `undefined`: no limit any more; what waits passes at once. Starts with full buckets. */
  set(limit: RateLimit | undefined): void {
    const nowMs = performance.now();
    const burstMs = limit?.burstMs ?? DEFAULT_BURST_MS;
    const bucket = (perSecond: number | undefined) =>
      perSecond === undefined ? undefined : new Bucket(perSecond, burstMs, nowMs);
    this.#bytes = bucket(limit?.bytesPerSecond);
    this.#operations = bucket(limit?.operationsPerSecond);
    this.#release();
  }

  /** True if `op` may go on now; otherwise it waits here and is passed on later. */
  admit(op: Operation): boolean {
    if (this.#bytes === undefined && this.#operations === undefined) return true;
    const behind = this.#waiting.some((list, index) => index <= op.ioClass && list.length > 0);
    if (!behind && this.#waitMs(op) === 0) {
      this.#charge(op);
      return true;
    }
    this.#waiting[op.ioClass]!.push(op);
    if (this.#timer === undefined) this.#plan();
    return false;
  }

  /** Takes out the next that waits, whatever the time: for an end without mercy. */
  shift(): Operation | undefined {
    for (const list of this.#waiting) {
      const op = list.shift();
      if (op !== undefined) return op;
    }
    clearTimeout(this.#timer);
    return undefined;
  }

  #waitMs(op: Operation): number {
    const nowMs = performance.now();
    const bytesMs = this.#bytes?.waitMs(bytesOf(op), nowMs) ?? 0;
    return Math.max(bytesMs, this.#operations?.waitMs(1, nowMs) ?? 0);
  }

  #charge(op: Operation): void {
    this.#bytes?.charge(bytesOf(op));
    this.#operations?.charge(1);
  }

  /** The timer keeps the process alive: work waits for it, unless all of it was interrupted meanwhile. */
  #plan(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const next = this.#waiting.find((list) => list.length > 0)?.first;
    if (next === undefined) return;
    const waitMs = Math.min(Math.ceil(this.#waitMs(next)), LONGEST_WAIT_MS);
    this.#timer = setTimeout(() => this.#release(), waitMs);
  }

  #release(): void {
    for (const list of this.#waiting) {
      for (let op = list.first; op !== undefined; op = list.first) {
        if (this.#waitMs(op) > 0) return this.#plan();
        list.remove(op);
        this.#charge(op);
        this.#pass(op);
      }
    }
    this.#plan();
  }
}

function bytesOf(op: Operation): number {
  return op.kind === OpKind.dataSync ? 0 : op.length;
}
