// Shows what a signal and a deadline do to an operation: what waits goes at once, a read in the kernel is answered at once and
// its memory follows, a write in the kernel is answered with what really came of it.

import { getEventListeners } from 'node:events';
import { readFileSync } from 'node:fs';
import type { BlockFile, Engine, Lease } from 'ringbolt';
import { expect, it, onTestFinished } from 'vitest';
import { BLOCK, numberedFile } from '../lifecycle/numbered-file.js';
import { expectRefused, rejection, rows, wrong } from '../misuse/refusal.js';
import { startEngine } from '../support/engine.js';

const ABORTED = { name: 'AbortError', code: 'ABORT_ERR' };
/** One operation passes, the next waits for an hour. */
const ALMOST_NOTHING = { bytesPerSecond: 1, operationsPerSecond: 1, burstMs: 1 } as const;

interface Stage {
  readonly engine: Engine;
  readonly file: BlockFile;
  readonly name: string;
}

async function stage(options: Parameters<typeof startEngine>[0] = {}): Promise<Stage> {
  const name = numberedFile();
  const engine = await startEngine(options);
  const file = await engine.open(name, { access: 'read-write' });
  onTestFinished(() => {
    engine.setLimits({}); // nothing is left to wait when the engine closes
  });
  return { engine, file, name };
}

/** Operations on `file` wait from now on. */
async function stop({ engine, file }: Stage): Promise<void> {
  engine.setLimits({ total: ALMOST_NOTHING });
  await file.read(0, new Uint8Array(BLOCK)); // uses up the one that passes
}

function leasesOf(engine: Engine, count: number): Lease[] {
  return Array.from({ length: count }, () => engine.pool.acquire(BLOCK));
}

it('what waits goes at once, and its lease is free again', async () => {
  const { engine, file, ...rest } = await stage();
  await stop({ engine, file, ...rest });
  const controller = new AbortController();
  const leases = leasesOf(engine, 3);
  const reads = leases.map((lease) => file.read(0, lease, { signal: controller.signal }));
  expect(engine.stats().waiting).toBe(3);
  const cause = new Error('changed my mind');
  controller.abort(cause);
  expect(engine.stats().waiting).toBe(0);
  for (const lease of leases) lease.release();
  for (const read of reads) await expect(read).rejects.toMatchObject({ ...ABORTED, cause });
  expect(engine.pool.stats().bytesInUse).toBe(0);
});

it('of those that wait, only the interrupted go; the others keep their order', async () => {
  const { engine, file, ...rest } = await stage();
  await stop({ engine, file, ...rest });
  const controller = new AbortController();
  const ended: number[] = [];
  const reads = leasesOf(engine, 9).map(async (lease, index) => {
    const signal = index % 2 === 1 ? { signal: controller.signal } : {};
    try {
      await file.read(index * BLOCK, lease, signal);
      expect(lease.buffer.readUInt32LE(0)).toBe(index);
      ended.push(index);
    } catch (error) {
      expect(error).toMatchObject(ABORTED);
    } finally {
      lease.release();
    }
  });
  controller.abort();
  expect(engine.stats().waiting).toBe(5);
  engine.setLimits({});
  await Promise.all(reads);
  expect(ended.sort()).toEqual([0, 2, 4, 6, 8]);
});

it('a read in the kernel is answered at once; its lease is busy until the kernel lets go', async () => {
  const { engine, file } = await stage();
  const controller = new AbortController();
  const lease = engine.pool.acquire(BLOCK);
  const read = file.read(BLOCK, lease, { signal: controller.signal });
  await Promise.resolve(); // the tick ends, and the queue has it
  controller.abort();
  await expect(read).rejects.toMatchObject(ABORTED);
  await expect(file.read(0, lease)).rejects.toMatchObject({ code: 'ERR_RINGBOLT_BUSY' });
  lease.release();
  await file.close(); // waits for the kernel
  expect(engine.pool.stats().bytesInUse).toBe(0);
});

