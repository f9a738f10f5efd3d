// A machine with a volume of three regions, two tag pages in memory, and users: writers, readers, one who flushes and one who ends epochs.
// Everything that happens to them is compared with the model (model.ts), and everything that the volume does to its disks with those rules
// that can be seen there. What is wrong is told once, to `errors`.

import type { Volume } from '../../../dist/lib/volume/volume.js';
import type { Seeded } from '../../support/seeded.js';
import { CRASHES } from '../simulated-medium.js';
import { BLOCK, blocksOf, SimulatedVolume, versionsOf } from '../simulated-volume.js';
import { Generations } from './generations.js';
import { BlockModel, DAMAGE, type CrashSeen } from './model.js';

/** As docs/format.md has it, whatever the volume thinks. */
const BLOCKS_PER_REGION = 248;
const TAGS_PER_SECTOR = 31;
const PAGE_BYTES = 4096;

const COUNT = 2 * BLOCKS_PER_REGION + 40;
const REGIONS = [0, 1, 2];

/** Where all that happens: few blocks, so that much happens to each, in all regions and across their borders. */
const PLACES = [0, 28, 100, 244, 400, 492, COUNT - 8];
const BLOCKS_AT_PLACE = 8;

/** One of so many crashes is of the process alone. */
const PROCESS_CRASHES = 6;

export class Machine {
  readonly random: Seeded;
  readonly volume: SimulatedVolume;
  readonly seen: CrashSeen;
  readonly errors: string[] = [];
  readonly #blocks: readonly BlockModel[];
  readonly #byNumber = new Map<number, BlockModel>();
  readonly #generations: Generations;
  readonly #bytes = new Uint8Array(BLOCK);
  /** The process that runs; another after each crash. */
  #process = 0;
  #version = 0;
  #isMade = false;
  #onHeadWrite: (() => void) | undefined;
  /** A superblock or a bitmap was perhaps being written a moment ago. */
  #isInHead = false;

  constructor(random: Seeded, seen: CrashSeen) {
    this.random = random;
    this.seen = seen;
    const units = { sidecar: random.below(2) === 0 ? 512 : 4096 };
    this.volume = new SimulatedVolume(random, COUNT * BLOCK, units);
    const { data, sidecar, geometry } = this.volume;
    const wrong = this.wrong.bind(this);
    for (const number of PLACES.flatMap((place) =>
      Array.from({ length: BLOCKS_AT_PLACE }, (_, i) => place + i),
    )) {
      this.#byNumber.set(number, new BlockModel(number, seen, wrong));
    }
    this.#blocks = [...this.#byNumber.values()];
    this.#generations = new Generations(this.volume, wrong);
    data.onOperation = ({ kind, offset, length }) => {
      if (kind === 'write') this.#checkMarked(offset / BLOCK, length / BLOCK); // rule 4
    };
    sidecar.onOperation = ({ kind, offset }) => {
      const page = Math.floor((offset - geometry.layout.tags.offset) / PAGE_BYTES);
      if (kind === 'write' && page < 0) this.#onHeadWrite?.();
      if (kind === 'write' && page >= 0) this.#checkMarked(page * BLOCKS_PER_REGION, 1);
    };
    // Rule 1: a superblock survives sectors that are half written as well, and rule 9 a bitmap.
    sidecar.spoiltBelow = geometry.layout.log.offset;
  }

  get isWrong(): boolean {
    return this.errors.length > 0;
  }

  wrong(what: string): void {
    if (this.errors.length < 10) this.errors.push(what);
  }

  async create(): Promise<void> {
    await this.volume.create();
    this.#isMade = true;
  }

  open(): Promise<Volume> {
    return this.volume.open({ generationsAhead: 16, maxDirtyBytes: 2 ** 30 });
  }

  #checkMarked(first: number, count: number): void {
    const end = Math.floor((first + count - 1) / BLOCKS_PER_REGION);
    for (let region = Math.floor(first / BLOCKS_PER_REGION); region <= end; region++) {
      if (this.#isMade && !this.volume.isMarked(region))
        this.wrong(`region ${region} is written, and has no bit`);
    }
  }

