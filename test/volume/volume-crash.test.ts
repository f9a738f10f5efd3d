// Shows the three promises of a volume, wherever the power fails, also while it is being recovered: an acknowledged flush survives; damaged data is
// never returned as good, but for what happened inside a dirty region before a crash; a crash never looks like damage.
//
// Writers, readers, one who flushes and one who ends epochs work on a volume of three regions with two tag pages in memory, until the
// power fails; then it is recovered, every block they know is looked at, and they go on. Each sector says of which write it is, so
// what is there can be compared with what may be there:
//
//   clean region     exactly the last write that resolved
//   dirty region     of each sector, what the last flush covers, or anything written since
//   damaged          refused, once that was found out; never anything but a later write
//
// RINGBOLT_VOLUME_CRASHES: how many. Default: as many as take some seconds.

import { expect, it } from 'vitest';
import type { Volume } from '../../dist/lib/volume/volume.js';
import { TagPage } from '../../dist/lib/volume/format/tag-page.js';
import { sectorSeed } from '../../dist/lib/volume/format/sectors.js';
import { SectorCondition } from '../../dist/lib/volume/format/sectors.js';
import { PAGE_BYTES, TAGS_PER_PAGE } from '../../dist/lib/volume/geometry.js';
import { Random } from '../support/random.js';
import { CRASHES } from './simulated-medium.js';
import { BLOCK, blocksOf, SimulatedVolume, versionsOf, ZEROS } from './simulated-volume.js';

const CRASHES_ASKED = Number(process.env['RINGBOLT_VOLUME_CRASHES'] ?? 300);
const CRASHES_EACH = 25;
const COUNT = 2 * TAGS_PER_PAGE + 40;
/** Of rot. */
const DAMAGE = 2 ** 31;

/** Where all that happens: few blocks, so that much happens to each, in all regions and across their borders. */
const PLACES = [0, 28, 100, 244, 400, 492, COUNT - 8];
const BLOCKS_AT_PLACE = 8;

/** Rot that was taken for good after a crash is older than all writes. */
const ageOf = (version: number) => (version >= DAMAGE ? ZEROS : version);

class Block {
  readonly number: number;
  /** Of each sector: no crash leaves an older one. */
  floor: readonly number[] = new Array<number>(8).fill(ZEROS);
  /** Of each sector, by the last write that resolved. */
  now = this.floor;
  /** Of the last write that was begun. */
  begun = ZEROS;
  /** Rot that may come to light: nobody has found it yet. */
  planted: number | undefined;
  /** The same, overwritten by this version: a crash may bring it back. */
  lurking: { readonly rot: number; readonly version: number } | undefined;
  /** Rot, or a torn block, that was found: refused until it is overwritten. */
  found: 'ERR_RINGBOLT_CORRUPT' | 'ERR_RINGBOLT_TORN' | undefined;
  /** A write of that was rejected, and did it all the same: it may be good now, or refused after a crash. */
  mayBeGood = false;
  /** A write was rejected since the last one that resolved, and what it left was not seen. */
  uncertain = false;

  constructor(number: number) {
    this.number = number;
  }
}

type Seen = Pick<Block, 'now' | 'begun' | 'planted' | 'found' | 'uncertain'>;

const seen = {
  crashes: 0,
  crashesInRecovery: 0,
  blocksOfCleanRegions: 0,
  blocksOfDirtyRegions: 0,
  olderThanLast: 0,
  newerThanLast: 0,
  mixed: 0,
  flushesKept: 0,
  recalculated: 0,
  plantedFound: 0,
  plantedInDirty: 0,
  foundKept: 0,
  foundOverwritten: 0,
  torn: 0,
  tornKept: 0,
  failedVolumes: 0,
  readsVerified: 0,
  epochs: 0,
};

class Machine {
  readonly random: Random;
  readonly volume: SimulatedVolume;
  readonly blocks = new Map<number, Block>();
  readonly generations = new Map<string, bigint>();
  /** The process that runs; another after each crash. */
  process = 0;
  /** First of all generations that were reserved. */
  version = 0;

