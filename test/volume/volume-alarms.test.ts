// Shows that a volume on a real file never calls good data damaged, whatever its users do at the same time: a hundred of them write, read, cancel,
// discard and write zeros in the same blocks, change their buffers as soon as they may, and sometimes earlier, while it grows. Every read is compared with what may be
// there: the last write that had resolved when it began, or any later one.
//
// RINGBOLT_VOLUME_ALARM_SECONDS: how long. Default 20.

import path from 'node:path';
import { setTimeout as passed } from 'node:timers/promises';
import { Volume, type Engine, type Lease } from 'ringbolt';
import { expect, it } from 'vitest';
import { startEngine } from '../support/engine.js';
import { Random } from '../support/random.js';
import { tempFolder } from '../support/temp-folder.js';
import { BLOCK, blocksOf, versionsOf, ZEROS } from './simulated-volume.js';

const SECONDS = Number(process.env['RINGBOLT_VOLUME_ALARM_SECONDS'] ?? 20);
const BLOCKS = 5000;
/** It begins with so many, and grows in steps. */
const FIRST_BLOCKS = 1000;
const STEPS = 40;
/** Half of all happens in so many of them. */
const BUSY = 200;
const USERS = 100;
const MOST = 8;
/** A discarded block may hold anything. */
const ANYTHING = -2;

interface Write {
  readonly order: number;
  version: number;
  /** The beginning of it was changed: before it was looked at, or the write was rejected. */
  isScribbled: boolean;
  /** One that was rejected, or is under way, may have left the block torn. */
  hasResolved: boolean;
}

/** What may be in a block. */
class Block {
  /** The last write that resolved, and all that were begun later, or nearly so. */
  writes: Write[] = [{ order: 0, version: ZEROS, isScribbled: false, hasResolved: true }];
  floor = 0;

  begin(order: number, version: number): void {
    this.writes.push({ order, version, isScribbled: false, hasResolved: false });
  }

  end(order: number): void {
    this.floor = Math.max(this.floor, order);
    for (const write of this.writes) if (write.order === order) write.hasResolved = true;
    // Reads under way began at an older floor.
    if (this.writes.length > 400) this.writes = this.writes.slice(-300);
  }

  mayBeTorn(floor: number): boolean {
    return this.writes.some(({ order, hasResolved }) => order >= floor && !hasResolved);
  }

  allows(versions: readonly number[], floor: number): boolean {
    const last = versions.at(-1)!;
    const isWhole = versions.every((version, i) => version === last || (i === 0 && version < 0));
    return this.writes.some(({ order, version, isScribbled }) => {
      if (order < floor) return false;
      if (version === ANYTHING) return true;
      return isWhole && version === last && (isScribbled || versions[0] === last);
    });
  }
}

const seen = {
  writes: 0,
  reads: 0,
  rejected: 0,
  torn: 0,
  discards: 0,
  zeroes: 0,
  scribbled: 0,
  leases: 0,
  growths: 0,
};

class Load {
  readonly #volume: Volume;
  readonly #engine: Engine;
  readonly #random: Random;
  readonly #blocks = Array.from({ length: BLOCKS }, () => new Block());
  readonly wrong: string[] = [];
  #order = 0;

  constructor(volume: Volume, engine: Engine, random: Random) {
    this.#volume = volume;
    this.#engine = engine;
    this.#random = random;
  }

  async user(until: number): Promise<void> {
    while (performance.now() < until && this.wrong.length === 0) {
      const what = this.#random.below(20);
      const count = 1 + this.#random.below(MOST);
      const most = this.#random.below(2) === 0 ? BUSY : this.#volume.size / BLOCK;
      const first = this.#random.below(most - count + 1);
      if (what < 8) await this.#read(first, count);
      else if (what === 8) await this.#discard(first, count);
      else if (what === 9) await this.#writeZeroes(first, count);
      else if (what === 10) await this.#volume.flush();
      else if (what < 15) await this.#writeLease(first, count);
      else await this.#writeBytes(first, count);
    }
  }

  async grow(until: number): Promise<void> {
    const stepMs = (until - performance.now()) / STEPS;
    const stepBlocks = (BLOCKS - FIRST_BLOCKS) / STEPS;
    while (this.#volume.size < BLOCKS * BLOCK && this.wrong.length === 0) {
      await passed(stepMs * this.#random.below(2)); // on the average half of the time
      await this.#volume.grow(this.#volume.size + stepBlocks * BLOCK);
      seen.growths++;
    }
  }

  /** Runs what puts a version into blocks. */
  async #change(
    first: number,
    count: number,
    version: number,
    run: (order: number) => Promise<unknown>,
  ): Promise<void> {
    const order = ++this.#order;
    const blocks = this.#blocks.slice(first, first + count);
    for (const block of blocks) block.begin(order, version);
    try {
      await run(order);
      // What was torn stays so when it is discarded.
      if (version !== ANYTHING) for (const block of blocks) block.end(order);
    } catch (error) {
      const { code } = error as { code?: string };
      const expected = ['ABORT_ERR', 'ERR_RINGBOLT_TIMEOUT', 'ERR_RINGBOLT_CORRUPT'];
      if (!expected.includes(code ?? '')) this.wrong.push(`a write rejected with ${String(error)}`);
      seen.rejected++;
    }
  }

