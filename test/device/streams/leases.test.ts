// Shows that file.leases() hands out the file in order, without a copy and never more of it than its mark; that it waits for what
// its consumer holds; and that every slab is back once the iteration has ended, however it did.

import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Engine, Lease, StreamOptions } from 'ringbolt';
import { beforeAll, describe, expect, it } from 'vitest';
import { leases } from '../../../dist/lib/device/streams/leases.js';
import { startEngine } from '../../support/engine.js';
import { Random } from '../../support/random.js';
import { tempFolder } from '../../support/temp-folder.js';
import { turnsDuring } from '../../support/turns.js';
import { runForJson } from '../../lifecycle/run-program.js';
import { numberedFile } from '../../lifecycle/numbered-file.js';
import { FakeTarget, ioError, KIB, MIB, settle, until } from './fake-target.js';

let contents: Buffer;
beforeAll(() => {
  contents = randomBytes(2 * MIB + 123);
});

const CHUNK = 64 * KIB;
const OPTIONS = { chunkBytes: CHUNK, highWaterMark: 8 * CHUNK };

async function setUp(options: StreamOptions = {}, blockSize = 1) {
  const engine = await startEngine();
  const target = new FakeTarget(contents, blockSize);
  const iterable = leases(target.source(engine), { ...OPTIONS, ...options });
  return { engine, target, iterable, iterator: iterable[Symbol.asyncIterator]() };
}

const inUse = (engine: Engine) => engine.pool.stats().bytesInUse;

type Answer = IteratorResult<Lease, undefined>;

/** One that is given where a lease is expected. */
async function take(iterator: AsyncIterator<Lease>): Promise<Lease> {
  const { value } = (await iterator.next()) as Answer;
  return value!;
}

async function lengths(iterable: AsyncIterable<Lease>): Promise<number[]> {
  const found: number[] = [];
  for await (const lease of iterable) {
    found.push(lease.buffer.length);
    lease.release();
  }
  return found;
}

/** Whether it settles without anything else happening. */
async function settles(promise: Promise<unknown>): Promise<boolean> {
  let settled = false;
  const note = () => (settled = true);
  promise.then(note, note);
  await settle();
  return settled;
}