it('a write in the kernel settles with its real outcome', async () => {
  const { engine, file, name } = await stage();
  const outcomes = { written: 0, aborted: 0 };
  for (let round = 0; round < 200; round++) {
    const before = readFileSync(name).readUInt32LE(0);
    const controller = new AbortController();
    const lease = engine.pool.acquire(BLOCK);
    lease.buffer.fill(0).writeUInt32LE(round + 1000);
    const write = file.write(0, lease, { signal: controller.signal });
    if (round % 2 === 0) await Promise.resolve();
    controller.abort();
    const outcome = await write.then(
      () => 'written' as const,
      (error: unknown) => {
        expect(error).toMatchObject({ ...ABORTED, bytesDone: 0 });
        return 'aborted' as const;
      },
    );
    outcomes[outcome]++;
    lease.release(); // not busy: the kernel has let go
    const after = readFileSync(name).readUInt32LE(0);
    expect(after).toBe(outcome === 'written' ? round + 1000 : before);
  }
  expect(outcomes.written + outcomes.aborted).toBe(200);
});

it('a deadline that passes while it waits: ERR_RINGBOLT_TIMEOUT, and where', async () => {
  const { engine, file, ...rest } = await stage();
  await stop({ engine, file, ...rest });
  const lease = engine.pool.acquire(BLOCK);
  await expect(file.read(3 * BLOCK, lease, { timeoutMs: 5 })).rejects.toMatchObject({
    code: 'ERR_RINGBOLT_TIMEOUT',
    path: file.path,
    offset: 3 * BLOCK,
    length: BLOCK,
    bytesDone: 0,
  });
  const array = new Uint8Array(2 * BLOCK);
  await expect(file.write(0, array, { timeoutMs: 5 })).rejects.toMatchObject({
    code: 'ERR_RINGBOLT_TIMEOUT',
    length: 2 * BLOCK,
  });
  await expect(file.flush({ timeoutMs: 5 })).rejects.toMatchObject({
    code: 'ERR_RINGBOLT_TIMEOUT',
  });
  lease.release();
  expect(engine.pool.stats().bytesInUse).toBe(0);
});

it('one that is in time leaves nothing behind', async () => {
  const { engine, file } = await stage();
  const { signal } = new AbortController();
  const lease = engine.pool.acquire(BLOCK);
  const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
  const before = timers();
  const read = file.read(0, lease, { signal, timeoutMs: 60_000 });
  expect(getEventListeners(signal, 'abort')).toHaveLength(1);
  await read;
  await file.read(0, new Uint8Array(BLOCK), { signal, timeoutMs: 60_000 });
  await file.flush({ signal, timeoutMs: 60_000 });
  await file.readBatch([{ offset: 0, buffer: lease }], { signal, timeoutMs: 60_000 });
  await engine.whenRoom(1, { signal, timeoutMs: 60_000 });
  expect(getEventListeners(signal, 'abort')).toEqual([]);
  expect(timers()).toBeLessThanOrEqual(before); // those that others had may have ended
});

it('ten thousand operations may share a signal', async () => {
  const { engine, file, ...rest } = await stage();
  await stop({ engine, file, ...rest });
  const warnings: Error[] = [];
  const listen = (warning: Error) => warnings.push(warning);
  process.on('warning', listen);
  onTestFinished(() => {
    process.off('warning', listen);
  });
  const controller = new AbortController();
  const { signal } = controller;
  const array = new Uint8Array(BLOCK);
  const reads = Array.from({ length: 10_000 }, () => file.read(0, array, { signal }));
  expect(getEventListeners(signal, 'abort')).toHaveLength(1);
  controller.abort();
  const outcomes = await Promise.allSettled(reads);
  // One comparison for all: ten thousand take longer than the reads.
  const codes = outcomes.map(
    (one) => one.status === 'rejected' && (one.reason as { code: string }).code,
  );
  expect(new Set(codes)).toEqual(new Set([ABORTED.code]));
  expect(engine.stats().waiting).toBe(0);
  expect(warnings).toEqual([]);
});

it('a batch ends as a whole, and what it had not begun never begins', async () => {
  const { engine, file, name } = await stage({ depth: 1 });
  const before = readFileSync(name);
  const controller = new AbortController();
  const leases = leasesOf(engine, 16);
  for (const lease of leases) lease.buffer.fill(0xff);
  const ops = leases.map((buffer, index) => ({ offset: index * BLOCK, buffer }));
  const batch = file.writeBatch(ops, { signal: controller.signal });
  controller.abort();
  expect(engine.stats().waiting).toBe(0);
  await expect(batch).rejects.toMatchObject(ABORTED);
  for (const lease of leases) lease.release();
  expect(readFileSync(name).subarray(BLOCK, 16 * BLOCK)).toEqual(
    before.subarray(BLOCK, 16 * BLOCK),
  );
  expect(engine.pool.stats().bytesInUse).toBe(0);
});