  #impatience(): { signal?: AbortSignal; timeoutMs?: number } {
    const how = this.#random.below(10);
    if (how === 0) return { timeoutMs: 1 };
    if (how > 1) return {};
    const controller = new AbortController();
    setImmediate(() => {
      controller.abort();
    });
    return { signal: controller.signal };
  }

  async #writeBytes(first: number, count: number): Promise<void> {
    const version = ++this.#order;
    const bytes = blocksOf(first, count, version);
    await this.#change(first, count, version, () =>
      this.#volume.write(first * BLOCK, bytes, this.#impatience()),
    );
    bytes.fill(this.#random.below(256));
    seen.writes++;
  }

  async #writeLease(first: number, count: number): Promise<void> {
    const lease = await this.#engine.pool.acquireWhenFree(count * BLOCK);
    const version = ++this.#order;
    lease.buffer.set(blocksOf(first, count, version));
    const stable = this.#random.below(2) === 0 ? 'copy' : 'check';
    await this.#change(first, count, version, async () => {
      const written = this.#volume.write(first * BLOCK, lease, { stable, ...this.#impatience() });
      const isOver = { value: false };
      if (this.#random.below(6) === 0) this.#scribble(lease, stable, first, isOver);
      await written.finally(() => (isOver.value = true));
    });
    lease.buffer.fill(this.#random.below(256));
    lease.release();
    seen.leases++;
  }

  /** While it is written, or waits for that: what is read of it later has a checksum all the same, or the write is rejected. */
  #scribble(
    { buffer }: Lease,
    stable: 'copy' | 'check',
    first: number,
    isOver: { readonly value: boolean },
  ): void {
    if (stable === 'copy') buffer.fill(this.#random.below(256));
    else
      setImmediate(() => {
        if (!isOver.value) buffer.fill(255, 0, 9); // or it is somebody else's
      });
    if (stable === 'check') this.#blocks[first]!.writes.at(-1)!.isScribbled = true;
    // A write that has to wait copies when its turn has come: it is what was there then.
    else for (let i = 0; i < buffer.length / BLOCK; i++) this.#mayBeAnything(first + i);
    seen.scribbled++;
  }

  #mayBeAnything(block: number): void {
    this.#blocks[block]!.writes.at(-1)!.version = ANYTHING;
  }

  async #discard(first: number, count: number): Promise<void> {
    await this.#change(first, count, ANYTHING, () =>
      this.#volume.discard(first * BLOCK, count * BLOCK),
    );
    seen.discards++;
  }

  async #writeZeroes(first: number, count: number): Promise<void> {
    await this.#change(first, count, ZEROS, () =>
      this.#volume.writeZeroes(first * BLOCK, count * BLOCK),
    );
    seen.zeroes++;
  }

  async #read(first: number, count: number): Promise<void> {
    const floors = this.#blocks.slice(first, first + count).map(({ floor }) => floor);
    const into = new Uint8Array(count * BLOCK);
    try {
      await this.#volume.read(first * BLOCK, into);
    } catch (error) {
      this.#checkRefusal(error, first, floors);
      return;
    }
    seen.reads++;
    for (const [i, floor] of floors.entries()) {
      const versions = versionsOf(first + i, into.subarray(i * BLOCK, (i + 1) * BLOCK));
      if (!this.#blocks[first + i]!.allows(versions, floor))
        this.wrong.push(`block ${first + i} has ${String(versions)}, from ${floor} on`);
    }
  }

  #checkRefusal(error: unknown, first: number, floors: readonly number[]): void {
    const { code, blocks = [] } = error as { code?: string; blocks?: readonly number[] };
    const isTorn = blocks.every((block) => this.#blocks[block]!.mayBeTorn(floors[block - first]!));
    if (code === 'ERR_RINGBOLT_TORN' && isTorn) seen.torn++;
    else this.wrong.push(`refused: ${String(error)}`);
  }
}

it(
  `${USERS} users for ${SECONDS} seconds, and no false alarm`,
  { timeout: 36_000_000 },
  async () => {
    const random = new Random();
    const engine = await startEngine();
    const name = path.join(tempFolder(), 'data');
    const made = await Volume.create(engine, name, { size: FIRST_BLOCKS * BLOCK });
    await made.close();
    const options = { epochMs: 10, tagCacheBytes: 65536 };
    const volume = await Volume.open(engine, name, options);
    const load = new Load(volume, engine, random);
    const until = performance.now() + SECONDS * 1000;
    const users = Array.from({ length: USERS }, () => load.user(until));
    await Promise.all([load.grow(until), ...users]);
    expect(load.wrong, `seed ${random.seed}`).toEqual([]);
    expect([volume.status().state, volume.stats().blocksDamaged]).toEqual(['open', 0]);
    console.log(`seed ${random.seed}: ${JSON.stringify(seen)}, epoch ${volume.status().epoch}`);
    await volume.close();
    for (const [what, count] of Object.entries(seen)) {
      if (what !== 'torn') expect(count, what).toBeGreaterThan(0);
    }
  },
);