describe('leases()', () => {
  it('are in order, whatever the order in which reads end, and each pass begins anew', async () => {
    const random = new Random();
    const { engine, target, iterable } = await setUp();
    target.turns = () => random.below(6);
    for (let pass = 0; pass < 2; pass++) {
      let at = 0;
      for await (const lease of iterable) {
        const { length } = lease.buffer;
        expect(lease.buffer.equals(contents.subarray(at, at + length))).toBe(true);
        at += length;
        lease.release();
      }
      expect(at).toBe(contents.length);
      expect(inUse(engine)).toBe(0);
    }
    // Never more; and several at a time, however many of them have ended before the last is begun.
    expect(target.bytesInFlightMax).toBeLessThanOrEqual(OPTIONS.highWaterMark);
    expect(target.bytesInFlightMax).toBeGreaterThan(OPTIONS.highWaterMark / 2);
  });

  it('are as long as was asked for, but at the ends', async () => {
    const { iterable } = await setUp({ start: 100, end: 100 + 3 * CHUNK + 5 });
    expect(await lengths(iterable)).toEqual([CHUNK, CHUNK, CHUNK, 5]);
    const direct = await setUp({ start: 100, end: 512 + 2 * CHUNK + 5 }, 512);
    expect(await lengths(direct.iterable)).toEqual([412, CHUNK, CHUNK, 5]);
    const inside = await setUp({ start: 100, end: 200 }, 512);
    expect(await lengths(inside.iterable)).toEqual([100]);
    const none = await setUp({ start: 100, end: 100 });
    expect(await lengths(none.iterable)).toEqual([]);
    const beyond = await setUp({ start: 2 ** 40 });
    expect(await lengths(beyond.iterable)).toEqual([]);
  });

  it('can be written somewhere else as they are', async () => {
    const folder = tempFolder();
    const names = [path.join(folder, 'from'), path.join(folder, 'to')] as const;
    writeFileSync(names[0], contents, { flush: true });
    const engine = await startEngine();
    const from = await engine.open(names[0], { direct: false });
    const to = await engine.open(names[1], { access: 'write', create: true, direct: false });
    let at = 0;
    const writes: Promise<number>[] = [];
    for await (const lease of from.leases(OPTIONS)) {
      writes.push(to.write(at, lease));
      at += lease.buffer.length;
      lease.release(); // it goes home when it has been written
    }
    await Promise.all(writes);
    expect(readFileSync(names[1]).equals(contents)).toBe(true);
    expect(engine.stats().copied).toMatchObject({ readBytes: 0, writtenBytes: 0 });
    expect(inUse(engine)).toBe(0);
  });

  it('wait for one to come back when their consumer holds as many as may be', async () => {
    const { engine, target, iterator } = await setUp();
    const held: Lease[] = [];
    for (let i = 0; i < 8; i++) held.push(await take(iterator));
    const next = take(iterator);
    expect(await settles(next)).toBe(false);
    expect(target.reads).toHaveLength(8);
    expect(inUse(engine)).toBe(OPTIONS.highWaterMark);
    held.pop()!.release();
    const last = await next;
    expect(last.buffer.equals(contents.subarray(8 * CHUNK, 9 * CHUNK))).toBe(true);
    expect(inUse(engine)).toBeLessThanOrEqual(OPTIONS.highWaterMark);
    for (const lease of [...held, last]) lease.release();
    await iterator.return!();
    expect(inUse(engine)).toBe(0);
  });

  it('take no more than their mark of the pool', async () => {
    const random = new Random();
    const { engine, target, iterable } = await setUp();
    target.turns = () => random.below(3);
    const held: Lease[] = [];
    for await (const lease of iterable) {
      expect(inUse(engine)).toBeLessThanOrEqual(OPTIONS.highWaterMark);
      held.push(lease);
      if (random.below(3) === 0) await settle();
      while (held.length > random.below(7)) held.shift()!.release();
    }
    for (const lease of held) lease.release();
  });

  it('are begun in groups, which are joined by what else there may be once all is taken', async () => {
    const { target, iterator } = await setUp();
    const consume = async () => {
      (await take(iterator)).release();
      return target.reads.length;
    };
    const first = iterator.next() as Promise<Answer>;
    expect(target.reads).toHaveLength(8);
    (await first).value!.release();
    await until(() => target.inFlight === 0);
    target.hold();
    const begun: number[] = [];
    while (begun.length < 8) begun.push(await consume());
    // One where nothing is under way; then two at a time, which is a quarter.
    expect(begun).toEqual([9, 10, 10, 12, 12, 14, 14, 16]);
    const waiting = take(iterator);
    expect(target.reads).toHaveLength(17);
    target.letGo();
    (await waiting).release();
    await iterator.return!();
  });

  it('that are less than a group are not begun for themselves', async () => {
    const { target, iterator } = await setUp();
    target.turns = () => (target.reads.length === 1 ? 1 : 2);
    const first = await take(iterator);
    target.hold();
    first.release();
    const next = take(iterator);
    expect(await settles(next)).toBe(false);
    expect([target.reads.length, target.inFlight]).toEqual([8, 7]);
    target.letGo();
    (await next).release();
    await iterator.return!();
  });

  it('that are ready come in as many turns of the event loop as their consumer takes: none', async () => {
    const { target, iterator } = await setUp();
    const first = await take(iterator);
    await until(() => target.inFlight === 0);
    const taken = [first];
    const turns = await turnsDuring(async () => {
      while (taken.length < 8) taken.push(await take(iterator));
    });
    expect(turns).toBeLessThanOrEqual(1);
    for (const lease of taken) lease.release();
    await iterator.return!();
  });

  it('end with an AbortError although more of them are ready', async () => {
    const controller = new AbortController();
    const { engine, target, iterator } = await setUp({ signal: controller.signal });
    (await take(iterator)).release();
    await until(() => target.inFlight === 0);
    controller.abort();
    await expect(iterator.next()).rejects.toMatchObject({ code: 'ABORT_ERR' });
    expect(await iterator.next()).toEqual({ done: true, value: undefined });
    expect(inUse(engine)).toBe(0);
  });

  it('answer several calls of next() in order', async () => {
    const { iterator } = await setUp({ end: 5 * CHUNK });
    const calls = Array.from({ length: 8 }, () => iterator.next() as Promise<Answer>);
    const results = await Promise.all(calls);
    expect(results.map(({ done }) => done)).toEqual([
      ...Array<boolean>(5).fill(false),
      true,
      true,
      true,
    ]);
    for (const [index, { value }] of results.entries()) {
      if (value === undefined) continue;
      expect(value.buffer.equals(contents.subarray(index * CHUNK, (index + 1) * CHUNK))).toBe(true);
      value.release();
    }
  });

  it('give back what was read ahead when the loop is left', async () => {
    const { engine, iterable } = await setUp();
    for await (const lease of iterable) {
      lease.release();
      break;
    }
    expect(inUse(engine)).toBe(0);
    const leaving = async () => {
      for await (const lease of iterable) {
        lease[Symbol.dispose]();
        throw new Error('mine');
      }
    };
    await expect(leaving()).rejects.toThrow('mine');
    expect(inUse(engine)).toBe(0);
  });

  it('end, when told to, once reads in flight have ended', async () => {
    const { engine, target, iterator } = await setUp();
    target.hold();
    const next = iterator.next();
    await until(() => target.inFlight === 8);
    const ended = iterator.return!();
    expect(await next).toEqual({ done: true, value: undefined });
    expect(await settles(ended)).toBe(false);
    target.letGo();
    expect(await ended).toEqual({ done: true, value: undefined });
    expect(inUse(engine)).toBe(0);
    expect(await iterator.next()).toEqual({ done: true, value: undefined });
    await expect(iterator.throw!(new Error('mine'))).rejects.toThrow('mine');
  });

  it('hand out all that lies before an error, which comes once', async () => {
    const random = new Random();
    const { engine, target, iterator } = await setUp();
    target.turns = () => random.below(6);
    const failing = 10 * CHUNK;
    target.failRead = (offset) => (offset >= failing ? ioError('EIO', { offset }) : undefined);
    for (let i = 0; i < 10; i++) (await take(iterator)).release();
    await expect(iterator.next()).rejects.toMatchObject({ code: 'EIO', offset: failing });
    expect(await iterator.next()).toEqual({ done: true, value: undefined });
    await until(() => inUse(engine) === 0);
  });

  it('end with an AbortError, at once where somebody waits', async () => {
    const controller = new AbortController();
    const { engine, target, iterator } = await setUp({ signal: controller.signal });
    target.hold();
    const next = iterator.next();
    await until(() => target.inFlight === 8);
    controller.abort(new Error('mine'));
    await expect(next).rejects.toMatchObject({
      name: 'AbortError',
      code: 'ABORT_ERR',
      cause: { message: 'mine' },
    });
    expect(await iterator.next()).toEqual({ done: true, value: undefined });
    target.letGo();
    await until(() => inUse(engine) === 0);
    const late = await setUp({ signal: controller.signal });
    await expect(late.iterator.next()).rejects.toMatchObject({ code: 'ABORT_ERR' });
    expect(late.target.reads).toEqual([]);
  });

  it('make do with one slab, wait for their own, and fail if there is nothing to wait for', async () => {
    const engine = await startEngine({ pool: { bytes: 4 * CHUNK, classes: [CHUNK] } });
    const target = new FakeTarget(contents);
    const others = [1, 2, 3].map(() => engine.pool.acquire(CHUNK));
    const iterable = leases(target.source(engine), OPTIONS);
    const all = await lengths(iterable);
    expect(all.reduce((sum, length) => sum + length)).toBe(contents.length);
    expect(target.inFlightMax).toBe(1);

    const iterator = iterable[Symbol.asyncIterator]();
    const first = await take(iterator);
    const next = take(iterator);
    expect(await settles(next)).toBe(false);
    first.release();
    (await next).release();
    await iterator.return!();

    others.push(engine.pool.acquire(CHUNK));
    await expect(iterable[Symbol.asyncIterator]().next()).rejects.toMatchObject({
      code: 'ERR_RINGBOLT_POOL_EXHAUSTED',
    });
  });

  it('begin again what was refused for want of room', async () => {
    const { target, iterable } = await setUp();
    target.failRead = () =>
      target.inFlight >= 2 ? ioError('ERR_RINGBOLT_OVERLOADED', {}) : undefined;
    const all = await lengths(iterable);
    expect(all.reduce((sum, length) => sum + length)).toBe(contents.length);
  });

  it('that wait for their turn go at once when nobody wants them any more', async () => {
    const engine = await startEngine();
    const file = await engine.open(numberedFile(), { access: 'read' });
    file.setLimit({ bytesPerSecond: CHUNK / 100, burstMs: 1000 });
    const iterator = file.leases({ ...OPTIONS, ioClass: 'background' })[Symbol.asyncIterator]();
    const next = iterator.next();
    await until(() => engine.stats().waiting > 0);
    await iterator.return!();
    expect(await next).toEqual({ done: true, value: undefined });
    await until(() => engine.stats().waiting === 0 && inUse(engine) === 0);
  });

  it('of a file that is closed under way fail, and closing does not wait for them', async () => {
    const name = path.join(tempFolder(), 'data');
    writeFileSync(name, contents);
    const engine = await startEngine();
    const file = await engine.open(name);
    const iterate = async () => {
      for await (const lease of file.leases(OPTIONS)) {
        lease.release();
        await file.close();
      }
    };
    await expect(iterate()).rejects.toMatchObject({ code: 'ERR_RINGBOLT_CLOSED' });
    expect(inUse(engine)).toBe(0);
  });
});

describe('forgotten', () => {
  const forget = (what: string) =>
    runForJson('device/streams/programs/forgotten.cjs', {
      node: ['--expose-gc'],
      args: [numberedFile(), what],
    });

  it.each(['iterator', 'iteratorInFlight', 'readable', 'writable'])(
    'slabs of an abandoned %s are taken back',
    async (what) => {
      expect(await forget(what)).toEqual({ begun: true, bytesInUse: 0 });
    },
  );

  it('leases are no longer waited for', async () => {
    expect(await forget('leases')).toEqual({ blocks: 256 });
  });
});