it('a copied read that was aborted never touches its array again', async () => {
  const { engine, file } = await stage();
  const array = new Uint8Array(16 * BLOCK).fill(0xaa);
  for (let round = 0; round < 50; round++) {
    const controller = new AbortController();
    const read = file.read(0, array, { signal: controller.signal });
    for (let turns = round % 5; turns > 0; turns--) await Promise.resolve();
    controller.abort();
    await expect(read).rejects.toMatchObject(ABORTED);
  }
  await file.close();
  expect(array.every((byte) => byte === 0xaa)).toBe(true);
  expect(engine.pool.stats().bytesInUse).toBe(0);
});

it('copied writes larger than the pool are aborted in the middle, with what was done', async () => {
  const name = numberedFile();
  const engine = await startEngine({ pool: { bytes: 2 ** 20 } });
  const file = await engine.open(name, { access: 'read-write' });
  const controller = new AbortController();
  const write = file.write(0, new Uint8Array(16 * 2 ** 20), { signal: controller.signal });
  const another = file.write(0, new Uint8Array(16 * 2 ** 20), { signal: controller.signal });
  await new Promise(setImmediate);
  controller.abort();
  for (const outcome of await Promise.allSettled([write, another])) {
    expect(outcome.status).toBe('rejected');
    const error = (outcome as PromiseRejectedResult).reason as { bytesDone: number };
    expect(error).toMatchObject(ABORTED);
    expect(error.bytesDone % BLOCK).toBe(0);
    expect(error.bytesDone).toBeLessThan(16 * 2 ** 20);
  }
  expect(engine.pool.stats().bytesInUse).toBe(0);
  expect(await file.write(0, new Uint8Array(2 ** 21))).toBe(2 ** 21);
});

it('with a signal that is aborted already nothing happens', async () => {
  const { engine, file } = await stage();
  const signal = AbortSignal.abort();
  const lease = engine.pool.acquire(BLOCK);
  const attempts = [
    () => file.read(0, lease, { signal }),
    () => file.write(0, lease, { signal }),
    () => file.read(0, new Uint8Array(BLOCK), { signal }),
    () => file.readBatch([{ offset: 0, buffer: lease }], { signal }),
    () => file.flush({ signal }),
    () => engine.whenRoom(1, { signal }),
  ];
  for (const attempt of attempts) expect(await rejection(attempt)).toMatchObject(ABORTED);
  lease.release();
  const { readsTotal, writesTotal, flushesTotal } = engine.stats().classes.foreground;
  expect([readsTotal, writesTotal, flushesTotal]).toEqual([0, 0, 0]);
});

it('an event that somebody made up aborts nothing', async () => {
  const { file, engine } = await stage();
  const { signal } = new AbortController();
  const lease = engine.pool.acquire(BLOCK);
  const read = file.read(0, lease, { signal });
  signal.dispatchEvent(new Event('abort'));
  expect(await read).toBe(BLOCK);
});

it.each(rows([null, 0, 'signal', {}, { aborted: false }, new EventTarget()]))(
  'signal: %s is refused',
  async (_, signal) => {
    const { engine, file } = await stage();
    const refusal = { code: 'ERR_INVALID_ARG_TYPE', name: 'TypeError', naming: ['signal'] };
    const options = { signal: wrong(signal) };
    await expectRefused(() => file.read(0, new Uint8Array(BLOCK), options), refusal);
    await expectRefused(() => file.flush(options), refusal);
    await expectRefused(() => engine.whenRoom(1, options), refusal);
  },
);

it.each(rows([0, -1, 1.5, Number.NaN, Infinity, 2 ** 31]))(
  'timeoutMs: %s is refused',
  async (_, timeoutMs) => {
    const { engine, file } = await stage();
    const refusal = { code: 'ERR_OUT_OF_RANGE', name: 'RangeError', naming: ['timeoutMs'] };
    const options = { timeoutMs: wrong(timeoutMs) };
    await expectRefused(() => file.read(0, new Uint8Array(BLOCK), options), refusal);
    await expectRefused(() => engine.close(options), refusal);
    expect(await file.read(0, new Uint8Array(BLOCK))).toBe(BLOCK); // it did not close
  },
);
