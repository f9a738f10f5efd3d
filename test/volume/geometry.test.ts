// Shows where a sidecar's parts lie: sizes as promised, no two areas in one place, tags that never share a sector between regions, and
// growth that moves nothing.

import { describe, expect, it } from 'vitest';
import {
  Geometry,
  MAX_REGIONS,
  PAGE_BYTES,
  planGrowth,
  planLayout,
  shapeOf,
  SUPERBLOCK_BYTES,
  SUPERBLOCK_COPIES,
  TAGS_PER_PAGE,
  TAGS_PER_SECTOR,
} from '../../dist/lib/volume/geometry.js';
import { Random } from '../support/random.js';

const KIB = 1024;
const GIB = KIB ** 3;
const TIB = KIB ** 4;

const geometryOf = (dataBytes: number, blockSize: number) => {
  const shape = shapeOf(dataBytes, blockSize);
  return new Geometry(shape, planLayout(shape));
};

describe('the layout of a sidecar', () => {
  it('is as large as promised', () => {
    expect(geometryOf(TIB, 4 * KIB).sidecarBytes / GIB).toBeCloseTo(4.13, 2);
    expect(geometryOf(TIB, 64 * KIB).sidecarBytes / GIB).toBeCloseTo(0.26, 2);
    expect(geometryOf(1, 4 * KIB).sidecarBytes).toBe(KIB * KIB + PAGE_BYTES);
  });

  it('has areas one after the other, in whole units of 4 KiB', () => {
    for (const dataBytes of [1, GIB, 3 * TIB + 17, Number.MAX_SAFE_INTEGER]) {
      const { layout, sidecarBytes } = geometryOf(dataBytes, 4 * KIB);
      let end = SUPERBLOCK_COPIES * SUPERBLOCK_BYTES;
      for (const { offset, length } of [...layout.bitmaps, layout.log, layout.tags]) {
        expect(offset).toBe(end);
        expect(length % (4 * KIB)).toBe(0);
        end += length;
      }
      expect(sidecarBytes).toBe(end);
      expect(Number.isSafeInteger(end)).toBe(true);
    }
  });

  it('has as many regions as it may, and no more', () => {
    for (const blockSize of [4 * KIB, 64 * KIB]) {
      for (const dataBytes of [1, 100 * GIB, TIB, 5 * TIB, 900 * TIB, Number.MAX_SAFE_INTEGER]) {
        const { regionCount, pageCount, layout } = geometryOf(dataBytes, blockSize);
        expect(regionCount).toBeLessThanOrEqual(MAX_REGIONS);
        expect(Number.isInteger(Math.log2(layout.pagesPerRegion))).toBe(true);
        const half = layout.pagesPerRegion / 2;
        if (half >= 1) expect(Math.ceil(pageCount / half)).toBeGreaterThan(MAX_REGIONS);
      }
    }
    expect(geometryOf(MAX_REGIONS * TAGS_PER_PAGE * 4 * KIB, 4 * KIB).regionCount).toBe(
      MAX_REGIONS,
    );
    expect(geometryOf(MAX_REGIONS * TAGS_PER_PAGE * 4 * KIB + 1, 4 * KIB).regionCount).toBe(
      MAX_REGIONS / 2 + 1,
    );
  });

  it('gives each block one tag, and all blocks of a tag sector one region', () => {
    const random = new Random();
    for (const dataBytes of [1, 40 * KIB, 77 * GIB + 1, 3 * TIB, Number.MAX_SAFE_INTEGER]) {
      const geometry = geometryOf(dataBytes, 4 * KIB);
      expect(geometry.dataBytes).toBe(dataBytes);
      const last = geometry.blockCount - 1;
      const some = Array.from({ length: 200 }, () =>
        Math.floor((random.below(2 ** 30) / 2 ** 30) * last),
      );
      for (const block of [0, ...some, last]) {
        const page = geometry.pageOfBlock(block);
        const tag = geometry.tagOfBlock(block);
        expect(page * TAGS_PER_PAGE + tag).toBe(block);
        expect(tag).toBeLessThan(geometry.tagsOfPage(page));
        expect(geometry.offsetOfPage(page) + PAGE_BYTES).toBeLessThanOrEqual(geometry.sidecarBytes);
        const region = geometry.regionOfBlock(block);
        expect(region).toBeLessThan(geometry.regionCount);
        expect(geometry.regionOfPage(page)).toBe(region);
        expect(geometry.firstBlockOfRegion(region)).toBeLessThanOrEqual(block);
        expect(geometry.endBlockOfRegion(region)).toBeGreaterThan(block);
        const sectorStart = block - (tag % TAGS_PER_SECTOR);
        const sectorEnd = Math.min(last, sectorStart + TAGS_PER_SECTOR - 1);
        expect(geometry.regionOfBlock(sectorStart)).toBe(region);
        expect(geometry.regionOfBlock(sectorEnd)).toBe(region);
      }
    }
  });

  it('counts the bytes of a ragged last block', () => {
    const geometry = geometryOf(4 * GIB + 5, 4 * KIB);
    const blocks = geometry.blockCount;
    expect(geometry.bytesOfBlock(blocks - 1)).toBe(5);
    expect(geometry.bytesOfBlock(blocks - 2)).toBe(4 * KIB);
    let bytes = 0;
    for (let region = 0; region < geometry.regionCount; region++) {
      bytes += geometry.bytesOfRegion(region);
    }
    expect(bytes).toBe(4 * GIB + 5);
    expect(geometry.endBlockOfRegion(geometry.regionCount - 1)).toBe(blocks);
  });

  it('grows at its end', () => {
    const shape = shapeOf(GIB, 4 * KIB);
    const layout = planLayout(shape);
    const grown = planGrowth(layout, shapeOf(2 * GIB, 4 * KIB));
    expect({ ...grown, tags: undefined }).toEqual({ ...layout, tags: undefined });
    expect(grown.tags.offset).toBe(layout.tags.offset);
    expect(grown.tags.length).toBeGreaterThan(layout.tags.length);
    const huge = shapeOf(900 * TIB, 4 * KIB);
    expect(planGrowth(layout, huge)).toEqual(planLayout(huge));
    // A region never becomes smaller.
    const coarse = { ...layout, pagesPerRegion: 16 };
    expect(planGrowth(coarse, shapeOf(2 * GIB, 4 * KIB)).pagesPerRegion).toBe(16);
  });

  it.each([
    [1, 2 * KIB],
    [1, 128 * KIB],
    [1, 5 * KIB],
    [0, 4 * KIB],
    [2 ** 53, 4 * KIB],
    [1.5, 4 * KIB],
  ])('refuses %i bytes in blocks of %i', (dataBytes, blockSize) => {
    expect(() => shapeOf(dataBytes, blockSize)).toThrow(
      expect.objectContaining({ code: 'ERR_OUT_OF_RANGE' }),
    );
  });
});
