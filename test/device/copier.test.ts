// Shows that copied transfers are admitted or refused as a whole, share the pool in order, survive whatever happens to the
// caller's array, and always end: once, and with the bytes they did.

import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { BlockFile, Engine, EngineOptions } from 'ringbolt';
import { describe, expect, it } from 'vitest';
import { startEngine } from '../support/engine.js';
import { tempFolder } from '../support/temp-folder.js';

const KIB = 1024;
const MIB = KIB * KIB;

async function openFile(
  bytes: Buffer,
  options: EngineOptions = {},
): Promise<{ engine: Engine; file: BlockFile; name: string }> {
  const name = path.join(tempFolder(), 'data');
  writeFileSync(name, bytes, { flush: true });
  const engine = await startEngine(options);
  return { engine, name, file: await engine.open(name, { access: 'read-write' }) };
}

describe('copied transfers', () => {
  it('are not refused in the middle, however shallow the queue', async () => {
    const { file, name } = await openFile(Buffer.alloc(4 * MIB), { depth: 2, maxQueued: 0 });
    const bytes = randomBytes(4 * MIB);
    expect(await file.write(0, bytes)).toBe(bytes.length);
    expect(readFileSync(name).equals(bytes)).toBe(true);
  });

  it('count as waiting, so that no more are taken than maxQueued allows', async () => {
    const { file, engine } = await openFile(Buffer.alloc(MIB), { depth: 4, maxQueued: 16 });
    const array = new Uint8Array(4096);
    const settled = await Promise.allSettled(
      Array.from({ length: 1000 }, () => file.read(0, array)),
    );
    const codes = settled.map((one) =>
      one.status === 'fulfilled' ? one.value : (one.reason as { code: string }).code,
    );
    expect(codes.filter((code) => code === 4096)).toHaveLength(20);
    expect(codes.filter((code) => code === 'ERR_RINGBOLT_OVERLOADED')).toHaveLength(980);
    expect(engine.stats().pool.bytesInUse).toBe(0);
    expect(await file.read(0, array)).toBe(4096);
  });

  it('wait for slabs in order of arrival, without asking for each in vain', async () => {
    const { file, engine } = await openFile(Buffer.alloc(MIB), {
      pool: { bytes: 64 * KIB, classes: [4096] },
    });
    const order: number[] = [];
    await Promise.all(
      Array.from({ length: 2000 }, async (_, index) => {
        await file.write(0, new Uint8Array(4096));
        order.push(index);
      }),
    );
    const { missesTotal } = engine.stats().pool.classes[0]!;
    expect(missesTotal).toBeLessThan(2000);
    // Sixteen are under way at once, and may end in any order. One may be overtaken by any number, if the thread that has it loses
    // its CPU; but none ends before those in front of it have begun.
    for (const [place, index] of order.entries()) {
      expect(index - place).toBeLessThan(64);
    }
  });

  it('are refused when all slabs are leased out, and nothing is lost', async () => {
    const { file, engine } = await openFile(Buffer.alloc(MIB), {
      pool: { bytes: 8 * KIB, classes: [4096] },
    });
    const leases = [engine.pool.acquire(4096), engine.pool.acquire(4096)];
    await expect(file.read(0, new Uint8Array(4096))).rejects.toMatchObject({
      code: 'ERR_RINGBOLT_POOL_EXHAUSTED',
      bytesDone: 0,
    });
    leases[0]!.release();
    expect(await file.read(0, new Uint8Array(16 * KIB))).toBe(16 * KIB);
  });

  it('find room in a small pool beside a lease of another size', async () => {
    const { file, engine } = await openFile(randomBytes(MIB), { pool: { bytes: MIB } });
    const lease = engine.pool.acquire(4 * KIB);
    const whole = new Uint8Array(MIB);
    expect(await file.read(0, whole.subarray(0, 8 * KIB))).toBe(8 * KIB);
    expect(await file.read(0, whole)).toBe(MIB);
    expect(readFileSync(file.path).equals(whole)).toBe(true);
    lease.release();
  });

  it('say what is free when it is not enough for a piece', async () => {
    const { file, engine } = await openFile(Buffer.alloc(MIB), {
      pool: { bytes: 64 * KIB, classes: [4 * KIB, 64 * KIB] },
    });
    const leases = Array.from({ length: 16 }, () => engine.pool.acquire(4 * KIB));
    leases[3]!.release();
    await expect(file.read(0, new Uint8Array(8 * KIB))).rejects.toThrow(
      "No slab of 8192 bytes is free to copy through: 61440 bytes of the pool's 65536 are leased; " +
        'the largest free slab has 4096 bytes',
    );
    expect(await file.read(0, new Uint8Array(4 * KIB))).toBe(4 * KIB);
  });

  it('whose array is detached under way reject with what was done, and the file can be closed', async () => {
    const { file, engine } = await openFile(Buffer.alloc(4 * MIB), {
      pool: { bytes: 256 * KIB, classes: [4096] },
    });
    // More than the pool has slabs for, so that some wait when it happens.
    const arrays = Array.from({ length: 20 }, () => new Uint8Array(64 * KIB));
    const writes = arrays.map((array, index) => file.write(index * 64 * KIB, array));
    const settled = Promise.allSettled(writes);
    for (const array of arrays) structuredClone(array.buffer, { transfer: [array.buffer] });
    for (const outcome of await settled) {
      if (outcome.status === 'fulfilled') continue;
      expect(outcome.reason).toMatchObject({ code: 'ERR_INVALID_ARG_VALUE' });
      expect((outcome.reason as { bytesDone: number }).bytesDone).toBeLessThan(64 * KIB);
    }
    await file.close();
    expect(engine.stats().pool.bytesInUse).toBe(0);
  });

  it('take no notice of what a subclass does', async () => {
    class Sly extends Uint8Array {
      static get [Symbol.species](): Uint8ArrayConstructor {
        throw new Error('species');
      }
      override set(): void {
        throw new Error('set');
      }
      override subarray(): Uint8Array<ArrayBuffer> {
        return new Uint8Array(0);
      }
      override get length(): number {
        return 1;
      }
    }
    const { file, name } = await openFile(Buffer.alloc(MIB));
    expect(await file.write(0, new Sly(4096).fill(7))).toBe(4096);
    await file.flush();
    expect(
      readFileSync(name)
        .subarray(0, 4096)
        .every((byte) => byte === 7),
    ).toBe(true);
    const into = new Sly(4096);
    expect(await file.read(0, into)).toBe(4096);
    expect(into[4095]).toBe(7);
    expect(await file.read(0, new Uint8Array(4096))).toBe(4096);
  });
});
