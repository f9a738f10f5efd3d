// Shows that a volume keeps its promises while it is baselined, rebaselined and grown, wherever the power fails: data as it was flushed, damage found
// and never laundered but by a rebaseline of it, a crash never taken for damage, the old size or the new one, and a baseline that goes
// on from where it was durable.
//
// Writers, readers and those who flush and end epochs are at work meanwhile; the last block is mostly shorter than the others. What a block may
// hold is in life-model.ts. RINGBOLT_LIFE_CRASHES: how many. Default: as many as take some seconds.

import { expect, it } from 'vitest';
import type { Volume } from '../../dist/lib/volume/volume.js';
import { PAGE_BYTES, TAGS_PER_PAGE } from '../../dist/lib/volume/geometry.js';
import { Random } from '../support/random.js';
import { Block, ROT } from './life-model.js';
import { CRASHES, SECTOR } from './simulated-medium.js';
import { BLOCK, blockOf, SimulatedVolume, versionsOf, ZEROS } from './simulated-volume.js';

const CRASHES_ASKED = Number(process.env['RINGBOLT_LIFE_CRASHES'] ?? 300);
const CRASHES_EACH = 12;
const MOST_BLOCKS = 1200;
/** What is there before the volume is. */
const BEFORE = 1;

const seen = {
  crashes: 0,
  inRecovery: 0,
  inBaseline: 0,
  inRebaseline: 0,
  inGrowth: 0,
  grownBefore: 0,
  grownInCrash: 0,
  notGrown: 0,
  shortBlocksGrown: 0,
  baselinesResumed: 0,
  baselinesDone: 0,
  rebaselines: 0,
  rotRebaselined: 0,
  rotFound: 0,
  rotFoundAfterCrash: 0,
  rotKeptByCrash: 0,
  rotTakenForGood: 0,
  blocksOfCleanRegions: 0,
  blocksOfDirtyRegions: 0,
  readsVerified: 0,
  failedVolumes: 0,
};

const isFailed = (volume: Volume) => volume.status().state === 'failed';

class Machine {
  readonly random: Random;
  readonly volume: SimulatedVolume;
  readonly contents: 'zeros' | 'unknown';
  readonly blocks = new Map<number, Block>();
  readonly errors: string[] = [];
  process = 0;
  version = 10;
  size: number;
  growing: number | undefined;
  rebaselining = 0;
  /** Of the baseline, durable. */
  cursor = 0;

  constructor(random: Random) {
    this.random = random;
    this.contents = random.below(3) === 0 ? 'zeros' : 'unknown';
    this.size = (200 + random.below(100)) * BLOCK - random.below(8) * SECTOR;
    this.volume = new SimulatedVolume(random, this.size, {
      sidecar: random.below(2) === 0 ? 512 : 4096,
    });
    const { data, sidecar, geometry } = this.volume;
    data.limit = sidecar.limit = 2 ** 24;
    for (let block = 0; block < this.count; block++) {
      const bytes = blockOf(block, BEFORE).subarray(0, this.size - block * BLOCK);
      data.medium.overwrite(block * BLOCK, bytes);
    }
    this.watch([0, 100, 196, this.count - 8]);
    // Rule 4.
    data.onOperation = ({ kind, offset, length }) => {
      if (kind === 'write') this.checkMarked(offset / BLOCK, Math.ceil(length / BLOCK));
    };
    sidecar.onOperation = ({ kind, offset }) => {
      const page = Math.floor((offset - geometry.layout.tags.offset) / PAGE_BYTES);
      if (kind === 'write' && page >= 0) this.checkMarked(page * TAGS_PER_PAGE, 1);
    };
  }

  get count(): number {
    return Math.ceil(this.size / BLOCK);
  }

  wrong(what: string, block?: Block): void {
    this.errors.push(block === undefined ? what : `${what}: ${JSON.stringify(block)}`);
  }

