// Shows leases larger than every class: read and written whole, bounded, counted, and given back to the system.

import { constants } from 'node:buffer';
import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { residentBytes } from '../support/resident.js';
import { startEngine } from '../support/engine.js';
import { tempFolder } from '../support/temp-folder.js';

const MIB = 2 ** 20;

describe('a lease larger than the largest class', () => {
  it('is as long as was asked for, and aligned to a page', async () => {
    const { pool } = await startEngine();
    using lease = pool.acquire(3 * MIB + 1);
    expect(lease.buffer).toHaveLength(3 * MIB + 1);
    expect(pool.stats()).toMatchObject({
      bytesInUse: 0,
      large: { bytesInUse: 3 * MIB + 1, acquiredTotal: 1, limitBytes: 8 * MIB },
    });
  });

  it('goes to the kernel without a copy, both ways', async () => {
    const engine = await startEngine();
    const contents = randomBytes(5 * MIB);
    const name = path.join(tempFolder(), 'data');
    writeFileSync(name, contents, { flush: true });
    const file = await engine.open(name, { access: 'read-write' });
    using lease = engine.pool.acquire(contents.length);
    expect(await file.read(0, lease)).toBe(contents.length);
    expect(lease.buffer.equals(contents)).toBe(true);
    lease.buffer.reverse();
    await file.write(0, lease);
    expect(readFileSync(name).equals(contents.reverse())).toBe(true);
    expect(engine.stats().copied).toMatchObject({ readBytes: 0, writtenBytes: 0 });
  });

  it('is refused beyond the limit, and had again as soon as one is released', async () => {
    const { pool } = await startEngine({ pool: { bytes: 8 * MIB, largeBytes: 8 * MIB } });
    const first = pool.acquire(4 * MIB);
    const second = pool.acquire(3 * MIB); // counts as four
    expect(() => pool.acquire(2 * MIB)).toThrow(
      expect.objectContaining({ code: 'ERR_RINGBOLT_POOL_EXHAUSTED' }) as Error,
    );
    expect(pool.acquire(MIB).buffer).toHaveLength(MIB); // a slab
    const waiting = pool.acquireWhenFree(2 * MIB);
    first.release();
    using third = await waiting;
    expect(third.buffer).toHaveLength(2 * MIB);
    expect(pool.stats().large).toMatchObject({ missesTotal: 2, waitsTotal: 1 });
    second.release();
  });

  it('is never longer than a Buffer may be', async () => {
    const { pool } = await startEngine({ pool: { bytes: 8 * MIB, largeBytes: 2 ** 36 } });
    expect(pool.maxBytes).toBe(Math.min(2 ** 36, constants.MAX_LENGTH));
    expect(() => pool.acquire(pool.maxBytes + 1)).toThrow(RangeError);
    using lease = pool.acquire(pool.maxBytes);
    expect(lease.buffer).toHaveLength(pool.maxBytes);
  });

  it('is refused with an error where JavaScript has no memory for a copy', async () => {
    vi.stubEnv('RINGBOLT_DISABLE', 'EXTERNAL_BUFFERS');
    onTestFinished(() => void vi.unstubAllEnvs());
    const { pool } = await startEngine({ pool: { bytes: 8 * MIB, largeBytes: 4 * MIB } });
    class Failing extends ArrayBuffer {
      constructor(bytes: number) {
        super(bytes);
        throw new RangeError('Array buffer allocation failed');
      }
    }
    vi.stubGlobal('ArrayBuffer', Failing);
    onTestFinished(() => void vi.unstubAllGlobals());
    for (const bytes of [1, 3 * MIB]) {
      expect(() => pool.acquire(bytes)).toThrow(
        expect.objectContaining({ code: 'ERR_RINGBOLT_POOL_EXHAUSTED' }) as Error,
      );
    }
    vi.unstubAllGlobals();
    expect(pool.stats()).toMatchObject({ bytesInUse: 0, large: { bytesInUse: 0 } });
    using lease = pool.acquire(4 * MIB);
    expect(lease.buffer).toHaveLength(4 * MIB);
  });

  it('is not to be had where its limit is 0', async () => {
    const { pool } = await startEngine({ pool: { bytes: 8 * MIB, largeBytes: 0 } });
    expect(pool.maxBytes).toBe(MIB);
    expect(() => pool.acquire(MIB + 1)).toThrow(RangeError);
  });

  it('gives its memory back to the system on release, and a view that was kept sees no error', async () => {
    const { pool } = await startEngine({ pool: { bytes: 8 * MIB, largeBytes: 64 * MIB } });
    const before = residentBytes();
    const lease = pool.acquire(64 * MIB);
    const view = lease.buffer;
    view.fill(1);
    const filled = residentBytes();
    expect(filled - before).toBeGreaterThan(60 * MIB);
    lease.release();
    using next = await pool.acquireWhenFree(64 * MIB); // all that there may be: once it is given back
    expect(residentBytes() - before).toBeLessThan(16 * MIB);
    expect([view[0], view.at(-1)]).toEqual([0, 0]);
    next.buffer[7] = 7;
    expect(view[7]).toBe(7); // the next holder's data, and nobody else's
  });
});
