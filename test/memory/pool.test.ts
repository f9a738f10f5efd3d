// Shows leases: aligned, of the length asked for, reused, exhausted and recovered.

import { describe, expect, it } from 'vitest';
import { startEngine } from '../support/engine.js';

const MIB = 2 ** 20;

describe('BufferPool', () => {
  it('leases exactly as many bytes as asked for, from the smallest class that has them', async () => {
    const { pool } = await startEngine();
    const slabBytes = (bytes: number) => {
      using lease = pool.acquire(bytes);
      expect(lease.buffer.length).toBe(bytes);
      return pool.stats().classes.find((of) => of.inUse === 1)?.slabBytes;
    };
    expect(slabBytes(1)).toBe(4096);
    expect(slabBytes(4096)).toBe(4096);
    expect(slabBytes(4097)).toBe(8192);
    expect(slabBytes(MIB)).toBe(MIB);
  });

  it('gives each slab an ArrayBuffer of its own, the same one each time', async () => {
    const { pool } = await startEngine();
    const first = pool.acquire(4096);
    const second = pool.acquire(4096);
    expect(first.buffer.buffer).not.toBe(second.buffer.buffer);
    expect(first.buffer.buffer.byteLength).toBe(4096);
    const memory = first.buffer.buffer;
    first.release();
    const again = pool.acquire(4096); // last in, first out
    expect(again.buffer.buffer).toBe(memory);
  });

  it('leases do not overlap', async () => {
    const { pool } = await startEngine();
    const leases = Array.from({ length: 64 }, (_, i) => {
      const lease = pool.acquire(4096 * (1 + (i % 5)));
      lease.buffer.fill(i);
      return lease;
    });
    for (const [i, lease] of leases.entries()) {
      expect(lease.buffer.every((byte) => byte === i)).toBe(true);
    }
  });

  it('says when it is exhausted, and recovers with the first release', async () => {
    const { pool } = await startEngine({ pool: { bytes: 2 * MIB } });
    const [first] = [pool.acquire(MIB), pool.acquire(MIB)];
    expect(() => pool.acquire(4096)).toThrow(
      expect.objectContaining({ code: 'ERR_RINGBOLT_POOL_EXHAUSTED' }) as Error,
    );
    first.release();
    expect(pool.acquire(4096).buffer.length).toBe(4096);
    const { missesTotal } = pool.stats().classes[0]!;
    expect(missesTotal).toBe(1);
  });

  it('of a single chunk serves all sizes at once', async () => {
    const { pool } = await startEngine({ pool: { bytes: MIB } });
    const sizes = [4096, 8192, 65536, 524_288, 12_288, 1];
    const leases = sizes.map((bytes, i) => {
      const lease = pool.acquire(bytes);
      expect(lease.buffer.length).toBe(bytes);
      lease.buffer.fill(i + 1);
      return lease;
    });
    // Nobody has written into another's.
    for (const [i, { buffer }] of leases.entries()) {
      expect(buffer.every((byte) => byte === i + 1)).toBe(true);
    }
    const { classes, bytesInUse } = pool.stats();
    const of = (bytes: number) => classes.find(({ slabBytes }) => slabBytes === bytes)!;
    expect(of(8192)).toMatchObject({ inUse: 1, missesTotal: 0 });
    expect(bytesInUse).toBe(4096 + 8192 + 65536 + 524_288 + 16_384 + 4096);
    for (const lease of leases) lease.release();
    expect(pool.stats().bytesInUse).toBe(0);
    expect(pool.acquire(MIB).buffer.length).toBe(MIB);
  });

  it('cuts a larger slab where its class has nothing left, and joins the pieces again', async () => {
    const { pool } = await startEngine({ pool: { bytes: MIB, classes: [4096, 65536, MIB] } });
    const first = Array.from({ length: 15 }, () => pool.acquire(65536));
    const second = Array.from({ length: 16 }, () => pool.acquire(100));
    for (const { buffer } of second) expect(buffer.buffer.byteLength).toBe(4096);
    expect(() => pool.acquire(1)).toThrow(/nothing else is left/);
    for (const lease of second) lease.release();
    expect(pool.acquire(65536).buffer.buffer.byteLength).toBe(65536);
    for (const lease of first) lease.release();
    expect(pool.stats().classes.map(({ inUse }) => inUse)).toEqual([0, 1, 0]);
  });

  it('says what is free when that is not enough', async () => {
    const { pool } = await startEngine({ pool: { bytes: MIB, classes: [4096, 8192, MIB] } });
    const leases = Array.from({ length: 256 }, () => pool.acquire(4096));
    expect(() => pool.acquire(1)).toThrow(
      /No 1 bytes are free: 1048576 bytes of the pool's 1048576 are leased; nothing else is left/,
    );
    for (const [i, lease] of leases.entries()) if (i % 2 === 0) lease.release();
    expect(() => pool.acquire(8192)).toThrow(
      /524288 bytes of the pool's 1048576 are leased; the largest free slab has 4096 bytes/,
    );
    leases[1]!.release();
    expect(pool.acquire(8192).buffer.length).toBe(8192);
  });

  it('counts', async () => {
    const { pool } = await startEngine();
    const leases = [1, 2, 3].map(() => pool.acquire(4096));
    leases[0]!.release();
    const stats = pool.stats();
    expect(stats.bytes).toBe(8 * MIB);
    expect(stats.bytesInUse).toBe(8192);
    expect(stats.leakedTotal).toBe(0);
    expect(stats.classes[0]).toMatchObject({ inUse: 2, highWater: 3, acquiredTotal: 3 });
  });

  it('takes classes of the caller', async () => {
    const { pool } = await startEngine({ pool: { bytes: MIB, classes: [8192, 65536] } });
    expect(pool.maxSlabBytes).toBe(65536);
    expect(pool.maxBytes).toBe(2 * MIB); // memory of its own comes in pieces of 2 MiB
    expect(() => pool.acquire(2 * MIB + 1)).toThrow(RangeError);
    expect(pool.stats().classes.map((of) => of.slabBytes)).toEqual([8192, 65536]);
  });
});
