// Shows rule 9's bound: whatever writers come, and however slow the end of an epoch is, a crash at any moment leaves no more dirty regions than were
// allowed, or one operation alone is in; and everybody comes in at last.

import { randomBytes } from 'node:crypto';
import { expect, it } from 'vitest';
import { DirtyRegions } from '../../dist/lib/volume/dirty-regions.js';
import { Bitmap } from '../../dist/lib/volume/format/bitmap.js';
import { sectorSeed } from '../../dist/lib/volume/format/sectors.js';
import { Geometry, planLayout, shapeOf } from '../../dist/lib/volume/geometry.js';
import { Random } from '../support/random.js';
import { SimulatedWorld } from './simulated-drive.js';
import { BLOCK, blockOf, blocksOf, SimulatedVolume } from './simulated-volume.js';

const seed = sectorSeed(randomBytes(16));
const REGIONS = 600;
const REGION_BYTES = 248 * BLOCK;
const shape = shapeOf(REGIONS * REGION_BYTES, BLOCK);
const geometry = new Geometry(shape, planLayout(shape));
const AREA = geometry.layout.bitmaps[0].length;

/** Bitmaps on a drive of their own, and epochs that end when they are to, slowly. */
function newDirty(random: Random, most: number) {
  const world = new SimulatedWorld(random.fork());
  const drive = world.addDrive('sidecar', { size: 2 * AREA });
  const disk = drive.open();
  const bitmaps = [0, 1].map((which) => {
    const bitmap = new Bitmap(which, new Uint8Array(AREA), seed);
    bitmap.sealAll(1);
    drive.medium.overwrite(which * AREA, bitmap.bytes);
    return bitmap;
  }) as [Bitmap, Bitmap];
  const dirty = new DirtyRegions({
    geometry,
    bitmaps,
    epoch: 1,
    unit: 512,
    maxBytes: most * REGION_BYTES,
    write: (which, offset, bytes) => disk.write(which * AREA + offset, bytes, { durable: true }),
  });
  let isEnding = false;
  const end = async () => {
    if (isEnding) return;
    isEnding = true;
    dirty.beginEpoch();
    await dirty.whenOldWritersLeft();
    await world.turns.pass(1 + random.below(40)); // data, tags
    await dirty.clearOld();
    isEnding = false;
    look();
  };
  const look = () => {
    if (dirty.isFull && dirty.bytes > 0) void end();
  };
  dirty.onFull = look;
  /** Of which a crash may leave any: the first sector of a bitmap has them all. */
  const regionsOnDisk = () => {
    const found = new Set<number>();
    for (const at of [16, AREA + 16]) {
      for (const bytes of [drive.medium.durable(at, 496), drive.medium.visible(at, 496)]) {
        for (let region = 0; region < REGIONS; region++) {
          if ((bytes[region >> 3]! & (1 << (region & 7))) !== 0) found.add(region);
        }
      }
    }
    return found;
  };
  return { world, dirty, look, regionsOnDisk };
}

it('holds for writers of any kind, and lets everybody in', async () => {
  const random = new Random();
  let [waited, reached, alone] = [0, 0, 0];
  for (let round = 0; round < 30; round++) {
    const most = 1 + random.below(random.below(2) === 0 ? 5 : 100);
    const { world, dirty, look, regionsOnDisk } = newDirty(random, most);
    let largest = 0;
    let left = 8;
    const writer = async () => {
      let place = random.below(REGIONS);
      for (let i = 0; i < 60; i++) {
        const length = random.below(20) === 0 ? 1 + random.below(2 * most + 10) : 1;
        place = random.below(3) > 0 ? place + 1 : random.below(REGIONS);
        if (place + length > REGIONS) place = 0;
        const end = Math.min(REGIONS, place + length);
        if (end - place > most) largest = Math.max(largest, end - place);
        let epoch = dirty.tryEnter(place, end);
        if (epoch === 0) {
          waited++;
          epoch = await dirty.enter(place, end);
        }
        if (end - place > most) alone++;
        await world.turns.pass(1 + random.below(4));
        dirty.leave(epoch);
        look();
        place = end - 1;
      }
      left--;
    };
    const all = Promise.all(Array.from({ length: left }, writer));
    while (left > 0) {
      const { size } = regionsOnDisk();
      expect(size, `seed ${random.seed}`).toBeLessThanOrEqual(Math.max(most, largest));
      expect(dirty.bytes).toBeLessThanOrEqual(Math.max(most, largest) * REGION_BYTES);
      if (size === most) reached++;
      await world.turns.pass(1);
    }
    await all;
  }
  console.log(`waited ${waited}, at the bound ${reached}, larger than the bound ${alone}`);
  for (const count of [waited, reached, alone]) expect(count).toBeGreaterThan(20);
}, 60_000);

it('holds for a volume: recovery reads no more', async () => {
  const random = new Random();
  const count = 20 * 248;
  const most = 4;
  let largest = 0;
  for (let round = 0; round < 12; round++) {
    const simulated = new SimulatedVolume(random, count * BLOCK);
    await simulated.create();
    const maxDirtyBytes = most * REGION_BYTES;
    const volume = await simulated.open({ maxDirtyBytes, tagPages: 8 });
    const writer = async () => {
      for (;;) {
        const block = random.below(count);
        await volume.write(block * BLOCK, blockOf(block, 1));
        expect(volume.status().dirtyBytes).toBeLessThanOrEqual(maxDirtyBytes);
      }
    };
    for (let i = 0; i < 10; i++) void writer();
    await simulated.world.turns.pass(20 + random.below(400));
    simulated.world.crash();
    const again = await simulated.open();
    const { regions } = again.status().recovery!;
    expect(regions).toBeLessThanOrEqual(most);
    largest = Math.max(largest, regions);
  }
  expect(largest).toBe(most);
}, 60_000);

it('lets a write that is larger than the bound in, alone', async () => {
  const random = new Random();
  const simulated = new SimulatedVolume(random, 10 * REGION_BYTES);
  await simulated.create();
  const volume = await simulated.open({ maxDirtyBytes: 1 });
  const small = Array.from({ length: 5 }, (_, i) => volume.write(i * REGION_BYTES, blockOf(0, 1)));
  const large = volume.write(0, blocksOf(0, 8 * 248, 2));
  await Promise.all([...small, large, volume.write(9 * REGION_BYTES, blockOf(0, 1))]);
  await volume.settle();
  expect(volume.status().dirtyBytes).toBe(0);
});
