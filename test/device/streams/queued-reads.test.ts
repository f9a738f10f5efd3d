// Shows that the reads of a file's streams, which go to the queues without a promise each, are as whole as any others: late,
// short and refused ones, those that a rate limit holds back, and those that nobody wants any more.

import { readFileSync } from 'node:fs';
import type { BlockFile, Engine, Lease } from 'ringbolt';
import { expect, it, onTestFinished } from 'vitest';
import { startFaulty } from '../../fault/start-faulty.js';
import { BLOCK, numberedFile } from '../../lifecycle/numbered-file.js';
import { rejection } from '../../misuse/refusal.js';
import { startEngine } from '../../support/engine.js';
import { Random } from '../../support/random.js';
import { KIB, until } from './fake-target.js';

const BLOCKS = 1024;
const CHUNK = 16 * KIB;
const OPTIONS = { chunkBytes: CHUNK, highWaterMark: 16 * CHUNK };

const inUse = (engine: Engine) => engine.pool.stats().bytesInUse;

/** The bytes of a pass, checked against the file; `leave` says before which lease to break off. */
async function pass(file: BlockFile, contents: Buffer, leave = Infinity): Promise<number> {
  let at = 0;
  for await (const lease of file.leases(OPTIONS)) {
    const { length } = lease.buffer;
    const same = lease.buffer.equals(contents.subarray(at, at + length));
    lease.release();
    expect(same, `at ${at}`).toBe(true);
    at += length;
    if (--leave < 0) break;
  }
  return at;
}

it('are whole and in order, however late and in whatever parts the answers come', async () => {
  const random = new Random();
  const name = numberedFile(BLOCKS);
  const contents = readFileSync(name);
  const rates = { eintr: 0.1, eagain: 0.1, shortTransfers: 0.3, delays: 0.5, lostCancels: 0.5 };
  const engine = await startFaulty(
    { queues: 2, depth: 8, maxIoBytes: 8 * KIB },
    { seed: 1 + random.below(2 ** 31), ...rates },
  );
  const file = await engine.open(name);
  for (let round = 0; round < 10; round++) {
    expect(await pass(file, contents)).toBe(contents.length);
    await pass(file, contents, random.below(contents.length / CHUNK));
    await until(() => inUse(engine) === 0);
  }
});

it.each(['leases', 'readable'] as const)(
  'that find no room are begun again when some have ended: %s',
  async (method) => {
    const name = numberedFile(BLOCKS);
    const contents = readFileSync(name);
    const engine = await startEngine({ queues: 1, depth: 1, maxQueued: 2 });
    const file = await engine.open(name);
    if (method === 'leases') {
      const all = pass(file, contents);
      expect(engine.stats().waiting).toBe(2); // and thirteen were refused
      expect(await all).toBe(contents.length);
    } else {
      const chunks: Buffer[] = [];
      for await (const chunk of file.readable(OPTIONS)) {
        chunks.push(chunk as Buffer);
        expect(engine.stats().waiting).toBeLessThanOrEqual(2);
      }
      expect(Buffer.concat(chunks).equals(contents)).toBe(true);
    }
    expect(inUse(engine)).toBe(0);
  },
);

/** An engine in which one small read has passed, and all others wait for an hour. */
async function limited() {
  const engine = await startEngine();
  onTestFinished(() => {
    engine.setLimits({});
  });
  const file = await engine.open(numberedFile());
  engine.setLimits({ total: { operationsPerSecond: 1, bytesPerSecond: 1, burstMs: 1 } });
  await file.read(0, new Uint8Array(BLOCK));
  return { engine, file };
}

it('are what an engine has under way: its limits hold them, and its class counts them', async () => {
  const { engine, file } = await limited();
  const iterator = file.leases({ ...OPTIONS, ioClass: 'background' })[Symbol.asyncIterator]();
  const next = iterator.next() as Promise<IteratorResult<Lease, undefined>>;
  expect(engine.stats().waiting).toBe(16);
  engine.setLimits({});
  const { value } = await next;
  value!.release();
  await iterator.return!();
  expect(engine.stats().classes.background.readsTotal).toBeGreaterThan(0);
});

it('go at once when nobody wants them any more, with what they hold', async () => {
  const { engine, file } = await limited();
  const controller = new AbortController();
  const { signal } = controller;
  const iterator = file.leases({ ...OPTIONS, signal })[Symbol.asyncIterator]();
  const next = iterator.next();
  expect(inUse(engine)).toBe(OPTIONS.highWaterMark);
  controller.abort();
  expect(engine.stats().waiting).toBe(0);
  expect(inUse(engine)).toBe(0);
  await expect(next).rejects.toMatchObject({ code: 'ABORT_ERR' });
  await file.close(); // which has nothing to wait for
});

it('are refused, each in its turn, where a file is closed or ends beyond what can be counted', async () => {
  const engine = await startEngine();
  const file = await engine.open(numberedFile());
  const beyond = file.leases({ start: Number.MAX_SAFE_INTEGER - 10 })[Symbol.asyncIterator]();
  expect(await rejection(() => beyond.next())).toMatchObject({ code: 'ERR_OUT_OF_RANGE' });
  const iterator = file.leases(OPTIONS)[Symbol.asyncIterator]();
  await file.close();
  expect(await rejection(() => iterator.next())).toMatchObject({ code: 'ERR_RINGBOLT_CLOSED' });
  expect(await iterator.next()).toEqual({ done: true, value: undefined });
  expect(inUse(engine)).toBe(0);
});