  constructor(random: Random) {
    this.random = random;
    const units = { sidecar: random.below(2) === 0 ? 512 : 4096 };
    this.volume = new SimulatedVolume(random, COUNT * BLOCK, units);
    for (const place of PLACES) {
      for (let i = 0; i < BLOCKS_AT_PLACE; i++) this.blocks.set(place + i, new Block(place + i));
    }
    this.volume.data.onOperation = ({ kind, offset, length }) => {
      // Rule 4.
      if (kind === 'write') this.checkMarked(offset / BLOCK, length / BLOCK);
    };
    this.volume.sidecar.onOperation = ({ kind, offset }) => {
      const page = Math.floor((offset - this.volume.geometry.layout.tags.offset) / PAGE_BYTES);
      if (kind === 'write' && page >= 0) this.checkMarked(page * TAGS_PER_PAGE, 1);
    };
  }

  checkMarked(first: number, count: number): void {
    for (let block = first; block < first + count; block++) {
      if (!this.volume.isMarked(this.volume.regionOf(block)))
        this.wrong(`block ${block} is written without a bit`);
    }
  }

  /** Also from where nobody waits for a promise any more. */
  errors: string[] = [];

  wrong(what: string): void {
    this.errors.push(what);
  }

  check(): void {
    expect(this.errors).toEqual([]);
  }

  open(): Promise<Volume> {
    return this.volume.open({ generationsAhead: 64, maxDirtyBytes: 2 ** 30 });
  }

  /** Of blocks in a row, somewhere. */
  extent(): Block[] {
    const place = PLACES[this.random.below(PLACES.length)]!;
    const from = this.random.below(BLOCKS_AT_PLACE);
    const count = 1 + this.random.below(Math.min(4, BLOCKS_AT_PLACE - from));
    return Array.from({ length: count }, (_, i) => this.blocks.get(place + from + i)!);
  }

  async work(volume: Volume): Promise<void> {
    const { process } = this;
    const isOver = () => this.process !== process;
    const loop = async (one: () => Promise<void>, pause: number) => {
      while (!isOver()) {
        await one();
        if (pause > 0) await this.volume.world.turns.pass(1 + this.random.below(pause));
      }
    };
    await Promise.all([
      ...[0, 0, 6].map((pause) => loop(() => this.write(volume, isOver), pause)),
      ...[2, 6].map((pause) => loop(() => this.read(volume, isOver), pause)),
      loop(() => this.flush(volume, isOver), 40),
      loop(() => this.endEpoch(volume), 60),
    ]);
  }

  async write(volume: Volume, isOver: () => boolean): Promise<void> {
    const blocks = this.extent();
    const first = blocks[0]!.number;
    const version = ++this.version;
    for (const block of blocks) block.begun = version;
    const durable = this.random.below(8) === 0;
    const data = blocksOf(first, blocks.length, version);
    let error: unknown;
    try {
      await volume.write(first * BLOCK, data, { durable, ...this.impatience() });
    } catch (thrown) {
      error = thrown;
    }
    if (isOver()) return;
    if (error === undefined) {
      for (const block of blocks) this.written(block, version, durable);
      return;
    }
    if (volume.status().state === 'failed') {
      await this.volume.world.turns.pass(20);
      return;
    }
    for (const block of blocks) block.uncertain = true;
    await this.read(volume, isOver, blocks);
  }

  /** Some writes are given up, some of these when they are half done. */
  impatience(): { signal?: AbortSignal } {
    if (this.random.below(8) > 0) return {};
    const controller = new AbortController();
    this.volume.world.turns.after(1 + this.random.below(12), () => {
      controller.abort();
    });
    return { signal: controller.signal };
  }

