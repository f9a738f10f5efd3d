// Shows that bitmaps keep what was put into them, and that a sector which is not as it was written stands for all of its regions.

import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { Bitmap } from '../../../dist/lib/volume/format/bitmap.js';
import { sectorSeed } from '../../../dist/lib/volume/format/sectors.js';
import { MAX_REGIONS, planLayout, shapeOf } from '../../../dist/lib/volume/geometry.js';
import { Random } from '../../support/random.js';

const seed = sectorSeed(randomBytes(16));
const AREA = planLayout(shapeOf(1, 4096)).bitmaps[0].length;
const SECTOR = 3968;

function newBitmap(which = 0): Bitmap {
  const bitmap = new Bitmap(which, new Uint8Array(AREA), seed);
  bitmap.sealAll(1);
  return bitmap;
}

const reread = (bitmap: Bitmap, which = bitmap.which) =>
  new Bitmap(which, Uint8Array.from(bitmap.bytes), seed);

describe('a bitmap', () => {
  it('has room for every region there may be', () => {
    const bitmap = newBitmap();
    expect([...bitmap.dirty(MAX_REGIONS)]).toEqual([]);
    bitmap.add(MAX_REGIONS - 1);
    bitmap.seal(Bitmap.sectorOf(MAX_REGIONS - 1), 2);
    expect([...reread(bitmap).dirty(MAX_REGIONS)]).toEqual([MAX_REGIONS - 1]);
    expect([...reread(bitmap).dirty(MAX_REGIONS - 1)]).toEqual([]);
  });

  it('keeps what was put into it', () => {
    const random = new Random();
    const bitmap = newBitmap(1);
    const model = new Set([0, 31, 32, SECTOR - 1, SECTOR, MAX_REGIONS - 1]);
    for (let i = 0; i < 500; i++) model.add(random.below(MAX_REGIONS));
    for (const region of model) bitmap.add(region);
    bitmap.sealAll(2);
    const read = reread(bitmap);
    expect([...read.dirty(MAX_REGIONS)]).toEqual([...model].toSorted((a, b) => a - b));
    expect([read.has(32), read.sequence(0)]).toEqual([true, 2]);
    read.clear(0);
    read.seal(0, 3);
    expect([read.isClear(0), read.sequence(0), read.sequence(1)]).toEqual([true, 3, 2]);
    const left = [...model].filter((region) => region >= SECTOR).toSorted((a, b) => a - b);
    expect([...reread(read).dirty(MAX_REGIONS)]).toEqual(left);
  });

  it('takes all regions of a sector for dirty that is damaged, blank, or of another place', () => {
    const all = (sector: number) => Array.from({ length: SECTOR }, (_, i) => sector * SECTOR + i);
    const flipped = newBitmap();
    flipped.bytes[512 + 300]! ^= 4;
    expect([...reread(flipped).dirty(3 * SECTOR)]).toEqual(all(1));
    const blank = newBitmap();
    blank.bytes.fill(0, 0, 512);
    expect([...reread(blank).dirty(3 * SECTOR)]).toEqual(all(0));
    const moved = newBitmap();
    moved.bytes.copyWithin(1024, 512, 1024);
    expect([...reread(moved).dirty(2 * SECTOR + 5)]).toEqual(all(2).slice(0, 5));
    const other = reread(newBitmap(0), 1);
    expect([...other.dirty(10)]).toEqual(all(0).slice(0, 10));
  });
});
