// Shows that a crash at any point of what a volume really does to its files loses nothing and damages nothing. A volume works on real files, with
// as much at a time as a real engine does, and every write and flush is recorded (recorded-target.ts). Then images of both files are made as a
// crash at some point could have left them: what was not synced is there or not, sector by sector, in any order. From each the volume is recovered
// on simulated disks, and every block is compared with the model of the simulated crashes (crash/model.ts).
//
// RINGBOLT_VOLUME_REPLAYS: images. Default 2000.

import { truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { createVolume } from '../../dist/lib/volume/open.js';
import { sectorSeed } from '../../dist/lib/volume/format/sectors.js';
import { openVolume, type Volume } from '../../dist/lib/volume/volume.js';
import { startEngine } from '../support/engine.js';
import { Random } from '../support/random.js';
import { tempFolder } from '../support/temp-folder.js';
import { BlockModel, newSeen } from './crash/model.js';
import { RecordedTarget, type Happened, type Recorded } from './recorded-target.js';
import { CRASHES, Pending, SimulatedMedium } from './simulated-medium.js';
import { BLOCK, blocksOf, SimulatedVolume, versionsOf } from './simulated-volume.js';

const REPLAYS = Number(process.env['RINGBOLT_VOLUME_REPLAYS'] ?? 2000);
const POINTS_OF_RECORD = 500;
const COUNT = 2 * 248 + 40;
const WRITERS = 12;
const WRITES_EACH = 25;

const seen = newSeen();

/** What volume users did, and what came of it at their disks. */
class Record {
  readonly log: Happened[] = [];
  readonly errors: string[] = [];
  readonly blocks = Array.from(
    { length: COUNT },
    (_, number) => new BlockModel(number, seen, (what) => this.errors.push(what)),
  );
  readonly sizes: [number, number];

  constructor(data: number, sidecar: number) {
    this.sizes = [data, sidecar];
  }

  user(apply: () => void): void {
    this.log.push({ what: 'user', apply });
  }
}

async function write(volume: Volume, record: Record, random: Random, version: number) {
  const count = 1 + random.below(6);
  const first = random.below(COUNT - count + 1);
  const blocks = record.blocks.slice(first, first + count);
  const durable = random.below(8) === 0;
  record.user(() => {
    for (const block of blocks) block.begun = Math.max(block.begun, version);
  });
  await volume.write(first * BLOCK, blocksOf(first, count, version), { durable });
  record.user(() => {
    for (const block of blocks) block.written(version, durable);
  });
}

async function flush(volume: Volume, record: Record): Promise<void> {
  let resolved: (readonly number[])[] = [];
  record.user(() => {
    resolved = record.blocks.map(({ now }) => now);
  });
  await volume.flush();
  record.user(() => {
    for (const [i, block] of record.blocks.entries()) block.flushed(resolved[i]!);
  });
}

/** Of a volume on real files, from before it is made until it is closed. */
async function makeRecord(random: Random): Promise<Record> {
  const engine = await startEngine();
  const name = path.join(tempFolder(), 'data');
  const { sidecarBytes } = new SimulatedVolume(random, COUNT * BLOCK).geometry;
  writeFileSync(name, '');
  truncateSync(name, COUNT * BLOCK);
  const options = { access: 'read-write', create: true } as const;
  const record = new Record(COUNT * BLOCK, sidecarBytes);
  const data = await engine.open(name, options);
  const sidecar = await engine.open(`${name}.ringbolt`, { ...options, size: sidecarBytes });
  const targets = {
    data: new RecordedTarget(data, 0, record.log),
    sidecar: new RecordedTarget(sidecar, 1, record.log),
  };
  await createVolume({ ...targets, contents: 'zeros' });
  record.log.push({ what: 'user', apply: () => undefined });
  const made = record.log.length;
  const volume = await openVolume({ ...targets, tagPages: 2, epochMs: 1, generationsAhead: 64 });
  let [version, left] = [0, WRITERS];
  const writer = async () => {
    for (let i = 0; i < WRITES_EACH; i++) await write(volume, record, random, ++version);
    left--;
  };
  const flusher = async () => {
    while (left > 0) await flush(volume, record);
  };
  const settler = async () => {
    while (left > 0) await volume.settle();
  };
  await Promise.all([flusher(), settler(), ...Array.from({ length: WRITERS }, writer)]);
  await volume.close();
  expect(record.log.some(({ what }) => what === 'fail')).toBe(false);
  expect(made).toBeGreaterThan(1);
  return record;
}

/** Both files, as far as the log has come. */
class Replay {
  readonly media: readonly SimulatedMedium[];
  readonly #pending = new Map<Recorded, Pending>();
  /** Of a flush: what it covers. */
  readonly #orders = new Map<Recorded, number>();

  constructor(random: Random, sizes: readonly number[]) {
    this.media = sizes.map((size) => new SimulatedMedium(random.fork(), size));
  }

  step(happened: Happened): void {
    if (happened.what === 'user') happened.apply();
    else if (happened.what === 'begin') this.#begin(happened.operation);
    else this.#end(happened.operation);
  }

  #begin(operation: Recorded): void {
    const medium = this.media[operation.target]!;
    if (operation.kind === 'flush') {
      this.#orders.set(operation, medium.order);
      return;
    }
    const pending = new Pending(operation.offset, operation.bytes);
    pending.left.fill(1);
    this.#pending.set(operation, pending);
    medium.pending.add(pending);
  }

  #end(operation: Recorded): void {
    const medium = this.media[operation.target]!;
    const order = this.#orders.get(operation);
    if (order !== undefined) medium.sync(order);
    const pending = this.#pending.get(operation);
    if (pending === undefined) return;
    for (let index = 0; index < pending.left.length; index++) medium.writeSector(pending, index);
    medium.pending.delete(pending);
    if (operation.durable) medium.sync(medium.order, operation.offset, operation.bytes.length);
  }
}

