// Shows that a tag page gives back what was put into it, that each of its sectors stands for itself, and that nothing but what was
// written for its very place passes for good.

import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { SectorCondition, sectorSeed } from '../../../dist/lib/volume/format/sectors.js';
import { TagPage, TagState } from '../../../dist/lib/volume/format/tag-page.js';
import { crc } from '../../support/checksums.js';
import { Random } from '../../support/random.js';

const { blank, written, damaged } = SectorCondition;
const uuid = randomBytes(16);
const seed = sectorSeed(uuid);
const PAGE = 0x1_2345_6789;

const newBytes = () => new Uint8Array(4096);
const sealAll = (page: TagPage) => {
  for (let sector = 0; sector < 8; sector++) page.seal(sector);
};
const conditions = (page: TagPage) =>
  Array.from({ length: 8 }, (_, sector) => page.conditionOfSector(sector));

/** All tags set, and sealed. */
function fullPage(bytes: Uint8Array, values: BigUint64Array, number = PAGE): TagPage {
  const page = new TagPage(number, bytes, seed);
  page.set(0, 248, values, 0, { generation: 7, state: TagState.valid });
  sealAll(page);
  return page;
}

const randomValues = () => new BigUint64Array(new Uint8Array(randomBytes(248 * 8)).buffer);

