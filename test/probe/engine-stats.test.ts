// Shows what is advised on an engine's figures, and that whatever is missing in them, or odd, is not judged.

import { describe, expect, it } from 'vitest';
import { judgeEngineStats } from '../../dist/lib/probe/engine-stats.js';
import type { ProbeFeature } from '../../dist/lib/probe/report.js';
import { startEngine } from '../support/engine.js';

const MIB = 2 ** 20;

const SLABS_4K = { slabBytes: 4096, capacity: 1024, inUse: 0, highWater: 900, acquiredTotal: 4000 };
const SLABS_1M = { slabBytes: MIB, capacity: 12, inUse: 0, highWater: 10, acquiredTotal: 500 };

const poolOf = (classes: readonly object[], rest: object = {}) => ({
  info: {},
  stats: { pool: { bytes: 16 * MIB, classes, ...rest } },
});

function find(written: unknown, name: string): ProbeFeature | undefined {
  return judgeEngineStats(written).find((each) => each.name === name);
}

describe('the pool', () => {
  it('that has enough and uses it is as it should be', () => {
    const found = judgeEngineStats(poolOf([SLABS_4K, SLABS_1M], { leakedTotal: 0 }));
    expect(found.map(({ name, degraded }) => [name, degraded])).toEqual([
      ['pool', false],
      ['leases', false],
    ]);
    expect(found[0]!.detail).toBe('16 MiB, of which at most 13.5 MiB were leased');
  });

  it('a class that ran short: how often, and what to set', () => {
    const short = { ...SLABS_4K, missesTotal: 1000, waitsTotal: 50 };
    expect(find(poolOf([short, SLABS_1M]), 'pool.4-KiB')).toMatchObject({
      degraded: true,
      detail: 'of 5000 leases asked for, 1000 were refused (20 %) and 50 had to wait (1.0 %)',
      remedy: expect.stringContaining('pool: { bytes: 24 * 2 ** 20 }') as unknown,
    });
  });

  it('a class that holds much and was hardly ever leased, or never', () => {
    const idle = { ...SLABS_1M, highWater: 1 };
    expect(find(poolOf([SLABS_4K, idle]), 'pool.1-MiB')).toMatchObject({
      detail: 'holds 12 MiB in 12 slabs',
      why: 'at most 1 were leased at once',
    });
    const never = { ...SLABS_1M, highWater: 0, acquiredTotal: 0 };
    expect(find(poolOf([SLABS_4K, never]), 'pool.1-MiB')?.remedy).toMatch(/pool\.classes/);
  });

  it('as a whole', () => {
    const hardly = { ...SLABS_4K, highWater: 10 };
    expect(find(poolOf([hardly]), 'pool')).toMatchObject({
      why: 'most of it was never needed',
      remedy: 'if this was its busiest time: pool: { bytes: 1 * 2 ** 20 }',
    });
  });

  it('large leases that found no room, and those that did', () => {
    const large = { bytesInUse: 0, highWaterBytes: 8 * MIB, acquiredTotal: 30, missesTotal: 10 };
    expect(find(poolOf([], { large }), 'pool.large')).toMatchObject({
      degraded: true,
      detail: '30 leases larger than the largest class, at most 8 MiB at once',
      why: '10 were refused (25 %), 0 had to wait',
    });
    const fine = { ...large, missesTotal: 0 };
    expect(find(poolOf([], { large: fine }), 'pool.large')?.degraded).toBe(false);
    expect(find(poolOf([], { large: { acquiredTotal: 0 } }), 'pool.large')).toBeUndefined();
  });

  it('forgotten leases', () => {
    expect(find(poolOf([], { leakedTotal: 3 }), 'leases')?.why).toMatch(/^3 were forgotten/);
  });

  it('small pages', () => {
    const memory = { poolBytes: 64 * MIB, hugeBytes: 2 * MIB, remarks: '' };
    const found = find({ info: { memory }, stats: {} }, 'huge-pages');
    expect(found).toMatchObject({ degraded: true, detail: '2 MiB of 64 MiB' });
  });
});