  /** Of writes of one block the later one resolves later, as the range lock has it. */
  written(block: Block, version: number, durable: boolean): void {
    if (ageOf(block.now[0]!) > version) return;
    const versions = new Array<number>(8).fill(version);
    block.now = versions;
    block.uncertain = false;
    if (block.planted !== undefined && !durable) block.lurking = { rot: block.planted, version };
    if (durable) block.lurking = undefined;
    block.planted = undefined;
    block.mayBeGood = false;
    // Rule 10: what was known to be damaged is written through.
    if (durable || block.found !== undefined) block.floor = versions;
    if (block.found !== undefined) seen.foundOverwritten++;
    block.found = undefined;
  }

  async flush(volume: Volume, isOver: () => boolean): Promise<void> {
    const resolved = [...this.blocks.values()].map(({ now }) => now);
    const isFlushed = await volume.flush().then(
      () => true,
      () => false,
    );
    if (!isFlushed || isOver()) return;
    for (const [i, block] of [...this.blocks.values()].entries()) {
      if (block.lurking !== undefined && resolved[i]![0]! >= block.lurking.version)
        block.lurking = undefined;
      // A durable write may have come since.
      block.floor = block.floor.map((version, sector) => {
        const flushed = resolved[i]![sector]!;
        return ageOf(flushed) >= ageOf(version) ? flushed : version;
      });
    }
  }

  async endEpoch(volume: Volume): Promise<void> {
    const { epoch } = volume.status();
    if (this.random.below(2) === 0) this.volume.onTimer?.();
    else await volume.settle().catch(() => undefined);
    if (volume.status().epoch > epoch) seen.epochs++;
  }

  /** Verified data is of a write, whole; and of none that was overwritten before. */
  async read(volume: Volume, isOver: () => boolean, blocks = this.extent()): Promise<void> {
    for (const block of blocks) {
      const { now, begun, planted, found, uncertain } = block;
      const before = { now, begun, planted, found, uncertain };
      const into = new Uint8Array(BLOCK);
      let code: string | undefined;
      try {
        await volume.read(block.number * BLOCK, into);
      } catch (error) {
        code = (error as { code: string }).code;
      }
      if (isOver()) return;
      if (volume.status().state === 'failed') continue;
      if (code === undefined) this.checkRead(block, before, versionsOf(block.number, into));
      else this.checkRefused(block, before, code);
    }
  }

  checkRead(block: Block, before: Seen, versions: number[]): void {
    const isNow = (now: readonly number[]) => now.every((version, i) => version === versions[i]);
    const isWhole = versions.every((version) => version === versions[0]);
    const isLater = isWhole && versions[0]! > ageOf(before.now[0]!) && versions[0]! <= block.begun;
    if (!isNow(before.now) && !isNow(block.now) && !isLater)
      this.wrong(`block ${block.number} was read as ${String(versions)}: ${JSON.stringify(block)}`);
    // Something was written since, or the read would have been refused.
    if (before.found !== undefined && !isLater && !isNow(block.now))
      this.wrong(`block ${block.number} was damaged, and is not any more`);
    if (before.uncertain && block.begun === before.begun) {
      block.uncertain = false;
      block.now = versions;
      block.mayBeGood = block.found !== undefined;
      const { planted, begun } = block;
      if (planted !== undefined) block.lurking = { rot: planted, version: begun };
      block.planted = undefined;
    }
    seen.readsVerified++;
  }

  checkRefused(block: Block, before: Seen, code: string): void {
    if (code === 'ERR_RINGBOLT_TORN') {
      if (!block.uncertain && !before.uncertain && before.found !== code)
        this.wrong(`block ${block.number} is torn`);
      if (block.begun === before.begun && block.uncertain && block.found === undefined) {
        block.found = code;
        seen.torn++;
      }
    } else if (code === 'ERR_RINGBOLT_CORRUPT') {
      if (before.planted === undefined && before.found === undefined)
        this.wrong(`block ${block.number} is called damaged: ${JSON.stringify(block)}`);
      // Unless somebody overwrites it right now.
      if (block.planted !== undefined && block.begun === before.begun) {
        block.found = 'ERR_RINGBOLT_CORRUPT';
        block.planted = undefined;
        seen.plantedFound++;
      }
    } else this.wrong(`block ${block.number}: ${code}`);
  }