  checkMarked(first: number, count: number): void {
    for (let block = first; block < first + count; block++) {
      if (!this.volume.isMarked(this.volume.regionOf(block))) this.wrong(`${block} has no bit`);
    }
  }

  sectorsOf(block: number): number {
    return Math.min(BLOCK, this.size - block * BLOCK) / SECTOR;
  }

  /** Eight blocks from each of these places on. */
  watch(places: readonly number[]): void {
    const version = this.contents === 'unknown' && this.blocks.size === 0 ? BEFORE : ZEROS;
    for (const place of places) {
      for (let block = place; block < Math.min(place + 8, this.count); block++) {
        if (this.blocks.has(block)) continue;
        this.blocks.set(block, new Block(block, this.sectorsOf(block), version));
      }
    }
  }

  any(): Block {
    const all = [...this.blocks.values()];
    return all[this.random.below(all.length)]!;
  }

  open(baseline: boolean): Promise<Volume> {
    const random = () => this.random.below(2 ** 20) / 2 ** 20;
    return this.volume.open({ generationsAhead: 64, tagPages: 3, baseline, random });
  }

  async work(volume: Volume): Promise<void> {
    const { process } = this;
    const isOver = () => this.process !== process;
    const loop = async (one: () => Promise<void>, pause: number) => {
      while (!isOver()) {
        await this.volume.world.turns.pass(1 + this.random.below(pause));
        if (isOver()) return;
        await one().catch((error: unknown) => {
          if (!isFailed(volume)) throw error;
        });
      }
    };
    const epochs = async () => {
      await volume.settle();
      this.noteCursor(volume, isOver);
    };
    await Promise.all([
      loop(() => this.write(volume, isOver), 6),
      loop(() => this.write(volume, isOver), 2),
      loop(() => this.read(volume, isOver), 3),
      loop(() => this.flush(volume, isOver), 40),
      loop(epochs, 80),
      loop(() => this.rebaseline(volume, isOver), 150),
      loop(() => this.grow(volume, isOver), 200),
    ]);
  }

  noteCursor(volume: Volume, isOver: () => boolean): void {
    if (isOver()) return;
    const { state } = volume.status().baseline;
    if (state === 'done') this.cursor = this.count;
  }

  async write(volume: Volume, isOver: () => boolean): Promise<void> {
    const block = this.any();
    const isShort = block.now.length * SECTOR < BLOCK;
    if (isShort && this.growing !== undefined) return; // it would be part of a block then
    const version = ++this.version;
    block.begun = version;
    if (block.rot !== undefined) block.rot.isExcused = true;
    const bytes = blockOf(block.number, version).subarray(0, block.now.length * SECTOR);
    await volume.write(block.number * BLOCK, bytes);
    if (!isOver()) block.written(version);
  }

  async flush(volume: Volume, isOver: () => boolean): Promise<void> {
    const blocks = [...this.blocks.values()];
    const resolved = blocks.map(({ now }) => now);
    await volume.flush();
    if (isOver()) return;
    for (const [i, block] of blocks.entries()) block.flushed(resolved[i]!);
  }

  async readBlock(volume: Volume, { number }: Block): Promise<number[] | string> {
    const into = new Uint8Array(BLOCK);
    try {
      const bytes = await volume.read(number * BLOCK, into);
      return versionsOf(number, into).slice(0, bytes / SECTOR);
    } catch (error) {
      return (error as { code: string }).code;
    }
  }

  async read(volume: Volume, isOver: () => boolean): Promise<void> {
    const block = this.any();
    const { now, rot } = block;
    const what = await this.readBlock(volume, block);
    if (isOver() || isFailed(volume)) return;
    if (typeof what !== 'string') {
      if (!block.mayRead(what, now)) this.wrong(`read as ${String(what)}`, block);
      seen.readsVerified++;
    } else if (what !== 'ERR_RINGBOLT_CORRUPT' || rot === undefined) {
      this.wrong(`read gave ${what}`, block);
    } else if (block.rot === rot && !rot.isExcused) {
      rot.isFound = rot.isCovered = true;
      seen.rotFound++;
    }
  }

