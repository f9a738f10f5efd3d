// Shows what a device that answers late, or not at all, does to what is under way: reads are given up at once when they are told to
// be, writes settle with what really came of them, and close() says what it waits for.
//
// The device is a loop device over a file of a frozen file system: its first write waits for the thaw, and whatever comes after
// waits behind it, reads too. RINGBOLT_DEVICE_SECONDS says for how long; `npm run soak` has 5.

import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setImmediate } from 'node:timers/promises';
import type { BlockFile, Engine, Lease, WriteOptions } from 'ringbolt';
import { describe, expect, it, vi, type TestContext } from 'vitest';
import { BLOCK, isNumbered, numbered } from '../lifecycle/numbered-file.js';
import { rejection } from '../misuse/refusal.js';
import { BACKENDS, needBackend, type Backend } from '../support/backends.js';
import { startEngine } from '../support/engine.js';
import { freezer } from '../support/freezer.js';
import { ext4Folder, loopDeviceOver } from '../support/loop-device.js';

const SECONDS = Number(process.env['RINGBOLT_DEVICE_SECONDS'] ?? 0.5);
const LIMIT_MS = 60_000;
const BLOCKS = 64;
const TIMEOUT = { code: 'ERR_RINGBOLT_TIMEOUT' };
const ABORTED = { code: 'ABORT_ERR', name: 'AbortError' };

interface Stage {
  readonly engine: Engine;
  readonly file: BlockFile;
  readonly lease: () => Lease;
  /** From now on the device answers nothing; what it does not answer first is this write, of ones, to block 0. */
  readonly stop: (options?: WriteOptions) => Promise<{ readonly write: Promise<number> }>;
  readonly silent: () => boolean;
  /** Resolves when the device has been silent for so long, and answers again. */
  readonly answerLate: () => Promise<void>;
  /** Until so many operations have reached the device. */
  readonly reached: (count: number) => Promise<void>;
}

async function stage(backend: Backend, skip: TestContext['skip']): Promise<Stage> {
  await needBackend(backend, skip);
  const folder = ext4Folder(skip, 16 * 2 ** 20);
  const image = path.join(folder, 'image');
  writeFileSync(image, numbered(BLOCKS), { flush: true });
  const device = loopDeviceOver(skip, image);
  const engine = await startEngine({ backend });
  const file = await engine.open(device, { access: 'read-write', direct: true });
  const { freeze, thaw } = freezer(folder);
  let silent = false;
  const lease = () => engine.pool.acquire(BLOCK);
  const reached = async (count: number) => {
    const inFlight = () =>
      readFileSync(`/sys/block/${path.basename(device)}/inflight`, 'utf8')
        .trim()
        .split(/\s+/);
    while (inFlight().reduce((sum, text) => sum + Number(text), 0) < count) await setImmediate();
  };
  return {
    engine,
    file,
    lease,
    reached,
    async stop(options) {
      freeze();
      silent = true;
      const first = lease();
      first.buffer.fill(1);
      const write = file.write(0, first, options);
      await reached(1);
      return { write };
    },
    silent: () => silent,
    answerLate: () =>
      new Promise((resolve) => {
        setTimeout(() => {
          silent = false;
          thaw();
          resolve();
        }, SECONDS * 1000);
      }),
  };
}

/** What the device has, read anew. */
async function blockOf({ file, lease }: Stage, block: number): Promise<Buffer> {
  const into = lease();
  expect(await file.read(block * BLOCK, into)).toBe(BLOCK);
  const copy = Buffer.from(into.buffer);
  into.release();
  return copy;
}