describe('a tag page', () => {
  it('gives back what was put into it, whatever the order', () => {
    const random = new Random();
    const bytes = newBytes();
    const page = new TagPage(PAGE, bytes, seed);
    const model = new Map<number, { checksum: bigint; generation: number; state: number }>();
    for (let round = 0; round < 200; round++) {
      const first = random.below(248);
      const count = 1 + random.below(Math.min(40, 248 - first));
      const values = randomValues();
      const at = random.below(200);
      const mark = {
        generation: 1 + random.below(2 ** 31) * 2 ** 21 + random.below(2 ** 21),
        state: random.below(6) as TagState,
      };
      page.set(first, count, values, at, mark);
      for (let i = 0; i < count; i++) model.set(first + i, { ...mark, checksum: values[at + i]! });
    }
    sealAll(page);
    const read = new TagPage(PAGE, Uint8Array.from(bytes), seed);
    const all = new BigUint64Array(250);
    read.copyChecksums(0, 248, all, 2);
    for (let tag = 0; tag < 248; tag++) {
      const { checksum, generation, state } = model.get(tag) ?? {
        checksum: 0n,
        generation: 0,
        state: 0,
      };
      expect(read.checksum(tag)).toBe(checksum);
      expect(all[tag + 2]).toBe(checksum);
      expect(read.generation(tag)).toBe(generation);
      expect(read.state(tag)).toBe(state);
      expect(read.isNeverWritten(tag)).toBe(!model.has(tag));
    }
    expect([all[0], all[1]]).toEqual([0n, 0n]);
  });

  it('keeps the largest generation', () => {
    const page = new TagPage(0, newBytes(), seed);
    page.set(30, 2, new BigUint64Array(2), 0, {
      generation: Number.MAX_SAFE_INTEGER,
      state: TagState.discarded,
    });
    expect([page.generation(30), page.generation(31)]).toEqual([2 ** 53 - 1, 2 ** 53 - 1]);
    expect([page.state(30), page.isNeverWritten(30), page.isNeverWritten(29)]).toEqual([
      5,
      false,
      true,
    ]);
  });

  it('has the bytes that its page of documentation says', () => {
    const bytes = newBytes();
    const page = new TagPage(PAGE, bytes, seed);
    page.set(32, 1, BigUint64Array.of(0x1122_3344_5566_7788n), 0, {
      generation: 0x01_0203_0405_0607,
      state: TagState.torn,
    });
    page.seal(1);
    const sector = Buffer.from(bytes.subarray(512, 1024));
    expect(sector.subarray(4, 16).toString('hex')).toBe('01000000' + '896745230100' + '01' + '54');
    expect(sector.subarray(16, 32).every((byte) => byte === 0)).toBe(true);
    expect(sector.subarray(32, 48).toString('hex')).toBe(
      '8877665544332211' + '07060504030201' + '03',
    );
    const before = crc('crc32c', uuid);
    expect(BigInt(sector.readUInt32LE(0))).toBe(crc('crc32c', sector.subarray(4), before));
  });

  it('marks a tag and keeps its checksum', () => {
    const values = randomValues();
    const page = fullPage(newBytes(), values);
    page.mark(100, { generation: 9, state: TagState.bad });
    expect([page.checksum(100), page.generation(100), page.state(100)]).toEqual([
      values[100],
      9,
      4,
    ]);
    expect([page.generation(99), page.generation(101)]).toEqual([7, 7]);
  });

  it('is valid in any mixture of old and new sectors', () => {
    const [old, recent] = [newBytes(), newBytes()];
    const [before, after] = [randomValues(), randomValues()];
    fullPage(old, before);
    fullPage(recent, after);
    const random = new Random();
    const isNew = Array.from({ length: 8 }, () => random.below(2) === 1);
    const mixed = Uint8Array.from(old);
    for (const [sector, take] of isNew.entries()) {
      if (take) mixed.set(recent.subarray(sector * 512, sector * 512 + 512), sector * 512);
    }
    const page = new TagPage(PAGE, mixed, seed);
    expect(conditions(page)).toEqual(new Array(8).fill(written));
    for (let tag = 0; tag < 248; tag++) {
      expect(page.checksum(tag)).toBe((isNew[Math.floor(tag / 31)] ? after : before)[tag]);
    }
  });

  it('finds any byte that changed, in that sector alone', () => {
    const bytes = newBytes();
    fullPage(bytes, randomValues());
    for (let at = 0; at < 4096; at += 7) {
      bytes[at]! ^= 0x10;
      const expected = new Array<number>(8).fill(written);
      expected[at >> 9] = damaged;
      expect(conditions(new TagPage(PAGE, bytes, seed)), `byte ${at}`).toEqual(expected);
      bytes[at]! ^= 0x10;
    }
  });

  it('takes no sector of another place, page or volume', () => {
    const bytes = newBytes();
    fullPage(bytes, randomValues());
    const moved = Uint8Array.from(bytes);
    moved.copyWithin(512, 0, 512);
    expect(conditions(new TagPage(PAGE, moved, seed))).toEqual([
      written,
      damaged,
      written,
      written,
      written,
      written,
      written,
      written,
    ]);
    for (const other of [PAGE + 1, PAGE - 2 ** 32, 0]) {
      expect(conditions(new TagPage(other, bytes, seed))).toEqual(new Array(8).fill(damaged));
    }
    const foreign = sectorSeed(randomBytes(16));
    expect(conditions(new TagPage(PAGE, bytes, foreign))).toEqual(new Array(8).fill(damaged));
  });

  it('tells a sector of zeros from one that was written with zeros', () => {
    const bytes = newBytes();
    const page = new TagPage(PAGE, bytes, seed);
    expect(conditions(page)).toEqual(new Array(8).fill(blank));
    sealAll(page);
    expect(bytes.every((byte) => byte === 0)).toBe(true);
    page.mark(0, { generation: 1, state: TagState.unknown });
    page.seal(0);
    expect(conditions(new TagPage(PAGE, bytes, seed))).toEqual([
      written,
      ...new Array<number>(7).fill(blank),
    ]);
    // Zeros with one byte in them were never written by anybody.
    bytes[4095] = 1;
    expect(new TagPage(PAGE, bytes, seed).conditionOfTag(247)).toBe(damaged);
  });

  it('makes nothing good of a damaged sector unless told what its tags are', () => {
    const bytes = newBytes();
    fullPage(bytes, randomValues());
    bytes[600]! ^= 1;
    const page = new TagPage(PAGE, bytes, seed);
    const mark = { generation: 8, state: TagState.valid };
    expect(() => page.set(31, 1, randomValues(), 0, mark)).toThrow('damaged');
    expect(() => page.mark(61, mark)).toThrow('damaged');
    expect(() => page.seal(1)).toThrow('damaged');
    page.reset(1, { generation: 8, state: TagState.unknown });
    page.seal(1);
    expect(conditions(new TagPage(PAGE, bytes, seed))).toEqual(new Array(8).fill(written));
    expect([page.checksum(31), page.generation(61), page.isNeverWritten(40)]).toEqual([
      0n,
      8,
      false,
    ]);
    expect(page.generation(62)).toBe(7);
  });

  it('counts how often a sector was written', () => {
    const bytes = newBytes();
    const page = fullPage(bytes, randomValues());
    page.seal(3);
    page.seal(3);
    const view = new DataView(bytes.buffer);
    expect([view.getUint32(2 * 512 + 4, true), view.getUint32(3 * 512 + 4, true)]).toEqual([1, 3]);
    view.setUint32(3 * 512 + 4, 0xffff_ffff, true);
    page.seal(3);
    expect(view.getUint32(3 * 512 + 4, true)).toBe(0);
    expect(page.conditionOfSector(3)).toBe(written);
  });

  it('has no tags before its first and behind its last', () => {
    const page = new TagPage(0, newBytes(), seed);
    const mark = { generation: 1, state: TagState.valid };
    expect(() => page.set(247, 2, new BigUint64Array(2), 0, mark)).toThrow(RangeError);
    expect(() => page.set(0, 3, new BigUint64Array(4), 2, mark)).toThrow(RangeError);
    expect(() => page.mark(-1, mark)).toThrow(RangeError);
    expect(() => page.copyChecksums(240, 9, new BigUint64Array(9), 0)).toThrow(RangeError);
    expect(() => page.copyChecksums(0, 9, new BigUint64Array(9), 1)).toThrow(RangeError);
    expect(() => new TagPage(0, new Uint8Array(512), seed)).toThrow(RangeError);
  });
});