  async rebaseline(volume: Volume, isOver: () => boolean): Promise<void> {
    const isAll = this.random.below(3) === 0;
    const first = isAll ? 0 : this.random.below(this.count - 1);
    const end = isAll ? this.count : first + 1 + this.random.below(this.count - first - 1);
    const within = [...this.blocks.values()].filter(
      ({ number }) => number >= first && number < end,
    );
    const rotten = within.filter(({ rot }) => rot !== undefined);
    for (const { rot } of rotten) rot!.isExcused = rot!.isTaken = true;
    this.rebaselining++;
    const length = Math.min(end * BLOCK, this.size) - first * BLOCK;
    // It may be longer by the time it begins.
    if (this.growing === undefined) {
      await volume.rebaseline({ offset: first * BLOCK, length });
      if (isOver()) return;
      for (const block of within) block.rebaselined();
      seen.rotRebaselined += rotten.length;
      seen.rebaselines++;
    }
    this.rebaselining--;
  }

  async grow(volume: Volume, isOver: () => boolean): Promise<void> {
    if (this.count > MOST_BLOCKS || isFailed(volume)) return;
    const more = 1 + this.random.below(this.random.below(2) === 0 ? 10 : 2400);
    const size = this.size + more * SECTOR;
    this.growing = size;
    await volume.grow(size).catch((error: unknown) => {
      // Rot in a last block that is short: it has to be overwritten first. Or the data could not be made longer: nothing has begun.
      const last = this.blocks.get(this.count - 1);
      const { code } = error as { code?: unknown };
      const hasRot = code === 'ERR_RINGBOLT_CORRUPT' && last?.rot !== undefined;
      if (!hasRot && (code !== 'EIO' || isFailed(volume))) throw error;
      this.growing = this.size;
    });
    if (isOver()) return;
    if (this.growing !== this.size) seen.grownBefore++;
    this.grown(this.growing);
  }

  grown(size: number): void {
    this.growing = undefined;
    if (size === this.size) return;
    const { count } = this;
    if (this.size % BLOCK !== 0) seen.shortBlocksGrown++;
    this.size = size;
    this.blocks.get(count - 1)?.grown(this.sectorsOf(count - 1));
    this.watch([count, this.count - 4]);
  }

  crash(): void {
    const kind = CRASHES[this.random.below(CRASHES.length)]!;
    this.volume.world.crash(kind);
    for (const drive of [this.volume.data, this.volume.sidecar]) {
      Object.assign(drive.faults, { flush: 0, write: 0 });
    }
    this.process++;
    seen.crashes++;
  }

  /** What a crash left. `dirty`: regions that were marked at any crash since. */
  async examine(volume: Volume, dirty: ReadonlySet<number>): Promise<void> {
    if (this.growing !== undefined) {
      if (![this.size, this.growing].includes(volume.size)) this.wrong(`it has ${volume.size}`);
      seen[volume.size === this.growing ? 'grownInCrash' : 'notGrown']++;
      this.grown(volume.size);
    } else if (volume.size !== this.size) this.wrong(`it has ${volume.size}, not ${this.size}`);
    const { state, truncated, baseline } = volume.status();
    if (state !== 'open' || truncated) this.wrong(`it is ${state}, truncated: ${truncated}`);
    if (baseline.blocksDone < this.cursor) this.wrong(`the baseline is at ${baseline.blocksDone}`);
    for (const block of this.blocks.values()) {
      const isDirty = dirty.has(this.volume.regionOf(block.number));
      const { rot } = block;
      const what = await this.readBlock(volume, block);
      if (typeof what === 'string') {
        if (what !== 'ERR_RINGBOLT_CORRUPT' || rot === undefined) {
          this.wrong(`left as ${what}`, block);
        } else {
          seen[rot.isFound ? 'rotKeptByCrash' : 'rotFoundAfterCrash']++;
          rot.isFound = rot.isCovered = true;
          rot.isExcused = rot.isTaken = false;
        }
        continue;
      }
      if (!block.mayBeLeft(what, isDirty)) this.wrong(`left as ${String(what)}`, block);
      if (rot !== undefined && what.includes(rot.version)) seen.rotTakenForGood++;
      seen[isDirty ? 'blocksOfDirtyRegions' : 'blocksOfCleanRegions']++;
      block.settle(what);
    }
  }