/** Recovers what a crash now could have left, and compares. */
async function crashHere(replay: Replay, record: Record, random: Random): Promise<void> {
  const kind = CRASHES[random.below(CRASHES.length)]!;
  const simulated = new SimulatedVolume(random, COUNT * BLOCK);
  const drives = [simulated.data, simulated.sidecar];
  for (const [i, medium] of replay.media.entries()) {
    const image = medium.clone(random.fork());
    image.crash(kind);
    drives[i]!.medium.overwrite(0, image.visible());
  }
  simulated.seed = sectorSeed(simulated.sidecar.medium.durable(48, 16));
  const dirty = [0, 1, 2].map((region) => simulated.isMarked(region));
  const volume = await simulated.open();
  seen.recalculated += volume.status().recovery!.recalculated;
  const bytes = new Uint8Array(8 * BLOCK);
  for (let first = 0; first < COUNT; first += 8) {
    await volume.read(first * BLOCK, bytes); // verified: none is damaged
    for (let block = first; block < first + 8; block++) {
      const into = bytes.subarray((block - first) * BLOCK, (block - first + 1) * BLOCK);
      const model = record.blocks[block]!.copy();
      model.examineData(versionsOf(block, into), dirty[simulated.regionOf(block)]!);
    }
  }
  seen.crashes++;
  expect(record.errors).toEqual([]);
}

it(
  `a crash at ${REPLAYS} points of what was really written keeps all promises`,
  { timeout: 36_000_000 },
  async () => {
    const random = new Random();
    let operations = 0;
    for (let done = 0; done < REPLAYS; done += POINTS_OF_RECORD) {
      const record = await makeRecord(random);
      operations += record.log.length;
      const replay = new Replay(random, record.sizes);
      const isMade = record.log.findIndex(({ what }) => what === 'user');
      const share = POINTS_OF_RECORD / (record.log.length - isMade);
      for (const [i, happened] of record.log.entries()) {
        replay.step(happened);
        if (i <= isMade) continue;
        for (let points = share; points > 0; points--) {
          if (random.chance(Math.min(1, points))) await crashHere(replay, record, random);
        }
      }
    }
    console.log(`seed ${random.seed}: ${operations} recorded: ${JSON.stringify(seen)}`);
    expect(seen.crashes).toBeGreaterThan(REPLAYS / 2);
    expect(seen.olderThanLast).toBeGreaterThan(0);
    expect(seen.recalculated).toBeGreaterThan(0);
  },
);