  /** Resolves when so many turns have passed; or earlier, soon after a superblock or a bitmap has begun to be written. */
  async passUntilCrash(turns: number): Promise<void> {
    const { world } = this.volume;
    const passed = world.turns.pass(turns);
    if (this.random.below(3) > 0) return passed;
    await world.turns.pass(1 + this.random.below(1 + (turns >> 1)));
    const begun = new Promise<void>((resolve) => (this.#onHeadWrite = resolve));
    this.#isInHead = true;
    await Promise.race([passed, begun.then(() => world.turns.pass(1 + this.random.below(6)))]);
    this.#onHeadWrite = undefined;
  }

  /** Of blocks in a row, somewhere. */
  #extent(): BlockModel[] {
    const place = PLACES[this.random.below(PLACES.length)]!;
    const from = this.random.below(BLOCKS_AT_PLACE);
    const count = 1 + this.random.below(Math.min(4, BLOCKS_AT_PLACE - from));
    return Array.from({ length: count }, (_, i) => this.#byNumber.get(place + from + i)!);
  }

  /** Until the crash. */
  async work(volume: Volume): Promise<void> {
    const process = this.#process;
    const isOver = () => this.#process !== process;
    const loop = async (one: () => Promise<void>, pause: number) => {
      while (!isOver()) {
        await one();
        if (pause > 0) await this.volume.world.turns.pass(1 + this.random.below(pause));
      }
    };
    await Promise.all([
      ...[0, 0, 6].map((pause) => loop(() => this.#write(volume, isOver), pause)),
      ...[2, 6].map((pause) => loop(() => this.#read(volume, isOver), pause)),
      loop(() => this.#flush(volume, isOver), 40),
      loop(() => this.#endEpoch(volume), 60),
    ]);
  }

  async #write(volume: Volume, isOver: () => boolean): Promise<void> {
    const blocks = this.#extent();
    const first = blocks[0]!.number;
    const version = ++this.#version;
    for (const block of blocks) block.begun = version;
    const durable = this.random.below(8) === 0;
    const data = blocksOf(first, blocks.length, version);
    const hadFailed = volume.status().state === 'failed';
    const options = { durable, ...this.#impatience() };
    try {
      // A batch of one: of several, some would have ended before it is known what has become of all.
      if (this.random.below(2) === 0) await volume.write(first * BLOCK, data, options);
      else await volume.writeBatch([{ offset: first * BLOCK, buffer: data }], options);
    } catch {
      if (!isOver()) await this.#afterRejection(volume, isOver, blocks);
      return;
    }
    if (isOver()) return;
    if (hadFailed) this.wrong('a volume that has failed was written to'); // rule 8
    for (const block of blocks) block.written(version, durable);
  }

  async #afterRejection(volume: Volume, isOver: () => boolean, blocks: BlockModel[]) {
    if (volume.status().state === 'failed') {
      await this.volume.world.turns.pass(20);
      return;
    }
    for (const block of blocks) block.uncertain = true;
    await this.#read(volume, isOver, blocks);
  }

  /** Some writes are given up, some of these when they are half done. */
  #impatience(): { signal?: AbortSignal } {
    if (this.random.below(8) > 0) return {};
    const controller = new AbortController();
    this.volume.world.turns.after(1 + this.random.below(12), () => {
      controller.abort();
    });
    return { signal: controller.signal };
  }

  async #flush(volume: Volume, isOver: () => boolean): Promise<void> {
    const resolved = this.#blocks.map(({ now }) => now);
    const hadFailed = volume.status().state === 'failed';
    try {
      await volume.flush();
    } catch {
      // Rule 8.
      if (!isOver() && volume.status().state !== 'failed')
        this.wrong('a flush failed, and the volume goes on');
      return;
    }
    if (isOver()) return;
    if (hadFailed) this.wrong('a volume that has failed was flushed');
    for (const [i, block] of this.#blocks.entries()) block.flushed(resolved[i]!);
  }

  async #endEpoch(volume: Volume): Promise<void> {
    const { epoch } = volume.status();
    if (this.random.below(2) === 0) this.volume.onTimer?.();
    else await volume.settle().catch(() => undefined);
    if (volume.status().epoch > epoch) this.seen.epochs++;
  }

  async #read(volume: Volume, isOver: () => boolean, blocks = this.#extent()): Promise<void> {
    for (const block of blocks) {
      const before = block.before();
      const into = new Uint8Array(BLOCK);
      let code: string | undefined;
      try {
        if (this.random.below(2) === 0) await volume.read(block.number * BLOCK, into);
        else await volume.readBatch([{ offset: block.number * BLOCK, buffer: into }]);
      } catch (error) {
        code = codeOf(error);
      }
      if (isOver()) return;
      if (volume.status().state === 'failed') continue;
      if (code === undefined) block.checkRead(before, versionsOf(block.number, into));
      else block.checkRefused(before, code);
    }
  }

  crash(): void {
    const { world, data, sidecar } = this.volume;
    // What a failed flush has lost is still shown by the cache, and no later flush tells: rule 8 has no answer to that but another power.
    const hasLost = data.medium.hasLost || sidecar.medium.hasLost;
    const ofProcess = this.random.below(PROCESS_CRASHES) === 0 && !hasLost;
    if (this.random.below(4) < (this.#isInHead ? 3 : 1)) sidecar.faults.spoil = 0.8;
    this.#isInHead = false;
    world.crash(ofProcess ? 'process' : CRASHES[this.random.below(CRASHES.length)]!);
    this.#process++;
    this.seen.crashes++;
    if (ofProcess) this.seen.crashesOfProcesses++;
    for (const { faults } of [data, sidecar]) {
      Object.assign(faults, { write: 0, flush: 0, interrupt: 0, spoil: 0 });
    }
    this.#generations.check();
  }

  /** After the crash: regions that may be anything. */
  dirty(): number[] {
    return REGIONS.filter((region) => this.volume.isMarked(region, 'perhaps'));
  }

  /** Nothing is under way, and an epoch has ended: rule 7 (f). */
  checkClear(): void {
    for (const region of this.dirty()) this.wrong(`region ${region} is still dirty`);
    const { sidecar, geometry } = this.volume;
    for (const { offset, length } of geometry.layout.bitmaps) {
      if (sidecar.medium.isUnsynced(offset, length)) this.wrong('a bitmap is not durable');
    }
  }

  /** What a crash left. `dirty`: regions that were marked at any crash since. */
  async examine(volume: Volume, dirty: ReadonlySet<number>): Promise<void> {
    await Promise.all(PLACES.map((place) => this.#examinePlace(volume, place, dirty)));
  }

  async #examinePlace(volume: Volume, place: number, dirty: ReadonlySet<number>) {
    const all = new Uint8Array(BLOCKS_AT_PLACE * BLOCK);
    const areGood = await volume.read(place * BLOCK, all).then(
      () => true,
      () => false,
    );
    for (let i = 0; i < BLOCKS_AT_PLACE; i++) {
      const block = this.#byNumber.get(place + i)!;
      const into = all.subarray(i * BLOCK, (i + 1) * BLOCK);
      const isDirty = dirty.has(this.volume.regionOf(block.number));
      try {
        if (!areGood) await volume.read(block.number * BLOCK, into);
        block.examineData(versionsOf(block.number, into), isDirty);
      } catch (error) {
        this.#bytes.set(this.volume.data.medium.visible(block.number * BLOCK, BLOCK));
        block.examineRefusal(codeOf(error), versionsOf(block.number, this.#bytes), isDirty);
      }
    }
  }

  /** Rot, while nothing is dirty. */
  plant(): void {
    for (let i = this.random.below(4); i > 0; i--) {
      const [block] = this.#extent();
      if (block!.found !== undefined || block!.planted !== undefined) continue;
      const rot = DAMAGE + this.random.below(1000);
      block!.plant(rot);
      this.volume.damage(block!.number, this.random.below(8), rot);
    }
  }

  /** Rot of a tag sector, while no volume is open. */
  loseTags(): void {
    const [some] = this.#extent();
    const sector = Math.floor((some!.number % BLOCKS_PER_REGION) / TAGS_PER_SECTOR);
    const first = this.volume.regionOf(some!.number) * BLOCKS_PER_REGION + sector * TAGS_PER_SECTOR;
    const { geometry, sidecar } = this.volume;
    const at = geometry.offsetOfPage(this.volume.regionOf(some!.number)) + sector * 512;
    if (sidecar.medium.isUnsynced(at, 512)) return; // a crash could mend it
    sidecar.medium.flipBit(at + this.random.below(512));
    for (const block of this.#blocks) {
      if (block.number >= first && block.number < first + TAGS_PER_SECTOR) block.loseTag();
    }
  }
}

function codeOf(error: unknown): string {
  return String((error as { code?: unknown }).code ?? error);
}
