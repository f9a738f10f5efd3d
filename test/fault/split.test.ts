// Shows on each backend what comes of a transfer in parts when some of them fail: the whole fails once, after all have ended, says
// how far it got without a gap, and what it says is what is on the disk.

import { randomBytes } from 'node:crypto';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setImmediate } from 'node:timers/promises';
import type { RingboltError } from 'ringbolt';
import { describe, expect, it } from 'vitest';
import { BACKENDS, needBackend } from '../support/backends.js';
import { startEngine } from '../support/engine.js';
import { mountedFolder } from '../support/loop-device.js';
import { Random } from '../support/random.js';
import { tempFolder } from '../support/temp-folder.js';
import { startFaulty } from './start-faulty.js';

const KIB = 1024;
const MIB = KIB * KIB;
const PART = 64 * KIB;
const PARTS = 16;
const ROUNDS = 60;
const SPLITTING = {
  maxIoBytes: PART,
  pool: { bytes: 8 * MIB, classes: [4 * KIB, MIB, 4 * MIB] },
} as const;

/** A write that is refused for want of space has not been done: so the file tells which parts were. */
const NO_SPACE = { enospc: 0.05, delays: 0.3, eintr: 0.05 };

const settledAs = (promise: Promise<number>) =>
  promise.then(
    (bytes) => ({ bytes, error: undefined }),
    (error: unknown) => ({ bytes: undefined, error: error as RingboltError }),
  );