  crash(): void {
    this.volume.world.crash(CRASHES[this.random.below(CRASHES.length)]);
    this.process++;
    seen.crashes++;
    for (const faults of [this.volume.data.faults, this.volume.sidecar.faults]) {
      Object.assign(faults, { write: 0, flush: 0, interrupt: 0 });
    }
    this.checkGenerations();
  }

  /** A generation belongs to one write of a block: never to another checksum. */
  checkGenerations(): void {
    const { geometry, sidecar } = this.volume;
    const uuid = sidecar.medium.visible(48, 16);
    for (let number = 0; number < geometry.pageCount; number++) {
      const bytes = sidecar.medium.visible(geometry.offsetOfPage(number), PAGE_BYTES).slice();
      const page = new TagPage(number, bytes, sectorSeed(uuid));
      for (let tag = 0; tag < geometry.tagsOfPage(number); tag++) {
        if (page.conditionOfTag(tag) !== SectorCondition.written || page.isNeverWritten(tag))
          continue;
        const name = `${page.generation(tag)} of block ${number * TAGS_PER_PAGE + tag}`;
        const before = this.generations.get(name);
        if (before !== undefined && before !== page.checksum(tag))
          this.wrong(`generation ${name} was used twice`);
        this.generations.set(name, page.checksum(tag));
      }
    }
  }

  /** After the crash: regions that may be anything. */
  dirty(): Set<number> {
    return new Set([0, 1, 2].filter((region) => this.volume.isMarked(region)));
  }

  /** What a crash left. `dirty`: regions that were marked at any crash since. */
  async examine(volume: Volume, dirty: ReadonlySet<number>): Promise<void> {
    for (const block of this.blocks.values()) {
      const into = new Uint8Array(BLOCK);
      let code: string | undefined;
      try {
        await volume.read(block.number * BLOCK, into);
      } catch (error) {
        code = (error as { code: string }).code;
      }
      const isDirty = dirty.has(this.volume.regionOf(block.number));
      if (code === undefined) this.examineData(block, versionsOf(block.number, into), isDirty);
      else this.examineRefusal(block, code);
    }
  }

  examineData(block: Block, versions: number[], isDirty: boolean): void {
    const what = () => `block ${block.number} has ${String(versions)}: ${JSON.stringify(block)}`;
    const isNow = block.now.every((version, i) => version === versions[i]);
    const isWhole = versions.every((version) => version === versions[0]);
    if (block.found !== undefined) {
      // A torn one may be back to what it was, and any may be overwritten; whole in any case.
      const isBack = (block.found === 'ERR_RINGBOLT_TORN' || block.mayBeGood) && isNow;
      const isNew = isWhole && versions[0]! > ageOf(block.now[0]!) && versions[0]! <= block.begun;
      if (!isBack && !isNew) this.wrong(`laundered: ${what()}`);
    } else if (!isDirty) {
      seen.blocksOfCleanRegions++;
      if (!isNow && !block.uncertain) this.wrong(`in a clean region: ${what()}`);
      if (block.planted !== undefined) this.wrong(`rot not found: ${what()}`);
    } else {
      seen.blocksOfDirtyRegions++;
      if (block.planted !== undefined) seen.plantedInDirty++;
      for (const [sector, version] of versions.entries()) {
        const floor = block.floor[sector]!;
        const isRot = [block.planted, block.lurking?.rot, floor].includes(version);
        if (!isRot && !(version >= ageOf(floor) && version <= block.begun))
          this.wrong(`neither old nor new: ${what()}`);
      }
      if (!isWhole) seen.mixed++;
      if (versions.some((version, i) => version < ageOf(block.now[i]!))) seen.olderThanLast++;
      if (versions.some((version, i) => version > ageOf(block.now[i]!))) seen.newerThanLast++;
      if (isWhole && block.floor[0]! > 0) seen.flushesKept++;
    }
    block.floor = block.now = versions;
    block.planted = block.lurking = block.found = undefined;
    block.uncertain = block.mayBeGood = false;
    block.begun = Math.max(block.begun, ...versions.filter((version) => version < DAMAGE));
  }

