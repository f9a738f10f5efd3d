// A target in memory that tests see into: what is in flight, in which order it ends, and what goes wrong.

import { RingboltError, type Engine, type Lease } from 'ringbolt';
import type { StreamSource } from '../../../dist/lib/device/streams/source.js';
import { TurnBudget } from '../../../dist/lib/schedule/turn-budget.js';

type Memory = Lease | Uint8Array;

function bytesOf(memory: Memory): Uint8Array {
  return memory instanceof Uint8Array ? memory : memory.buffer;
}

export function ioError(code: string, details: object): RingboltError {
  return new RingboltError(code, `${code}: made up`, { path: 'fake', ...details });
}

export class FakeTarget {
  readonly path = 'fake';
  readonly blockSize: number;
  data: Buffer;
  /** What it says of its size, if that is not the truth. */
  statedSize: number | undefined;
  /** Bytes of leases in flight, now and most at once; operations likewise. */
  bytesInFlight = 0;
  bytesInFlightMax = 0;
  inFlight = 0;
  inFlightMax = 0;
  flushes = 0;
  readonly reads: number[] = [];
  readonly writes: { offset: number; bytes: number }[] = [];
  /** An error instead of a read or a write. */
  failRead: (offset: number) => Error | undefined = () => undefined;
  failWrite: (offset: number) => Error | undefined = () => undefined;
  failFlush: Error | undefined;
  /** How many turns of the event loop an operation takes. */
  turns: () => number = () => 1;
  #held: (() => void)[] | undefined;

  constructor(data: Buffer, blockSize = 1) {
    this.data = data;
    this.blockSize = blockSize;
  }

  get size(): number {
    return this.statedSize ?? this.data.length;
  }

  /** What streams are given. */
  source(engine: Engine): StreamSource {
    return { target: this, pool: engine.pool, budget: new TurnBudget() };
  }

  /** From now on operations end only when `letGo` is called. */
  hold(): void {
    this.#held ??= [];
  }

  letGo(): void {
    const held = this.#held;
    this.#held = undefined;
    for (const resolve of held ?? []) resolve();
  }

  async read(offset: number, into: Memory): Promise<number> {
    this.#check(offset, into);
    this.reads.push(offset);
    const error = this.failRead(offset);
    if (error !== undefined && error instanceof RingboltError && refuses(error)) throw error;
    await this.#run(into);
    if (error !== undefined) throw error;
    return this.data.copy(bytesOf(into), 0, Math.min(offset, this.data.length));
  }

  async write(offset: number, from: Memory): Promise<number> {
    this.#check(offset, from);
    const { length } = bytesOf(from);
    const error = this.failWrite(offset);
    if (error !== undefined && error instanceof RingboltError && refuses(error)) throw error;
    this.writes.push({ offset, bytes: length });
    await this.#run(from);
    if (error !== undefined) throw error;
    const grown = Buffer.alloc(Math.max(this.data.length, offset + length));
    this.data.copy(grown);
    grown.set(bytesOf(from), offset);
    this.data = grown;
    return length;
  }

  async flush(): Promise<void> {
    this.flushes++;
    await Promise.resolve();
    if (this.failFlush !== undefined) throw this.failFlush;
  }

  #check(offset: number, memory: Memory): void {
    const { length } = bytesOf(memory);
    if (length === 0 || offset % this.blockSize !== 0 || length % this.blockSize !== 0) {
      throw new Error(`misaligned: ${length} bytes at ${offset}`);
    }
  }

  async #run(memory: Memory): Promise<void> {
    const { length } = bytesOf(memory);
    this.bytesInFlight += length;
    this.inFlight++;
    this.bytesInFlightMax = Math.max(this.bytesInFlightMax, this.bytesInFlight);
    this.inFlightMax = Math.max(this.inFlightMax, this.inFlight);
    for (let turns = this.turns(); turns > 0; turns--) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    const held = this.#held;
    if (held !== undefined) await new Promise<void>((resolve) => held.push(resolve));
    this.bytesInFlight -= length;
    this.inFlight--;
  }
}

/** Comes at once, before anything has happened. */
function refuses({ code }: RingboltError): boolean {
  return code === 'ERR_RINGBOLT_OVERLOADED' || code === 'ERR_RINGBOLT_POOL_EXHAUSTED';
}

export const KIB = 1024;
export const MIB = KIB * KIB;

/** Turns the event loop until `check` is true, which it must become. */
export async function until(check: () => boolean): Promise<void> {
  for (let turns = 0; !check(); turns++) {
    if (turns > 100_000) throw new Error('it never came true');
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** Turns the event loop often enough for whatever would happen by itself. */
export async function settle(): Promise<void> {
  for (let turns = 0; turns < 50; turns++) await new Promise((resolve) => setImmediate(resolve));
}