describe.each(BACKENDS)('a device that answers late, %s', (backend) => {
  it(
    'a running write settles with what came of it, however early it was given up',
    { timeout: LIMIT_MS },
    async ({ skip }) => {
      const all = await stage(backend, skip);
      const { file, lease, silent, stop } = all;
      const controller = new AbortController();
      const { write } = await stop({ signal: controller.signal });
      controller.abort();
      let settledWhileSilent = false;
      void write.finally(() => (settledWhileSilent = silent()));
      // Behind it: they may not have been begun, and then they have not been made.
      const later = [1, 2, 3].map((block) => {
        const from = lease();
        from.buffer.fill(1);
        return file.write(block * BLOCK, from, { timeoutMs: 10 });
      });
      const outcomes = Promise.allSettled(later);
      await all.answerLate();
      expect(await write).toBe(BLOCK);
      expect(settledWhileSilent).toBe(false);
      expect((await blockOf(all, 0)).every((byte) => byte === 1)).toBe(true);
      for (const [index, outcome] of (await outcomes).entries()) {
        const found = await blockOf(all, index + 1);
        if (outcome.status === 'fulfilled') expect(found.every((byte) => byte === 1)).toBe(true);
        else expect(outcome.reason).toMatchObject(TIMEOUT);
        if (outcome.status === 'rejected') expect(isNumbered(found, index + 1)).toBe(true);
      }
    },
  );

  it(
    'a read that is given up is so at once, and its lease comes back with the answer',
    { timeout: LIMIT_MS },
    async ({ skip }) => {
      const all = await stage(backend, skip);
      const { engine, file, lease, silent, stop, reached } = all;
      const { write } = await stop();
      const [given, kept] = [lease(), lease()];
      const controller = new AbortController();
      const aborted = file.read(8 * BLOCK, given, { signal: controller.signal });
      const patient = file.read(10 * BLOCK, kept);
      await reached(3);
      controller.abort();
      expect(await rejection(() => aborted)).toMatchObject(ABORTED);
      expect(
        await rejection(() => file.read(12 * BLOCK, lease(), { timeoutMs: 10 })),
      ).toMatchObject(TIMEOUT);
      const array = new Uint8Array(8 * BLOCK);
      expect(await rejection(() => file.read(16 * BLOCK, array, { timeoutMs: 10 }))).toMatchObject(
        TIMEOUT,
      );
      const batch = [{ offset: 32 * BLOCK, buffer: lease() }];
      expect(await rejection(() => file.readBatch(batch, { timeoutMs: 10 }))).toMatchObject(
        TIMEOUT,
      );
      expect(silent()).toBe(true);
      // The kernel still has it.
      expect(await rejection(() => file.read(0, given))).toMatchObject({
        code: 'ERR_RINGBOLT_BUSY',
      });

      await all.answerLate();
      expect(await patient).toBe(BLOCK);
      expect(isNumbered(kept.buffer, 10)).toBe(true);
      expect(await write).toBe(BLOCK);
      expect(array.every((byte) => byte === 0)).toBe(true); // was never written to
      const inUse = () => engine.pool.stats().bytesInUse;
      given.release();
      kept.release();
      while (inUse() > 3 * BLOCK) await setImmediate();
      expect(isNumbered(await blockOf(all, 8), 8)).toBe(true);
    },
  );

  it(
    'close() warns after ten seconds of what it waits for, and ends with the answer',
    { timeout: LIMIT_MS },
    async ({ skip }) => {
      const all = await stage(backend, skip);
      const { engine, file, stop, silent } = all;
      const { write } = await stop();
      const warned = new Promise<Error>((resolve) => process.once('warning', resolve));
      vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
      const closed = engine.close();
      vi.advanceTimersByTime(9_999);
      const early = Promise.race([warned, setImmediate('nothing')]);
      expect(await early).toBe('nothing');
      vi.advanceTimersByTime(1);
      vi.useRealTimers();
      expect(await warned).toMatchObject({
        name: 'RingboltWarning',
        code: 'RINGBOLT_CLOSE_WAITS',
        message: `close() has waited 10 s for 1 operation: write of 4096 bytes at 0 of '${file.path}'`,
      });
      expect(silent()).toBe(true);
      await all.answerLate();
      expect(await write).toBe(BLOCK);
      await closed;
    },
  );
});