describe.each(BACKENDS)('%s', (backend) => {
  it.for([1, 3])('a write that fails in the middle, with %d queues', async (queues, { skip }) => {
    await needBackend(backend, skip);
    const random = new Random();
    const plan = { seed: random.seed, ...NO_SPACE };
    const engine = await startFaulty({ backend, queues, depth: 4, ...SPLITTING }, plan);
    const name = path.join(tempFolder(), 'data');
    const outcomes = { written: 0, failed: 0, beyond: 0 };
    for (let round = 0; round < ROUNDS; round++) {
      writeFileSync(name, '');
      const file = await engine.open(name, { access: 'read-write' });
      const lease = engine.pool.acquire(PARTS * PART);
      const data = randomBytes(PARTS * PART);
      data.copy(lease.buffer);
      const { bytes, error } = await settledAs(file.write(PART, lease));
      lease.release(); // not busy: all parts have ended
      const now = readFileSync(name).subarray(PART);
      const written = Array.from({ length: PARTS }, (_, index) => {
        const part = now.subarray(index * PART, (index + 1) * PART);
        if (part.equals(data.subarray(index * PART, (index + 1) * PART))) return true;
        expect(part.every((byte) => byte === 0)).toBe(true);
        return false;
      });
      const broken = written.indexOf(false);
      if (error === undefined) {
        expect(bytes).toBe(PARTS * PART);
        expect(broken).toBe(-1);
        outcomes.written++;
      } else {
        const { code, offset, length, bytesDone } = error;
        expect({ code, offset, length }).toEqual({
          code: 'ENOSPC',
          offset: PART,
          length: PARTS * PART,
        });
        expect(bytesDone).toBe(broken * PART);
        outcomes.failed++;
        if (now.length > bytesDone!) outcomes.beyond++;
      }
      // Its size is that of the file, with what lies behind the gap.
      expect(file.size).toBe(now.length > 0 ? PART + now.length : 0);
      await file.close();
    }
    expect(outcomes.written).toBeGreaterThan(0);
    expect(outcomes.failed).toBeGreaterThan(0);
    if (queues > 1) expect(outcomes.beyond).toBeGreaterThan(0);
    expect(engine.pool.stats().bytesInUse).toBe(0);
    expect(engine.stats().waiting).toBe(0);
  });

  it('a read that fails in the middle', async ({ skip }) => {
    await needBackend(backend, skip);
    const random = new Random();
    const plan = { seed: random.seed, eio: 0.05, shortTransfers: 0.2, delays: 0.3 };
    const engine = await startFaulty({ backend, queues: 2, depth: 4, ...SPLITTING }, plan);
    const name = path.join(tempFolder(), 'data');
    const data = randomBytes(PARTS * PART);
    writeFileSync(name, data, { flush: true });
    const file = await engine.open(name);
    const lease = engine.pool.acquire(PARTS * PART);
    const outcomes = { read: 0, failed: 0 };
    for (let round = 0; round < ROUNDS; round++) {
      lease.buffer.fill(0);
      const { error } = await settledAs(file.read(0, lease));
      const { bytesDone = PARTS * PART } = error ?? {};
      expect(lease.buffer.subarray(0, bytesDone).equals(data.subarray(0, bytesDone))).toBe(true);
      if (error === undefined) {
        outcomes.read++;
        continue;
      }
      const { code, offset, length, path: where } = error;
      expect({ code, offset, length, where }).toEqual({
        code: 'EIO',
        offset: 0,
        length: PARTS * PART,
        where: name,
      });
      expect(bytesDone).toBeLessThan(PARTS * PART);
      outcomes.failed++;
    }
    expect(outcomes.read).toBeGreaterThan(0);
    expect(outcomes.failed).toBeGreaterThan(0);
  });

  it('a durable write that fails in any part: nothing more is durable', async ({ skip }) => {
    await needBackend(backend, skip);
    const random = new Random();
    // Nobody hears of the cancellations: so each error that is counted is one.
    const plan = { seed: random.seed, eio: 0.1, delays: 0.3, lostCancels: 1 };
    const engine = await startFaulty({ backend, queues: 3, depth: 2, ...SPLITTING }, plan);
    const name = path.join(tempFolder(), 'data');
    writeFileSync(name, Buffer.alloc(PARTS * PART), { flush: true });
    const lease = engine.pool.acquire(PARTS * PART);
    let failed = 0;
    for (let round = 0; round < ROUNDS; round++) {
      const file = await engine.open(name, { access: 'read-write' });
      const controller = new AbortController();
      const options = { durable: true, signal: controller.signal };
      const errorsBefore = engine.stats().classes.foreground.errorsTotal;
      const write = settledAs(file.write(0, lease, options));
      // Also when it is aborted: what failed outweighs what was not done.
      if (round % 3 > 0) await setImmediate();
      if (round % 3 > 0) controller.abort();
      const { error } = await write;
      const errors = engine.stats().classes.foreground.errorsTotal - errorsBefore;
      if (error?.code === 'EIO') {
        failed++;
        const again = file.write(0, lease, { durable: true });
        await expect(again).rejects.toMatchObject({ code: 'EIO' });
        await expect(file.flush()).rejects.toMatchObject({ code: 'EIO' });
      } else {
        expect(errors).toBe(0);
        if (error !== undefined) expect(error).toMatchObject({ code: 'ABORT_ERR' });
        await file.flush().catch((flushError: unknown) => {
          expect(flushError).toMatchObject({ code: 'EIO', syscall: 'fdatasync' });
        });
      }
      await file.close();
    }
    expect(failed).toBeGreaterThan(0);
  });
});

it.for([1, 3])('a file system that is full half-way, with %d queues', async (queues, { skip }) => {
  const folder = mountedFolder(skip, '-t', 'tmpfs', '-o', 'size=2m', 'ringbolt');
  const name = path.join(folder, 'data');
  // One part at a time on each queue.
  const engine = await startEngine({ queues, depth: 1, ...SPLITTING });
  const file = await engine.open(name, { access: 'read-write', create: true });
  const lease = engine.pool.acquire(4 * MIB);
  const data = randomBytes(4 * MIB);
  data.copy(lease.buffer);
  const { error } = await settledAs(file.write(0, lease));
  expect(error).toMatchObject({ code: 'ENOSPC', path: name, offset: 0, length: 4 * MIB });
  const done = error!.bytesDone!;
  if (queues === 1) expect(done).toBe(2 * MIB);
  expect(readFileSync(name).subarray(0, done).equals(data.subarray(0, done))).toBe(true);
  expect(file.size).toBe(statSync(name).size);
  // Most of what is behind the end of the space was never tried.
  expect(engine.stats().classes.foreground.writesTotal).toBeLessThanOrEqual(32 + queues);
  lease.release();
  expect(engine.pool.stats().bytesInUse).toBe(0);
  await file.close();
  await engine.close();
});
