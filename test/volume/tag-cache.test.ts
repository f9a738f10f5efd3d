// Shows that the cache of tag pages is what the pages are, with any number of pages from two on: what was changed is seen by whoever
// comes later, whatever was written back and read again meanwhile; that it stays within its bounds; that a pass through all pages leaves those that
// are used all the time; and that a write that failed is never made up for.

import { randomBytes } from 'node:crypto';
import { beforeEach, describe, expect, it } from 'vitest';
import { SectorCondition } from '../../dist/lib/volume/format/sectors.js';
import { TagPage, TagState } from '../../dist/lib/volume/format/tag-page.js';
import { PAGE_BYTES, shapeOf, TAGS_PER_PAGE } from '../../dist/lib/volume/geometry.js';
import { createSidecar, Sidecar } from '../../dist/lib/volume/sidecar.js';
import { TagCache } from '../../dist/lib/volume/tag-cache.js';
import { Random } from '../support/random.js';
import { SimulatedWorld, type SimulatedDrive } from './simulated-drive.js';

const withCode = (code: string) => expect.objectContaining({ code }) as Error;
const mark = { generation: 1, state: TagState.valid };

let random: Random;
let world: SimulatedWorld;
let drive: SimulatedDrive;
let sidecar: Sidecar;
let failures: unknown[];

async function newCache(pageCount: number, pages: number, blockSize = 512): Promise<TagCache> {
  world = new SimulatedWorld(random.fork());
  const size = 2 ** 20 + pageCount * PAGE_BYTES;
  drive = world.addDrive('sidecar', { size, blockSize });
  const shape = shapeOf(pageCount * TAGS_PER_PAGE * 4096, 4096);
  const uuid = randomBytes(16);
  await createSidecar(drive.open(), {
    shape,
    uuid,
    algorithm: 'crc64nvme',
    neverWritten: 'zeros',
  });
  sidecar = await Sidecar.open(drive.open());
  failures = [];
  return new TagCache({ sidecar, pages, onFailure: (error) => failures.push(error) });
}

const put = (cache: TagCache, block: number, value: bigint) =>
  cache.use(Math.floor(block / TAGS_PER_PAGE), (page) => {
    const tag = block % TAGS_PER_PAGE;
    page.set(tag, 1, BigUint64Array.of(value), 0, mark);
    cache.changed(page, tag, 1, 1);
  });

const get = (cache: TagCache, block: number) =>
  cache.use(Math.floor(block / TAGS_PER_PAGE), (page) => page.checksum(block % TAGS_PER_PAGE));

/** What the medium has for certain. */
function onMedium(block: number): bigint {
  const number = Math.floor(block / TAGS_PER_PAGE);
  const offset = sidecar.geometry.offsetOfPage(number);
  const page = new TagPage(number, drive.medium.durable(offset, PAGE_BYTES).slice(), sidecar.seed);
  const tag = block % TAGS_PER_PAGE;
  expect(page.conditionOfTag(tag)).not.toBe(SectorCondition.damaged);
  return page.checksum(tag);
}

beforeEach(() => {
  random = new Random();
});

