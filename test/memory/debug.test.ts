// Shows the pool for those who look for an error: who holds what, memory that is gone on release, writes after it found out.

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { startEngine } from '../support/engine.js';

const MIB = 2 ** 20;
const BLOCK = 4096;

/** ArrayBuffer.prototype.transfer(), which Node 20 has only when asked for it. */
function transferred(memory: ArrayBuffer): ArrayBuffer {
  setFlagsFromString('--harmony-rab-gsab-transfer');
  const transfer: unknown = runInNewContext('ArrayBuffer.prototype.transfer');
  return Reflect.apply(transfer as (this: ArrayBuffer) => ArrayBuffer, memory, []);
}

/** Puts something else in the place of a property of Error, until the test ends or the result is called. */
function replaceOfError(name: string, by: PropertyDescriptor): () => void {
  const before = Object.getOwnPropertyDescriptor(Error, name);
  const restore = () => {
    if (before === undefined) Reflect.deleteProperty(Error, name);
    else Object.defineProperty(Error, name, before);
  };
  Object.defineProperty(Error, name, { ...by, configurable: true });
  onTestFinished(restore);
  return restore;
}

const startDebugging = () => startEngine({ pool: { bytes: MIB, debug: true } });

describe('a pool in debug mode', () => {
  it('says who holds what, since when, and from where', async () => {
    const engine = await startDebugging();
    const { pool } = engine;
    function leaky() {
      return pool.acquire(5000);
    }
    const first = leaky();
    const second = pool.acquire(4 * MIB > pool.maxBytes ? MIB / 2 : 1);
    const holders = pool.holders();
    expect(holders).toHaveLength(2);
    expect(holders[0]).toMatchObject({ bytes: 5000, inFlight: false });
    expect(holders[0]!.heldMs).toBeGreaterThanOrEqual(holders[1]!.heldMs);
    const [innermost] = holders[0]!.where.split('\n');
    expect(innermost).toMatch(/leaky.*debug\.test/);
    first.release();
    second.release();
    expect(pool.holders()).toEqual([]);
  });

  it('detaches memory on release: a view that was kept shows nothing', async () => {
    const { pool } = await startDebugging();
    const lease = pool.acquire(BLOCK);
    const { buffer } = lease;
    const view = new Uint8Array(buffer.buffer, 0, 100);
    view.fill(1);
    lease.release();
    expect([buffer.length, view.length]).toEqual([0, 0]);
    using next = pool.acquire(BLOCK);
    expect(next.buffer).toHaveLength(BLOCK);
    expect(next.buffer[0]).toBe(0xdb);
  });

  it('finds out who writes to memory that was given back', async () => {
    const warned = new Promise<Error & { code?: string; detail?: string }>((resolve) => {
      process.once('warning', resolve);
    });
    const { pool } = await startDebugging();
    function careless() {
      return pool.acquire(2 * BLOCK);
    }
    const lease = careless();
    const memory = lease.buffer.buffer as ArrayBuffer;
    const kept = new Uint8Array(transferred(memory)); // it is the slab all the same
    lease.release();
    kept[BLOCK] = 1;
    const leases = Array.from({ length: MIB / BLOCK }, () => pool.acquire(BLOCK));
    const { code, detail } = await warned;
    expect(code).toBe('RINGBOLT_WRITTEN_AFTER_RELEASE');
    expect(detail).toMatch(/careless.*debug\.test/);
    for (const each of leases) each.release();
  });

  it('has nothing to say of slabs that are cut, joined and filled in good order', async () => {
    const warnings: string[] = [];
    const listen = (warning: Error) => warnings.push(warning.message);
    process.on('warning', listen);
    onTestFinished(() => void process.off('warning', listen));
    const { pool } = await startDebugging();
    for (const bytes of [BLOCK, MIB, 2 * BLOCK, MIB, BLOCK]) {
      const leases = Array.from({ length: MIB / bytes }, () => pool.acquire(bytes));
      for (const lease of leases) lease.buffer.fill(bytes);
      for (const lease of leases) lease.release();
      if (bytes === 2 * BLOCK) await pool.trim();
    }
    await new Promise(setImmediate);
    expect(warnings).toEqual([]);
  });

  it('has nothing to say of slabs that come back while the pool is trimmed', async () => {
    const warnings: string[] = [];
    const listen = (warning: Error) => warnings.push(warning.message);
    process.on('warning', listen);
    onTestFinished(() => void process.off('warning', listen));
    const { pool } = await startEngine({
      pool: { bytes: 8 * MIB, classes: [BLOCK], hugePages: 'off', debug: true },
    });
    for (let round = 0; round < 4; round++) {
      const leases = Array.from({ length: (8 * MIB) / BLOCK }, () => pool.acquire(BLOCK));
      const trimmed = pool.trim();
      for (const lease of leases) lease.release();
      await trimmed;
    }
    for (let i = 0; i < (8 * MIB) / BLOCK; i++) pool.acquire(BLOCK);
    await new Promise(setImmediate);
    expect(warnings).toEqual([]);
  });

  it.each<[string, typeof Error.prepareStackTrace]>([
    ['call sites', (_, sites) => sites],
    [
      'an exception',
      () => {
        throw new Error('as asked');
      },
    ],
  ])('loses no lease where the program makes %s of stacks', async (_, prepare) => {
    const { pool } = await startDebugging();
    const restore = replaceOfError('prepareStackTrace', { value: prepare, writable: true });
    const [first, second] = [pool.acquire(1), pool.acquire(1)];
    expect(pool.holders()).toMatchObject([{ where: '' }, { where: '' }]);
    first.release();
    second.release();
    restore();
    expect(pool.stats().bytesInUse).toBe(0);
  });

  it('loses no lease where the program has fixed the length of stacks', async () => {
    const { pool } = await startDebugging();
    replaceOfError('stackTraceLimit', {
      get: () => 10,
      set() {
        throw new Error('as asked');
      },
    });
    pool.acquire(1).release();
    expect(pool.stats().bytesInUse).toBe(0);
  });

  it('is chosen by the environment, too, and the option wins', async () => {
    vi.stubEnv('RINGBOLT_POOL_DEBUG', '1');
    onTestFinished(() => void vi.unstubAllEnvs());
    expect((await startEngine()).pool.holders()).toEqual([]);
    const engine = await startEngine({ pool: { bytes: MIB, debug: false } });
    expect(() => engine.pool.holders()).toThrow(
      expect.objectContaining({ code: 'ERR_RINGBOLT_UNSUPPORTED' }) as Error,
    );
  });
});