describe('operations', () => {
  const classes = (readBytes: number, waiting = 0, kernel = 0) => ({
    foreground: { readBytes, latencyUs: { waiting: { p50: waiting }, kernel: { p50: kernel } } },
  });

  it('that are copied, if they are many', () => {
    const stats = { copied: { readBytes: 50 * MIB }, classes: classes(100 * MIB) };
    expect(find({ info: {}, stats }, 'copies')).toMatchObject({
      degraded: true,
      detail: '50 MiB of the 100 MiB read',
    });
    const few = { copied: { readBytes: 50 * MIB }, classes: classes(1000 * MIB) };
    expect(find({ info: {}, stats: few }, 'copies')?.degraded).toBe(false);
  });

  it.each([
    ['full, and waited for', 128, 900, 100, true],
    ['full once, and not waited for', 128, 20, 100, false],
    ['never full', 100, 900, 100, false],
  ])('in queues that are %s', (_, depthMax, waiting, kernel, degraded) => {
    const stats = { queues: [{ depthMax }], classes: classes(0, waiting, kernel) };
    expect(find({ info: { depth: 128 }, stats }, 'queues')?.degraded).toBe(degraded);
  });

  it('that were refused', () => {
    const found = find({ info: { maxQueued: 10 }, stats: { refusedTotal: 7 } }, 'refusals');
    expect(found?.detail).toBe('7 operations, with ERR_RINGBOLT_OVERLOADED');
    expect(found?.why).toBe('more than maxQueued (10) would have waited');
  });

  it('in queues whose CPUs were not to be had', () => {
    const queues = [{ remarks: 'CPUs 3 may not be used' }, { remarks: '' }];
    const found = find({ info: { queues }, stats: {} }, 'placement');
    expect(found).toMatchObject({ detail: '1 of 2 queues are not where they should be' });
  });
});

describe('an engine of this version', () => {
  it('says all that is judged, and JSON keeps it', async () => {
    const engine = await startEngine({ depth: 2, maxQueued: 2, queues: 2 });
    const noops = Array.from({ length: 20 }, () => engine.noop());
    const refused = (await Promise.allSettled(noops)).filter(({ status }) => status === 'rejected');
    expect(refused.length).toBeGreaterThan(0);
    engine.pool.acquire(4096).release();
    const text = JSON.stringify({ info: engine.info, stats: engine.stats() });
    const found = judgeEngineStats(JSON.parse(text));
    expect(found.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['pool', 'leases', 'huge-pages', 'copies', 'queues', 'refusals']),
    );
    const refusals = found.find(({ name }) => name === 'refusals');
    expect(refusals?.detail).toBe(`${refused.length} operations, with ERR_RINGBOLT_OVERLOADED`);
    expect(text).not.toContain('null');
  });
});

describe('what is no engine’s figures', () => {
  it.each([null, 1, 'x', [], {}, { info: {} }, { stats: {} }, { info: [], stats: {} }])(
    '%j is refused',
    (written) => {
      expect(() => judgeEngineStats(written)).toThrow(/engine\.stats\(\).*"info" and "stats"/);
    },
  );

  it.each([null, -1, 'many', [], {}, Infinity, true])('values that are %j say nothing', (odd) => {
    const keys = ['bytes', 'classes', 'large', 'leakedTotal'];
    const pool = Object.fromEntries(keys.map((key) => [key, odd]));
    const slab = { slabBytes: odd, capacity: odd, highWater: odd, missesTotal: odd };
    const stats = { pool, copied: odd, queues: [odd], classes: odd, refusedTotal: odd };
    const info = { memory: odd, depth: odd, queues: odd };
    for (const inside of [pool, { bytes: 1, classes: [slab, odd] }]) {
      for (const { degraded } of judgeEngineStats({ info, stats: { ...stats, pool: inside } })) {
        expect(degraded).toBe(false);
      }
    }
  });
});