describe('a cache of tag pages', () => {
  it.each([2, 3, 7, 40])('of %i pages shows each change to whoever comes later', async (pages) => {
    for (const blockSize of [512, 4096]) {
      const pageCount = 24;
      const cache = await newCache(pageCount, pages, blockSize);
      drive.faults.read = 0.02; // read again, a sector at a time
      const blocks = pageCount * TAGS_PER_PAGE;
      const model = new Map<number, bigint>();
      const worker = async () => {
        for (let step = 0; step < 150; step++) {
          const block = random.below(blocks);
          const what = random.below(10);
          if (what < 5) {
            const value = BigInt(random.below(2 ** 31));
            await cache.use(Math.floor(block / TAGS_PER_PAGE), (page) => {
              const tag = block % TAGS_PER_PAGE;
              if (page.conditionOfTag(tag) === SectorCondition.damaged) return; // twice unlucky
              page.set(tag, 1, BigUint64Array.of(value), 0, mark);
              cache.changed(page, tag, 1, 1);
              model.set(block, value);
            });
          } else if (what < 8) {
            await cache.use(Math.floor(block / TAGS_PER_PAGE), (page) => {
              for (const [written, value] of model) {
                if (Math.floor(written / TAGS_PER_PAGE) !== page.number) continue;
                const tag = written % TAGS_PER_PAGE;
                if (page.conditionOfTag(tag) === SectorCondition.damaged) continue;
                expect(page.checksum(tag)).toBe(value);
              }
            });
          } else if (what < 9) {
            const before = new Map(model);
            const order = drive.medium.order;
            await cache.writeAll();
            expect(drive.medium.order).toBeGreaterThanOrEqual(order);
            await sidecar.flush();
            for (const [written, value] of before) {
              // Either that or what came after it.
              if (model.get(written) === value) expect(onMedium(written)).toBe(value);
            }
          } else if (model.size > 0) {
            const [written] = [...model.keys()].slice(random.below(model.size));
            const value = model.get(written!);
            const tag = written! % TAGS_PER_PAGE;
            await cache.makeDurable(Math.floor(written! / TAGS_PER_PAGE), tag, 1);
            if (model.get(written!) === value) expect(onMedium(written!)).toBe(value);
          }
          expect(cache.stats().pages).toBeLessThanOrEqual(pages);
          expect(cache.stats().dirty).toBeLessThanOrEqual(pages);
        }
      };
      await Promise.all(Array.from({ length: 6 }, worker));
      await cache.writeAll();
      await sidecar.flush();
      for (const [block, value] of model) expect(onMedium(block)).toBe(value);
      expect(model.size).toBeGreaterThan(200);
      expect(failures).toEqual([]);
      const { misses, writtenForRoom, dirty } = cache.stats();
      expect(dirty).toBe(0);
      if (pages < 24) expect(Math.min(misses, writtenForRoom)).toBeGreaterThan(10);
    }
  });

  it('has a page that is being used, also where what is read ahead takes its place', async () => {
    const cache = await newCache(64, 16);
    // It is the one whose turn it is to go when somebody comes to it from the page before.
    const [oldest, before] = [25, 24];
    const others = Array.from({ length: 14 }, (_, i) => 62 - 2 * i);
    for (const page of [oldest, ...others, before]) await get(cache, page * TAGS_PER_PAGE);
    await put(cache, oldest * TAGS_PER_PAGE, 7n);
    expect(cache.stats().ahead).toBe(1);
    expect(await get(cache, oldest * TAGS_PER_PAGE)).toBe(7n);
  });

  it('reads a page once for all that wait for it', async () => {
    const cache = await newCache(4, 2);
    const { read } = drive.counts;
    const values = await Promise.all(Array.from({ length: 20 }, (_, i) => get(cache, i)));
    expect(values).toEqual(new Array(20).fill(0n));
    expect([drive.counts.read - read, cache.stats().pages]).toEqual([1, 1]);
    expect(cache.tryUse(0)).toBeDefined();
    expect(cache.tryUse(1)).toBeUndefined();
  });

  it('writes no more of a page than what changed', async () => {
    for (const [blockSize, expected] of [
      [512, [512, 1024]],
      [4096, [4096]],
    ] as const) {
      const cache = await newCache(4, 2, blockSize);
      await put(cache, 0, 1n);
      await put(cache, 31 * 5, 2n);
      await put(cache, 31 * 6, 3n);
      const lengths: number[] = [];
      drive.onOperation = ({ length }) => lengths.push(length);
      await cache.writeAll();
      expect(lengths).toEqual(expected);
      await cache.writeAll();
      expect(lengths).toEqual(expected);
    }
  });

  it('keeps what is used all the time through a pass over all pages', async () => {
    const cache = await newCache(600, 64);
    const hot = Array.from({ length: 32 }, (_, i) => 300 + 3 * i);
    const touchHot = async () => {
      const { misses } = cache.stats();
      for (let i = 0; i < 64; i++) await cache.use(hot[random.below(hot.length)]!, () => undefined);
      return cache.stats().misses - misses;
    };
    for (let round = 0; round < 5; round++) await touchHot();
    expect(await touchHot()).toBe(0);
    let missed = 0;
    for (let page = 0; page < 600; page++) {
      // Block by block, and the foreground goes on now and then.
      for (let i = 0; i < TAGS_PER_PAGE; i += 8) {
        if (i === 120) await cache.use(hot[random.below(3)]!, () => undefined);
        await cache.use(page, () => undefined);
      }
      if (page % 40 === 0) missed += await touchHot();
    }
    missed += await touchHot();
    expect(missed).toBe(0);
    expect(cache.stats().pages).toBeLessThanOrEqual(64);
  });

  it('gives pages that are not used any more to those that are', async () => {
    const cache = await newCache(200, 32);
    const miss = async (first: number) => {
      const { misses } = cache.stats();
      for (let i = 0; i < 200; i++) {
        await cache.use(first + 2 * random.below(12), () => undefined);
      }
      return cache.stats().misses - misses;
    };
    for (let first = 0; first < 160; first += 40) {
      for (let round = 0; round < 4; round++) await miss(first);
      expect(await miss(first)).toBe(0);
    }
  });

  it('reads ahead of those who go through it in order, and of nobody else', async () => {
    const cache = await newCache(300, 128);
    for (let page = 0; page < 100; page++) {
      await cache.use(page, () => undefined);
      await world.turns.pass(10);
    }
    expect(cache.stats().misses).toBe(2); // the second shows that it is in order
    expect(cache.stats().ahead).toBeGreaterThan(90);
    const { ahead } = cache.stats();
    const { read } = drive.counts;
    for (let i = 0; i < 60; i++) await cache.use(102 + 2 * random.below(99), () => undefined);
    expect(cache.stats().ahead).toBe(ahead);
    expect(drive.counts.read - read).toBeLessThanOrEqual(60);
  });

  it('writes nothing once a write has failed, and keeps what could not be written', async () => {
    const cache = await newCache(20, 4);
    for (let page = 0; page < 3; page++) await put(cache, page * TAGS_PER_PAGE, 7n);
    drive.failNext('write');
    await expect(cache.writeAll()).rejects.toThrow(withCode('EIO'));
    expect(failures).toMatchObject([{ code: 'EIO' }]);
    const { write } = drive.counts;
    for (let page = 3; page < 20; page++) {
      expect(await get(cache, page * TAGS_PER_PAGE)).toBe(0n); // there is a place left for reading
    }
    expect(await get(cache, 0)).toBe(7n);
    await expect(cache.makeDurable(0, 0, 1)).rejects.toThrow(withCode('EIO'));
    await expect(cache.writeAll()).rejects.toThrow(withCode('EIO'));
    await put(cache, 19 * TAGS_PER_PAGE, 8n);
    // No place is left, and none will be.
    await expect(get(cache, 5 * TAGS_PER_PAGE)).rejects.toThrow(withCode('EIO'));
    expect(await get(cache, 19 * TAGS_PER_PAGE)).toBe(8n);
    expect(drive.counts.write).toBe(write);
  });

  it('shows what cannot be read as damaged, and asks again the next time', async () => {
    const cache = await newCache(4, 2);
    await put(cache, TAGS_PER_PAGE, 5n);
    await cache.writeAll();
    for (const page of [0, 2, 3]) await get(cache, page * TAGS_PER_PAGE); // and it is gone
    drive.medium.breakSector(sidecar.geometry.offsetOfPage(1));
    const conditions = (page: TagPage) => [page.conditionOfTag(0), page.conditionOfTag(31)];
    expect(await cache.use(1, conditions)).toEqual([
      SectorCondition.damaged,
      SectorCondition.blank,
    ]);
    const { read } = drive.counts;
    await cache.use(1, conditions);
    expect(drive.counts.read).toBeGreaterThan(read);
  });
});

it('a tag is not changed without a bit', async () => {
  const cache = await newCache(4, 2);
  const change = cache.use(0, (page) => {
    cache.changed(page, 0, 1, 0);
  });
  await expect(change).rejects.toThrow('without its region');
});
