// What a pool does for those who look for an error in their program, at a price: it remembers who leased what and where, detaches
// memory on release, so that a view that was kept shows nothing instead of the next holder's data, and fills it with a pattern
// that must still be there when the slab is leased again.

import path from 'node:path';
import { performance } from 'node:perf_hooks';
import { memoryOf } from './intrinsics.js';
import type { LeasedSlab } from './lease.js';
import { LAYOUT, type NativeEngine } from '../native.js';

/** A lease that is out. */
export interface LeaseHolder {
  /** As asked for. */
  readonly bytes: number;
  /** Since when. */
  readonly heldMs: number;
  /** Whether an operation has it. */
  readonly inFlight: boolean;
  /** The calls that led to it, innermost first, as in an error's stack. */
  readonly where: string;
}

interface Holder {
  readonly bytes: number;
  readonly sinceMs: number;
  readonly stack: { readonly stack?: unknown };
}

/** Neither text nor zeros, and odd as an address or a length. */
const POISON = 0xdb;
const PATTERN = Buffer.alloc(LAYOUT.slabUnitBytes, POISON);
const OWN_FILES = path.join(__dirname, '..') + path.sep;
/** Frames of a stack that are kept: those of the pool itself, and some of the caller's. */
const FRAMES = 16;

export class PoolDebug {
  readonly #native: NativeEngine;
  readonly #holders = new Map<number, Holder>();
  /** By unit, of free memory that is poisoned: who leased it last. */
  readonly #poisoned = new Map<number, string>();
  readonly #page = new Uint8Array(PATTERN.length);
  /** Trims under way. */
  #trims = 0;

  constructor(native: NativeEngine) {
    this.#native = native;
  }

  /** A slab of so many bytes is leased. What of it was poisoned is checked. */
  acquired(unit: number, bytes: number, slabBytes: number): void {
    this.#checkPoison(unit, slabBytes);
    this.#holders.set(unit, { bytes, sinceMs: performance.now(), stack: callers() });
  }

  /** It comes back: its memory is poisoned, whoever else may still see it, and detached. */
  released({ unit, slabBuffer }: LeasedSlab, slabBytes: number): void {
    const last = this.where(unit);
    this.forgotten(unit);
    // By unit: the next who leases it may have a smaller slab, or a larger one.
    for (let at = 0; at < slabBytes; at += PATTERN.length) {
      this.#native.fillSlab(unit, at, PATTERN);
      if (this.#trims === 0) this.#poisoned.set(unit + at / PATTERN.length, last);
    }
    this.#native.detachBuffer(memoryOf(slabBuffer));
  }

  forgotten(unit: number): void {
    this.#holders.delete(unit);
  }

  /** From here on until {@link trimEnded}, the contents of free slabs may be given up. */
  trimBegins(): void {
    this.#trims++;
    this.#poisoned.clear();
  }

  trimEnded(): void {
    this.#trims--;
  }

  /** Where a slab was leased. */
  where(unit: number): string {
    const stack = textOf(this.#holders.get(unit)?.stack);
    // The first line has no message; those of the package's own files say nothing to its user.
    const frames = stack.split('\n').slice(1);
    const foreign = frames.findIndex((frame) => !frame.includes(OWN_FILES));
    return frames.slice(Math.max(foreign, 0)).join('\n');
  }

  /** Longest held first. */
  holders(isInFlight: (unit: number) => boolean): readonly LeaseHolder[] {
    const nowMs = performance.now();
    return [...this.#holders].map(([unit, { bytes, sinceMs }]) => ({
      bytes,
      heldMs: nowMs - sinceMs,
      inFlight: isInFlight(unit),
      where: this.where(unit),
    }));
  }

  #checkPoison(unit: number, slabBytes: number): void {
    let last: string | undefined;
    for (let at = 0; at < slabBytes; at += PATTERN.length) {
      const before = this.#poisoned.get(unit + at / PATTERN.length);
      if (before === undefined) continue;
      this.#poisoned.delete(unit + at / PATTERN.length);
      this.#native.readSlab(unit, at, this.#page);
      if (Buffer.compare(this.#page, PATTERN) !== 0) last = before;
    }
    if (last !== undefined) warnWritten(last);
  }
}

/** Where this was called. Nothing that the program has made of Error keeps a lease from coming or going. */
function callers(): { readonly stack?: unknown } {
  const stack: { stack?: unknown } = {};
  try {
    const limit = Error.stackTraceLimit;
    const changed = Reflect.set(Error, 'stackTraceLimit', FRAMES); // false if it is frozen
    Error.captureStackTrace(stack);
    if (changed) Error.stackTraceLimit = limit;
  } catch {
    // without
  }
  return stack;
}

/** It is made into text when it is first read, by the program's own Error.prepareStackTrace if it has one. */
function textOf(holder: { readonly stack?: unknown } | undefined): string {
  try {
    const stack = holder?.stack;
    return typeof stack === 'string' ? stack : '';
  } catch {
    return '';
  }
}

function warnWritten(last: string): void {
  process.emitWarning('A slab was written to after its release.', {
    type: 'RingboltWarning',
    code: 'RINGBOLT_WRITTEN_AFTER_RELEASE',
    detail: `It was leased last\n${last}`,
  });
}
