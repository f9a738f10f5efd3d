// Shows waiting for memory: in order, whatever is wanted; interrupted without loss; ended by close().

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { RingboltError, type Lease } from 'ringbolt';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { startEngine } from '../support/engine.js';
import { Random } from '../support/random.js';

const KIB = 1024;
const MIB = 2 ** 20;
const BLOCK = 4 * KIB;

const collectGarbage = (() => {
  setFlagsFromString('--expose-gc');
  return runInNewContext('gc') as () => void;
})();

/** An engine whose whole pool is leased, in slabs of `bytes`. */
async function exhausted(bytes: number) {
  const engine = await startEngine({ pool: { bytes: MIB } });
  const held = Array.from({ length: MIB / bytes }, () => engine.pool.acquire(bytes));
  return { engine, pool: engine.pool, held };
}

/** Leases as they come, by the name of who waited. */
function listen() {
  const order: string[] = [];
  const got = new Map<string, Lease>();
  const add = (name: string, waiting: Promise<Lease>) =>
    waiting.then((lease) => {
      order.push(name);
      got.set(name, lease);
      return lease;
    });
  return { order, got, add };
}

describe('acquireWhenFree', () => {
  it('is as good as acquire where there is memory', async () => {
    const { pool } = await startEngine();
    using lease = await pool.acquireWhenFree(5000);
    expect(lease.buffer).toHaveLength(5000);
    expect(pool.stats().classes.every(({ waitsTotal }) => waitsTotal === 0)).toBe(true);
  });

  it('waits for the memory, and is counted', async () => {
    const { pool, held } = await exhausted(BLOCK);
    const waiting = pool.acquireWhenFree(BLOCK);
    expect(pool.stats()).toMatchObject({ waiting: 1, classes: { 0: { waitsTotal: 1 } } });
    held.pop()!.release();
    expect((await waiting).buffer).toHaveLength(BLOCK);
    expect(pool.stats().waiting).toBe(0);
  });

  it('serves in order of arrival: small ones do not overtake a large one', async () => {
    const { pool, held } = await exhausted(BLOCK);
    const { order, got, add } = listen();
    const all = [
      add('first', pool.acquireWhenFree(BLOCK)),
      add('large', pool.acquireWhenFree(512 * KIB)),
      add('last', pool.acquireWhenFree(BLOCK)),
    ];
    held.pop()!.release();
    await all[0];
    for (let i = 0; i < 100; i++) held.pop()!.release(); // much, but not in one piece of half the pool
    await Promise.resolve();
    expect(order).toEqual(['first']);
    expect(() => pool.acquire(BLOCK)).toThrow(/2 callers wait for memory/);
    for (const lease of held) lease.release();
    await Promise.all(all);
    expect(order).toEqual(['first', 'large', 'last']);
    expect(got.get('large')!.buffer).toHaveLength(512 * KIB);
  });

  it('ends by a signal, and lets those behind it pass', async () => {
    const { pool, held } = await exhausted(BLOCK);
    const control = new AbortController();
    const large = pool.acquireWhenFree(MIB, { signal: control.signal });
    const small = pool.acquireWhenFree(BLOCK);
    held.pop()!.release();
    control.abort();
    await expect(large).rejects.toMatchObject({ name: 'AbortError' });
    expect((await small).buffer).toHaveLength(BLOCK);
  });

  it('does not begin with a signal that is aborted', async () => {
    const { pool } = await startEngine();
    const waiting = pool.acquireWhenFree(BLOCK, { signal: AbortSignal.abort() });
    await expect(waiting).rejects.toMatchObject({ name: 'AbortError' });
    expect(pool.stats().bytesInUse).toBe(0);
  });

  it('ends by a timeout', async () => {
    const { pool, held } = await exhausted(MIB);
    await expect(pool.acquireWhenFree(1, { timeoutMs: 5 })).rejects.toMatchObject({
      code: 'ERR_RINGBOLT_TIMEOUT',
    });
    held[0]!.release();
    expect(pool.stats()).toMatchObject({ bytesInUse: 0, waiting: 0 });
  });

  it('ends when the engine is closed', async () => {
    const { engine, pool } = await exhausted(MIB);
    const waiting = [pool.acquireWhenFree(1), pool.acquireWhenFree(1)];
    const closing = engine.close();
    for (const each of waiting) {
      await expect(each).rejects.toMatchObject({ code: 'ERR_RINGBOLT_CLOSED' });
    }
    await closing;
    await expect(pool.acquireWhenFree(1)).rejects.toMatchObject({ code: 'ERR_RINGBOLT_CLOSED' });
    await expect(pool.trim()).rejects.toMatchObject({ code: 'ERR_RINGBOLT_CLOSED' });
  });

  it.each([
    ['no bytes', [0]],
    ['more than there is', [MIB + 1]],
    ['a text', ['4096']],
    ['a signal that is none', [1, { signal: {} }]],
    ['a timeout that is none', [1, { timeoutMs: 0 }]],
    ['an option that there is not', [1, { timeout: 1 }]],
  ])('refuses %s, as a rejection', async (_, args) => {
    const { pool } = await startEngine({ pool: { bytes: MIB, largeBytes: 0 } });
    const call = pool.acquireWhenFree.bind(pool) as unknown as (
      ...args: unknown[]
    ) => Promise<Lease>;
    const error: unknown = await call(...args).catch((reason: unknown) => reason);
    expect([TypeError, RangeError, RingboltError]).toContain((error as Error).constructor);
  });

  it('gives nobody anything once the engine is being closed', async () => {
    const { engine, pool, held } = await exhausted(BLOCK);
    const waiting = [pool.acquireWhenFree(MIB), pool.acquireWhenFree(BLOCK)];
    held.pop()!.release(); // for the second, had the first not come before it
    const closing = engine.close();
    for (const each of waiting) {
      await expect(each).rejects.toMatchObject({ code: 'ERR_RINGBOLT_CLOSED' });
    }
    await closing;
  });

  it('serves each once, if forgotten memory comes back in the middle of it', async () => {
    vi.useFakeTimers({ toFake: ['setInterval'] }); // by which it would be found before
    onTestFinished(() => void vi.useRealTimers());
    const { pool, held } = await exhausted(2 * BLOCK);
    held.pop()!.release();
    const small = pool.acquire(BLOCK);
    const other = pool.acquire(BLOCK);
    const waiting = pool.acquireWhenFree(2 * BLOCK);
    const before = held.length;
    (() => held.splice(-2))(); // forgotten
    for (let round = 0; round < 10; round++) {
      collectGarbage();
      await new Promise(setImmediate);
    }
    small.release(); // not enough for who waits; but what was forgotten is found now
    const lease = await waiting;
    const { classes, leakedTotal } = pool.stats();
    expect(leakedTotal).toBe(2);
    expect(classes[1]).toMatchObject({ slabBytes: 2 * BLOCK, inUse: before - 2 + 1 });
    lease.release();
    other.release();
  });

  it('tells whoever waits what went wrong, and not whoever releases', async () => {
    vi.stubEnv('RINGBOLT_DISABLE', 'EXTERNAL_BUFFERS');
    onTestFinished(() => void vi.unstubAllEnvs());
    const { pool, held } = await exhausted(MIB);
    const waiting = [pool.acquireWhenFree(2 * BLOCK), pool.acquireWhenFree(BLOCK)];
    // As where JavaScript has no memory for one.
    const cause = new RangeError('Array buffer allocation failed');
    class Failing extends ArrayBuffer {
      constructor(bytes: number) {
        vi.unstubAllGlobals(); // once
        super(bytes);
        throw cause;
      }
    }
    vi.stubGlobal('ArrayBuffer', Failing);
    onTestFinished(() => void vi.unstubAllGlobals());
    held[0]!.release();
    await expect(waiting[0]).rejects.toMatchObject({
      code: 'ERR_RINGBOLT_POOL_EXHAUSTED',
      cause,
    });
    expect((await waiting[1]!).buffer).toHaveLength(BLOCK);
    expect(pool.stats()).toMatchObject({ waiting: 0, bytesInUse: BLOCK });
  });

  it('loses nothing, whatever is wanted, given back and given up', async () => {
    const random = new Random();
    const { pool, held } = await exhausted(64 * KIB);
    const live = new Set<Lease>(held);
    const ended: Promise<unknown>[] = [];
    for (let step = 0; step < 2000; step++) {
      const control = new AbortController();
      const bytes = 1 + random.below(random.below(10) === 0 ? MIB : 32 * KIB);
      ended.push(
        pool.acquireWhenFree(bytes, { signal: control.signal }).then(
          (lease) => live.add(lease),
          () => undefined,
        ),
      );
      const [oldest] = live;
      // At once, or a turn later: an abort may meet a lease that is on its way.
      if (oldest !== undefined && random.below(10) < 7) {
        live.delete(oldest);
        oldest.release();
      }
      if (random.below(10) < 4) control.abort();
      if (random.below(10) < 3) await Promise.resolve();
    }
    while (pool.stats().waiting > 0) {
      for (const lease of live) lease.release();
      live.clear();
      await Promise.resolve();
    }
    await Promise.all(ended);
    for (const lease of live) lease.release();
    expect(pool.stats()).toMatchObject({ bytesInUse: 0, waiting: 0, leakedTotal: 0 });
    expect(pool.acquire(MIB).buffer).toHaveLength(MIB);
  });
});
