// Shows rules 4, 7 and 8: whoever was let in to write has a durable bit until its epoch is cleared, wherever a crash comes; many regions
// cost one write; a sequential writer hardly waits; and after a failure nobody is let in.

import { randomBytes } from 'node:crypto';
import { beforeEach, describe, expect, it } from 'vitest';
import { DirtyRegions } from '../../dist/lib/volume/dirty-regions.js';
import { Bitmap } from '../../dist/lib/volume/format/bitmap.js';
import { sectorSeed } from '../../dist/lib/volume/format/sectors.js';
import { Geometry, planLayout, shapeOf } from '../../dist/lib/volume/geometry.js';
import { Random } from '../support/random.js';
import { SimulatedWorld, type SimulatedDrive } from './simulated-drive.js';

const seed = sectorSeed(randomBytes(16));
/** Regions of 248 blocks of 4 KiB: not quite 1 MiB. */
const REGIONS = 3 * 3968 + 100;
const shape = shapeOf(REGIONS * 248 * 4096, 4096);
const geometry = new Geometry(shape, planLayout(shape));
const AREA = geometry.layout.bitmaps[0].length;
const AHEAD = Math.ceil(2 ** 26 / (248 * 4096));

let random: Random;
let world: SimulatedWorld;
let drive: SimulatedDrive;

/** What there is on the disk, or what a crash left of it. */
const onDisk = (which: number) =>
  new Bitmap(which, drive.medium.durable(which * AREA, AREA).slice(), seed); // what cannot be read is not valid either
const dirtyOnDisk = () => new Set([0, 1].flatMap((which) => [...onDisk(which).dirty(REGIONS)]));

/** The drive is a new one: both bitmaps one after the other, nothing else on it. */
function newDirty(unit = 512): DirtyRegions {
  world = new SimulatedWorld(random.fork());
  drive = world.addDrive('sidecar', { size: 2 * AREA, blockSize: unit });
  const disk = drive.open();
  const bitmaps = [0, 1].map((which) => {
    const bitmap = new Bitmap(which, new Uint8Array(AREA), seed);
    bitmap.sealAll(1);
    drive.medium.overwrite(which * AREA, bitmap.bytes);
    return bitmap;
  });
  const write = (which: number, offset: number, bytes: Uint8Array) =>
    disk.write(which * AREA + offset, bytes, { durable: true });
  return new DirtyRegions({
    geometry,
    bitmaps: bitmaps as [Bitmap, Bitmap],
    epoch: 1,
    unit,
    write,
  });
}

async function wholeEpoch(dirty: DirtyRegions): Promise<void> {
  dirty.beginEpoch();
  await dirty.whenOldWritersLeft();
  await dirty.clearOld();
}

beforeEach(() => {
  random = new Random();
});

