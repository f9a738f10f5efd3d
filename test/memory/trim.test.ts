// Shows trimming: what nobody leases goes back to the system, what somebody does stays as it is, and all of it is usable afterwards.

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import { startEngine } from '../support/engine.js';
import { residentBytes } from '../support/resident.js';
import { turnsDuring } from '../support/turns.js';

const MIB = 2 ** 20;
const BLOCK = 4096;

const collectGarbage = (() => {
  setFlagsFromString('--expose-gc');
  return runInNewContext('gc') as () => void;
})();

describe('pool.trim()', () => {
  it('gives back what is free, and what is leased keeps its contents', async () => {
    const { pool } = await startEngine({ pool: { bytes: 64 * MIB } });
    const held = Array.from({ length: 32 }, (_, i) => {
      const lease = pool.acquire(MIB);
      lease.buffer.fill(i + 1);
      return lease;
    });
    const before = residentBytes();
    const trimmed = await pool.trim();
    expect(trimmed).toBeGreaterThan(28 * MIB); // whole huge pages
    expect(trimmed).toBeLessThanOrEqual(32 * MIB);
    expect(before - residentBytes()).toBeGreaterThan(24 * MIB);
    for (const [i, lease] of held.entries()) {
      expect(lease.buffer.every((byte) => byte === i + 1)).toBe(true);
    }
    expect(pool.stats().trimmedBytesTotal).toBe(trimmed);
    expect(await pool.trim()).toBe(0); // nothing new
    const rest = Array.from({ length: 32 }, () => pool.acquire(MIB));
    for (const lease of rest) lease.buffer.fill(0xff);
    expect(held[0]!.buffer.every((byte) => byte === 1)).toBe(true);
  });

  it('gives back half of a pool that was used in small pieces', async () => {
    const { pool } = await startEngine({ pool: { bytes: 16 * MIB } });
    const leases = Array.from({ length: (16 * MIB) / BLOCK }, () => pool.acquire(BLOCK));
    for (const lease of leases) lease.release();
    expect(await pool.trim()).toBe(16 * MIB);
    expect(pool.acquire(BLOCK).buffer).toHaveLength(BLOCK);
  });

  it('is one at a time: calls meanwhile are one more', async () => {
    const { pool } = await startEngine({ pool: { bytes: 16 * MIB, hugePages: 'off' } });
    const lease = pool.acquire(MIB);
    const first = pool.trim();
    lease.release(); // for the next
    const rest = await Promise.all(Array.from({ length: 1000 }, () => pool.trim()));
    expect(await first).toBe(15 * MIB);
    expect(new Set(rest)).toEqual(new Set([MIB]));
    expect(pool.stats().trimmedBytesTotal).toBe(16 * MIB);
  });

  it('does not hide that a lease was forgotten whose slab had an earlier buffer', async () => {
    const { pool } = await startEngine();
    const collect = async () => {
      for (let round = 0; round < 10; round++) {
        collectGarbage();
        await new Promise(setImmediate);
      }
    };
    pool.acquire(BLOCK).release();
    await pool.trim(); // buffers of free slabs are let go
    await collect();
    pool.acquire(BLOCK);
    await collect();
    expect(pool.stats()).toMatchObject({ leakedTotal: 1, bytesInUse: 0 });
  });

  it('does not hold up the event loop', async () => {
    const { pool } = await startEngine({ pool: { bytes: 64 * MIB } });
    expect(await turnsDuring(() => pool.trim())).toBeGreaterThan(0);
  });
});