  /** Rot, while nothing is dirty and the baseline rests. */
  plant(volume: Volume): void {
    this.cursor = volume.status().baseline.blocksDone;
    for (let i = this.random.below(5); i > 0; i--) {
      const block = this.any();
      if (block.rot !== undefined) continue;
      const isCovered = this.contents === 'zeros' || block.isWritten || block.number < this.cursor;
      const sector = this.random.below(block.now.length);
      const version = ROT + this.random.below(1000);
      const { begun } = block;
      const fresh = { isFound: false, isExcused: false, isTaken: false };
      this.volume.damage(block.number, sector, version);
      block.rot = { sector, version, begun, isCovered, ...fresh };
    }
  }
}

async function round(random: Random, name: string): Promise<void> {
  const machine = new Machine(random.fork());
  const { world } = machine.volume;
  const check = () => {
    expect(machine.errors, `${name}, ${random.seed}`).toEqual([]);
  };
  await machine.volume.create(machine.contents);
  machine.errors.length = 0; // nothing was there yet
  const dirtyNow = () => [...Array(8).keys()].filter((region) => machine.volume.isMarked(region));
  let dirty = new Set<number>();
  for (let crash = 0; crash < CRASHES_EACH; crash++) {
    while (random.below(4) === 0) {
      void machine.open(true).catch((error: unknown) => {
        machine.wrong(String((error as Error).stack));
      });
      await world.turns.pass(random.below(150));
      machine.crash();
      seen.inRecovery++;
      dirty = new Set([...dirty, ...dirtyNow()]);
    }
    const volume = await machine.open(false);
    await machine.examine(volume, dirty);
    check();
    await volume.settle();
    machine.plant(volume);
    if (random.below(6) > 0) {
      if (machine.cursor > 0 && machine.cursor < machine.count) seen.baselinesResumed++;
      void volume.baseline().then(
        () => seen.baselinesDone++,
        (error: unknown) => {
          if (!isFailed(volume)) machine.wrong(String((error as Error).stack));
        },
      );
    }
    if (random.below(8) === 0) machine.volume.data.faults.flush = 0.05;
    if (random.below(8) === 0) machine.volume.sidecar.faults.flush = 0.02;
    if (random.below(8) === 0) machine.volume.sidecar.faults.write = 0.01;
    void machine.work(volume).catch((error: unknown) => {
      machine.wrong(String((error as Error).stack));
    });
    await world.turns.pass(10 + random.below(random.below(3) === 0 ? 600 : 200));
    if (isFailed(volume)) seen.failedVolumes++;
    if (volume.status().baseline.state === 'running') seen.inBaseline++;
    if (machine.rebaselining > 0) seen.inRebaseline++;
    if (machine.growing !== undefined) seen.inGrowth++;
    machine.crash();
    machine.rebaselining = 0;
    dirty = new Set(dirtyNow());
    check();
  }
}

it(`baseline, rebaseline and growth survive ${CRASHES_ASKED} crashes`, async () => {
  const seeds = new Random();
  for (let i = 0; i < Math.ceil(CRASHES_ASKED / CRASHES_EACH); i++) {
    await round(seeds.fork(), `round ${i}`);
  }
  console.log(`seed ${seeds.seed}: ${JSON.stringify(seen)}`);
  if (CRASHES_ASKED < 300) return;
  for (const [what, count] of Object.entries(seen)) expect(count, what).toBeGreaterThan(2);
}, 36_000_000);