describe('dirty regions', () => {
  it('let a writer in when its bit is durable, and at once when it was before', async () => {
    const dirty = newDirty();
    expect(dirty.tryEnter(7, 9)).toBe(0);
    expect(await dirty.enter(7, 9)).toBe(1);
    expect(dirtyOnDisk()).toEqual(new Set([7, 8]));
    expect(dirty.tryEnter(8, 9)).toBe(1);
    expect([drive.counts.write, dirty.regions, dirty.bytes]).toEqual([1, 2, 2 * 248 * 4096]);
  });

  it('write many regions at once, and those that come meanwhile at once after that', async () => {
    const dirty = newDirty();
    const some = (step: number) =>
      Array.from({ length: 300 }, (_, i) => dirty.enter(i * 40 + step, i * 40 + step + 1));
    const first = some(0);
    await world.turns.pass(1);
    expect(drive.counts.write).toBe(1);
    const second = [...some(5), ...some(9), ...some(0)];
    await Promise.all([...first, ...second]);
    expect(drive.counts.write).toBe(2);
    expect(dirtyOnDisk().size).toBe(900);
  });

  it('let others in after one that waited only for a write that was under way', async () => {
    const dirty = newDirty();
    const first = dirty.enter(3, 4);
    await world.turns.pass(1);
    const second = dirty.enter(3, 4);
    await Promise.all([first, second]);
    expect(drive.counts.write).toBe(1);
    expect(await dirty.enter(500, 501)).toBe(1);
    expect(dirtyOnDisk()).toEqual(new Set([3, 500]));
  });

  it('write no more of a bitmap than its device wants', async () => {
    for (const unit of [512, 4096]) {
      const dirty = newDirty(unit);
      const sizes: [number, number][] = [];
      drive.onOperation = ({ offset, length }) => sizes.push([offset % AREA, length]);
      await dirty.enter(2 * 3968, 2 * 3968 + 1);
      expect(sizes).toEqual([unit === 512 ? [1024, 512] : [0, 4096]]);
      expect([onDisk(0), onDisk(1)].every((bitmap) => bitmap.isValid(66))).toBe(true);
    }
  });

  it('mark ahead of a sequential writer, in time', async () => {
    const dirty = newDirty();
    let waits = 0;
    const end = 3000;
    for (let region = 0; region < end; region++) {
      if (dirty.tryEnter(region, region + 1) === 0) {
        waits++;
        await dirty.enter(region, region + 1);
      }
      await world.turns.pass(1);
    }
    // One for the first, one for the second, which shows that it is sequential.
    expect(waits).toBe(2);
    expect(drive.counts.write).toBeLessThan((2.5 * end) / AHEAD);
    const dirtied = dirtyOnDisk();
    for (let region = 0; region < end; region++) expect(dirtied.has(region)).toBe(true);
    expect(dirtied.size).toBeLessThanOrEqual(end + 2 * AHEAD);
  });

  it('mark nothing ahead of writers here and there', async () => {
    const dirty = newDirty();
    const places = new Set<number>();
    while (places.size < 200) places.add(2 * random.below(REGIONS / 2));
    for (const place of places) await dirty.enter(place, place + 1);
    expect(dirtyOnDisk()).toEqual(places);
  });

  it('need a bit in the new bitmap once an epoch began, whatever the old one says', async () => {
    const dirty = newDirty();
    const old = await dirty.enter(5, 6);
    dirty.beginEpoch();
    expect(dirty.tryEnter(5, 6)).toBe(0);
    const recent = await dirty.enter(5, 6);
    expect([old, recent]).toEqual([1, 2]);
    expect([0, 1].map((which) => [...onDisk(which).dirty(REGIONS)])).toEqual([[5], [5]]);
    let left = false;
    const leaving = dirty.whenOldWritersLeft().then(() => (left = true));
    dirty.leave(recent);
    await world.turns.pass(5);
    expect(left).toBe(false);
    await expect(dirty.clearOld()).rejects.toThrow('under a write');
    dirty.leave(old);
    await leaving;
    expect(dirty.oldRegions).toBe(1);
    await dirty.clearOld();
    expect([0, 1].map((which) => [...onDisk(which).dirty(REGIONS)])).toEqual([[5], []]);
    expect([dirty.regions, dirty.oldRegions]).toEqual([1, 0]);
  });

  it('use a bitmap again only once it was cleared', async () => {
    const dirty = newDirty();
    dirty.leave(await dirty.enter(5, 6));
    dirty.beginEpoch();
    expect(() => dirty.beginEpoch()).toThrow('before the last one was over');
    await dirty.whenOldWritersLeft();
    await dirty.clearOld();
    await wholeEpoch(dirty);
    expect([dirty.epoch, dirty.bytes, dirtyOnDisk().size]).toEqual([3, 0, 0]);
    // An epoch without a bit costs no write.
    const { write } = drive.counts;
    await wholeEpoch(dirty);
    expect(drive.counts.write).toBe(write);
  });

  it('let nobody in any more, and clear nothing, after a failed write', async () => {
    const dirty = newDirty();
    const inside = await dirty.enter(1, 2);
    drive.failNext('flush');
    const failed = [dirty.enter(2, 3), dirty.enter(2, 4)];
    await world.turns.pass(1);
    failed.push(dirty.enter(9, 10)); // for the next write, which is not made
    for (const one of failed) await expect(one).rejects.toThrow('EIO');
    expect(() => dirty.tryEnter(1, 2)).toThrow('EIO');
    expect(() => dirty.beginEpoch()).toThrow('EIO');
    dirty.leave(inside);
    expect(drive.counts.write).toBe(2);
    expect(onDisk(1).has(1)).toBe(true);
  });

  it('clear nothing after a flush of the data that failed', async () => {
    const dirty = newDirty();
    const inside = await dirty.enter(1, 2);
    dirty.beginEpoch();
    dirty.leave(inside);
    await dirty.whenOldWritersLeft();
    const waiting = dirty.enter(50, 51);
    dirty.fail(new Error('the flush failed'));
    await expect(dirty.clearOld()).rejects.toThrow('the flush failed');
    await expect(waiting).rejects.toThrow('the flush failed');
    expect(dirtyOnDisk().has(1)).toBe(true);
    expect(drive.counts.write).toBe(1);
  });

  it('have what was begun of a bitmap behind them before they clear it', async () => {
    for (let round = 0; round < 30; round++) {
      const dirty = newDirty();
      const waiting = dirty.enter(3, 4);
      await Promise.resolve(); // its write is under way
      await Promise.resolve();
      expect(drive.counts.write).toBe(1);
      dirty.beginEpoch();
      await dirty.whenOldWritersLeft();
      await dirty.clearOld();
      expect([...onDisk(1).dirty(REGIONS)]).toEqual([]);
      expect(await waiting).toBe(2); // it was let in by the new bitmap
      expect([...onDisk(0).dirty(REGIONS)]).toEqual([3]);
    }
  });

  it('cover every writer that was let in, wherever a crash comes', async () => {
    let inside = 0;
    let epochs = 0;
    for (let round = 0; round < 150; round++) {
      const dirty = newDirty(random.below(2) === 0 ? 512 : 4096);
      if (random.below(4) === 0) drive.faults.flush = 0.1;
      if (random.below(4) === 0) drive.faults.spoil = 0.5;
      /** Regions that need a bit, by epoch: until that is cleared. */
      const needed = new Map<number, Set<number>>();
      let busy = true;
      const writer = async () => {
        let place = random.below(REGIONS);
        while (busy) {
          const sequential = random.below(3) > 0;
          place = sequential ? (place + 1) % (REGIONS - 4) : random.below(REGIONS - 4);
          const end = place + 1 + random.below(3);
          const epoch = dirty.tryEnter(place, end) || (await dirty.enter(place, end));
          let regions = needed.get(epoch);
          if (regions === undefined) needed.set(epoch, (regions = new Set()));
          for (let region = place; region < end; region++) regions.add(region);
          await world.turns.pass(1 + random.below(5));
          dirty.leave(epoch);
        }
      };
      const epochsEnd = async () => {
        while (busy) {
          await world.turns.pass(random.below(20));
          dirty.beginEpoch();
          await dirty.whenOldWritersLeft();
          await world.turns.pass(random.below(10)); // data, tags
          needed.delete(dirty.epoch - 1);
          await dirty.clearOld();
          epochs++;
        }
      };
      const all = [epochsEnd(), ...Array.from({ length: 6 }, writer)];
      const ended = Promise.allSettled(all); // after a fault they reject
      await world.turns.pass(10 + random.below(150));
      world.crash();
      busy = false;
      const dirtied = dirtyOnDisk();
      for (const regions of needed.values()) {
        inside += regions.size;
        expect([...regions].filter((region) => !dirtied.has(region))).toEqual([]);
      }
      void ended; // their process is gone
    }
    expect(inside).toBeGreaterThan(1000);
    expect(epochs).toBeGreaterThan(100);
  });
});