  examineRefusal(block: Block, code: string): void {
    const what = `block ${block.number}: ${code}: ${JSON.stringify(block)}`;
    if (code === 'ERR_RINGBOLT_TORN') {
      if (block.found === code) seen.tornKept++;
      else if (!block.uncertain && block.begun === block.now[0]) this.wrong(what);
    } else if (code === 'ERR_RINGBOLT_CORRUPT') {
      if (block.found === code) seen.foundKept++;
      else if (block.planted === undefined) this.wrong(`false damage: ${what}`);
      else seen.plantedFound++;
    } else this.wrong(what);
    block.found = code as Block['found'];
    block.planted = undefined;
  }

  /** Rot, while nothing is dirty. */
  plant(): void {
    for (let i = this.random.below(4); i > 0; i--) {
      const [block] = this.extent();
      if (block!.found !== undefined || block!.planted !== undefined) continue;
      block!.planted = DAMAGE + this.random.below(1000);
      this.volume.damage(block!.number, this.random.below(8), block!.planted);
    }
  }
}

it(`a volume keeps its promises through ${CRASHES_ASKED} crashes`, async () => {
  const seeds = new Random();
  const rounds = Math.ceil(CRASHES_ASKED / CRASHES_EACH);
  for (let round = 0; round < rounds; round++) {
    const random = seeds.fork();
    const machine = new Machine(random.fork());
    const { world, data, sidecar } = machine.volume;
    const check = () => {
      expect(machine.errors, `round ${round}, ${random.seed}`).toEqual([]);
    };
    const marks = machine.checkMarked.bind(machine);
    machine.checkMarked = () => undefined; // nothing is there yet
    await machine.volume.create();
    machine.checkMarked = marks;
    let dirty = new Set<number>();
    for (let crash = 0; crash < CRASHES_EACH; crash++) {
      while (random.below(3) === 0) {
        void machine.open().catch((error: unknown) => machine.wrong(String(error)));
        await world.turns.pass(random.below(120));
        machine.crash();
        seen.crashesInRecovery++;
        dirty = new Set([...dirty, ...machine.dirty()]);
        check();
      }
      let volume = await machine.open();
      seen.recalculated += volume.status().recovery!.recalculated;
      if (random.below(4) === 0) {
        // Idempotent: nothing is left to be done, and nothing changes.
        const before = sidecar.medium.visible(machine.volume.geometry.layout.tags.offset).slice();
        machine.crash();
        volume = await machine.open();
        expect(volume.status().recovery).toMatchObject({ regions: 0, blocks: 0 });
        const after = sidecar.medium.visible(machine.volume.geometry.layout.tags.offset);
        expect(Buffer.from(after).equals(before)).toBe(true);
      }
      await machine.examine(volume, dirty);
      check();
      await volume.settle();
      machine.plant();
      if (random.below(3) === 0) data.faults.write = 0.02;
      if (random.below(3) === 0) data.faults.interrupt = 0.5;
      if (random.below(6) === 0) data.faults.flush = 0.02;
      if (random.below(6) === 0) sidecar.faults.write = 0.005;
      if (random.below(6) === 0) sidecar.faults.flush = 0.01;
      void machine.work(volume).catch((error: unknown) => machine.wrong(String(error)));
      await world.turns.pass(20 + random.below(random.below(3) === 0 ? 600 : 150));
      if (volume.status().state === 'failed') seen.failedVolumes++;
      machine.crash();
      dirty = machine.dirty();
      check();
    }
  }
  console.log(`seed ${seeds.seed}: ${JSON.stringify(seen)}`);
  if (CRASHES_ASKED >= 300) {
    for (const [what, count] of Object.entries(seen)) expect(count, what).toBeGreaterThan(5);
  }
}, 36_000_000);
