// Shows that file.writable() writes what it is given and nothing else, keeps to its bound, says how much was written when
// something goes wrong, and leaves nothing behind however it ends.

import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Writable } from 'node:stream';
import { finished, pipeline } from 'node:stream/promises';
import type { Engine, WritableOptions } from 'ringbolt';
import { beforeAll, describe, expect, it } from 'vitest';
import { writable } from '../../../dist/lib/device/streams/writable.js';
import { startEngine } from '../../support/engine.js';
import { Random } from '../../support/random.js';
import { tempFolder } from '../../support/temp-folder.js';
import { turnsDuring } from '../../support/turns.js';
import { FakeTarget, ioError, KIB, MIB, settle, until } from './fake-target.js';

let contents: Buffer;
beforeAll(() => {
  contents = randomBytes(2 * MIB + 123);
});

const CHUNK = 64 * KIB;
const OPTIONS = { chunkBytes: CHUNK, highWaterMark: 8 * CHUNK };

async function setUp(options: WritableOptions = {}, blockSize = 1, before = Buffer.alloc(0)) {
  const engine = await startEngine();
  const target = new FakeTarget(before, blockSize);
  const open = () => writable(target.source(engine), { ...OPTIONS, ...options });
  return { engine, target, open, stream: open() };
}

const inUse = (engine: Engine) => engine.pool.stats().bytesInUse;

/** Ends with these bytes; resolves to the errors there were. */
async function end(stream: Writable, ...pieces: (Uint8Array | string)[]): Promise<unknown[]> {
  const errors: unknown[] = [];
  stream.on('error', (error) => errors.push(error));
  const closed = stream.closed || new Promise((resolve) => stream.once('close', resolve));
  for (const piece of pieces) stream.write(piece);
  stream.end();
  await closed;
  await settle();
  return errors;
}

describe('a writable', () => {
  it('gathers small chunks into few writes', async () => {
    const { engine, target, stream } = await setUp();
    const pieces = Array.from({ length: 3000 }, (_, i) =>
      contents.subarray(i * 100, i * 100 + 100),
    );
    expect(await end(stream, ...pieces)).toEqual([]);
    expect(target.data.equals(contents.subarray(0, 300_000))).toBe(true);
    expect(target.writes.map(({ bytes }) => bytes)).toEqual([
      CHUNK,
      CHUNK,
      CHUNK,
      CHUNK,
      300_000 - 4 * CHUNK,
    ]);
    expect(inUse(engine)).toBe(0);
  });

  it('takes strings and any Uint8Array', async () => {
    const { target, stream } = await setUp({ start: 3 });
    expect(await end(stream, 'grün', new Uint8Array([1, 2, 3]).subarray(1), '')).toEqual([]);
    expect(target.data.equals(Buffer.from('\0\0\0grün\x02\x03'))).toBe(true);
  });

  it('that is given nothing writes nothing', async () => {
    const { target, stream } = await setUp({ start: 100 }, 512, Buffer.alloc(512, 7));
    expect(await end(stream)).toEqual([]);
    expect([target.reads, target.writes]).toEqual([[], []]);
  });

  it('has no more in flight than its mark, and no more waiting before write() is false', async () => {
    const random = new Random();
    const { engine, target, stream } = await setUp();
    target.turns = () => random.below(6);
    target.hold();
    while (stream.write(contents.subarray(0, 10 * KIB)));
    expect(stream.writableLength).toBeLessThan(OPTIONS.highWaterMark + 10 * KIB);
    stream.write(Buffer.alloc(2 * MIB));
    await settle();
    expect(target.bytesInFlight).toBe(OPTIONS.highWaterMark);
    expect(inUse(engine)).toBe(OPTIONS.highWaterMark);
    target.letGo();
    expect(await end(stream)).toEqual([]);
    expect(target.bytesInFlightMax).toBe(OPTIONS.highWaterMark);
    expect(inUse(engine)).toBe(0);
  });

  it('copies no more than its share in a turn', async () => {
    const { target, stream } = await setUp({ chunkBytes: MIB, highWaterMark: 4 * MIB });
    target.turns = () => 0;
    const turns = await turnsDuring(async () => {
      stream.end(Buffer.alloc(4 * MIB));
      await finished(stream);
    });
    expect(turns).toBeGreaterThanOrEqual(15);
  });

  it('flushes before it finishes, if that was asked for', async () => {
    const { target, stream } = await setUp({ flush: true });
    let flushed = 0;
    stream.on('finish', () => (flushed = target.flushes));
    expect(await end(stream, contents)).toEqual([]);
    expect(flushed).toBe(1);
    const without = await setUp();
    expect(await end(without.stream, contents)).toEqual([]);
    expect(without.target.flushes).toBe(0);
    const failing = await setUp({ flush: true });
    failing.target.failFlush = ioError('EIO', {});
    let finishes = 0;
    failing.stream.on('finish', () => finishes++);
    expect(await end(failing.stream, contents)).toMatchObject([
      { code: 'EIO', offset: 0, length: contents.length, bytesDone: contents.length },
    ]);
    expect(finishes).toBe(0);
  });

  it('does not go beyond its end', async () => {
    const { target, stream } = await setUp({ start: 10, end: 1000 });
    expect(await end(stream, Buffer.alloc(990, 1), Buffer.alloc(1))).toMatchObject([
      { code: 'ERR_OUT_OF_RANGE' },
    ]);
    expect(target.data.length).toBeLessThanOrEqual(1000);
    const exact = await setUp({ start: 10, end: 1000 });
    expect(await end(exact.stream, Buffer.alloc(990, 1))).toEqual([]);
    expect(exact.target.data.length).toBe(1000);
  });

  it('fails if a chunk is detached or resized before it was copied', async () => {
    const { engine, target, stream } = await setUp();
    target.hold();
    const chunk = new Uint8Array(2 * MIB);
    stream.write(chunk);
    await settle();
    structuredClone(chunk.buffer, { transfer: [chunk.buffer] });
    const errors = end(stream);
    target.letGo();
    expect(await errors).toMatchObject([{ code: 'ERR_INVALID_ARG_VALUE' }]);
    expect(inUse(engine)).toBe(0);
  });

  it('makes do with one slab, and fails without any', async () => {
    const engine = await startEngine({ pool: { bytes: 4 * CHUNK, classes: [CHUNK] } });
    const others = [1, 2, 3].map(() => engine.pool.acquire(CHUNK));
    const target = new FakeTarget(Buffer.alloc(0));
    expect(await end(writable(target.source(engine), OPTIONS), contents)).toEqual([]);
    expect(target.data.equals(contents)).toBe(true);
    expect(target.inFlightMax).toBe(1);
    others.push(engine.pool.acquire(CHUNK));
    expect(await end(writable(target.source(engine), OPTIONS), contents)).toMatchObject([
      { code: 'ERR_RINGBOLT_POOL_EXHAUSTED', bytesDone: 0 },
    ]);
  });

  it('begins again what was refused for want of room, and fails if there is nothing to wait for', async () => {
    const { engine, target, open, stream } = await setUp();
    target.failWrite = () =>
      target.inFlight >= 2 ? ioError('ERR_RINGBOLT_OVERLOADED', {}) : undefined;
    expect(await end(stream, contents)).toEqual([]);
    expect(target.data.equals(contents)).toBe(true);
    target.failWrite = () => ioError('ERR_RINGBOLT_OVERLOADED', {});
    expect(await end(open(), contents)).toMatchObject([
      { code: 'ERR_RINGBOLT_OVERLOADED', bytesDone: 0 },
    ]);
    expect(inUse(engine)).toBe(0);
  });
});

describe('a writable that fails', () => {
  it('says once, and when nothing is in flight any more, how much was written without a gap', async () => {
    for (let round = 0; round < 20; round++) {
      const random = new Random();
      const { engine, target, stream } = await setUp({ start: 100 });
      target.turns = () => random.below(8);
      const failing = 100 + (1 + random.below(20)) * CHUNK;
      target.failWrite = (offset) =>
        offset >= failing
          ? ioError('ENOSPC', { offset, length: CHUNK, bytesDone: 1000 })
          : undefined;
      let inFlight = -1;
      stream.on('error', () => (inFlight = target.inFlight));
      const errors = await end(stream, contents);
      const bytesDone = failing - 100 + 1000;
      expect(errors).toMatchObject([
        { code: 'ENOSPC', offset: 100, bytesDone, cause: { code: 'ENOSPC' } },
      ]);
      expect(inFlight).toBe(0);
      expect(target.data.subarray(100, failing).equals(contents.subarray(0, failing - 100))).toBe(
        true,
      );
      expect(inUse(engine)).toBe(0);
    }
  });

  it('though nobody is writing at the time tells of it', async () => {
    const { engine, target, stream } = await setUp();
    target.failWrite = () => ioError('EIO', {});
    stream.write(Buffer.alloc(CHUNK));
    const [error] = (await once(stream, 'error')) as unknown[];
    expect(error).toMatchObject({ code: 'EIO', bytesDone: 0, length: CHUNK });
    expect(inUse(engine)).toBe(0);
  });

  it.each(['file', 'engine'] as const)(
    'because the %s is closed does not keep that waiting',
    async (what) => {
      const engine = await startEngine();
      const name = path.join(tempFolder(), 'data');
      const file = await engine.open(name, { access: 'read-write', create: true });
      const endless = async function* () {
        for (;;) {
          yield contents.subarray(0, 100 * KIB);
          await new Promise((resolve) => setImmediate(resolve));
        }
      };
      const writing = pipeline(endless, file.writable(OPTIONS));
      const closing = until(() => file.size > MIB).then(() =>
        (what === 'file' ? file : engine).close(),
      );
      await expect(writing).rejects.toMatchObject({ code: 'ERR_RINGBOLT_CLOSED' });
      await closing;
    },
  );
});

describe('destroying a writable', () => {
  it('waits for writes in flight, and gives everything back', async () => {
    const { engine, target, stream } = await setUp();
    target.hold();
    stream.on('error', () => undefined);
    stream.write(Buffer.alloc(MIB));
    await until(() => target.inFlight === 8);
    stream.destroy(new Error('mine'));
    await settle();
    expect(stream.closed).toBe(false);
    target.letGo();
    await new Promise((resolve) => stream.once('close', resolve));
    expect(target.writes).toHaveLength(8);
    expect(inUse(engine)).toBe(0);
  });

  it.each([0, 1, 2, 3, 5, 8, 13, 21, 34])('after %d turns leaves nothing behind', async (turns) => {
    const { engine, target, stream } = await setUp({ flush: true }, 512, Buffer.alloc(2 * MIB));
    stream.on('error', () => undefined);
    const closed = new Promise((resolve) => stream.once('close', resolve));
    stream.write(contents.subarray(0, 1000 * KIB));
    stream.end(contents.subarray(0, 700));
    for (let i = 0; i < turns; i++) await new Promise((resolve) => setImmediate(resolve));
    stream.destroy();
    await closed;
    expect(inUse(engine)).toBe(0);
    expect(target.inFlight).toBe(0);
    const { length } = target.writes;
    await settle();
    expect(target.writes).toHaveLength(length);
  });

  it('by a signal is an AbortError', async () => {
    const controller = new AbortController();
    const { engine, stream, open } = await setUp({ signal: controller.signal });
    stream.write(contents);
    controller.abort();
    expect(await end(stream)).toMatchObject([{ code: 'ABORT_ERR' }]);
    expect(await end(open())).toMatchObject([{ code: 'ABORT_ERR' }]);
    expect(inUse(engine)).toBe(0);
  });
});

describe('on a target with blocks, a writable', () => {
  const old = Buffer.alloc(8 * 512, 7);

  it.each([
    [100, 200],
    [100, 412],
    [100, 413],
    [100, 1000],
    [0, 1],
    [512, 700],
    [511, 2],
    [100, 8 * 512 - 100],
    [8 * 512 - 1, 1],
  ])('keeps what is around bytes %d and %d more', async (start, length) => {
    const { target, stream } = await setUp({ start }, 512, old);
    const bytes = contents.subarray(0, length);
    expect(await end(stream, bytes)).toEqual([]);
    const expected = Buffer.from(old);
    bytes.copy(expected, start);
    expect(target.data.equals(expected)).toBe(true);
  });

  it('whose end lies in the last block fails there, having written what comes before', async () => {
    const { engine, target, stream } = await setUp({}, 512);
    expect(await end(stream, contents.subarray(0, CHUNK + 700))).toMatchObject([
      { code: 'ERR_RINGBOLT_MISALIGNED', path: 'fake', length: CHUNK + 700, bytesDone: CHUNK },
    ]);
    expect(target.data.equals(contents.subarray(0, CHUNK))).toBe(true);
    expect(inUse(engine)).toBe(0);
  });

  it('fills the last block with zeros only if it may, and beyond what is there', async () => {
    const { target, stream } = await setUp({ padEnd: true }, 512);
    expect(await end(stream, contents.subarray(0, 700))).toEqual([]);
    expect(target.data.equals(Buffer.concat([contents.subarray(0, 700), Buffer.alloc(324)]))).toBe(
      true,
    );
    const kept = await setUp({ padEnd: true }, 512, Buffer.alloc(900, 7));
    expect(await end(kept.stream, contents.subarray(0, 700))).toEqual([]);
    const expected = Buffer.concat([
      contents.subarray(0, 700),
      Buffer.alloc(200, 7),
      Buffer.alloc(124),
    ]);
    expect(kept.target.data.equals(expected)).toBe(true);
  });

  it('that begins beyond the end leaves zeros between', async () => {
    const { target, stream } = await setUp(
      { start: 2000, padEnd: true },
      512,
      Buffer.alloc(700, 7),
    );
    expect(await end(stream, 'x')).toEqual([]);
    expect(target.data.length).toBe(2048);
    expect(target.data.subarray(700, 2000).every((byte) => byte === 0)).toBe(true);
    expect(target.data[2000]).toBe('x'.charCodeAt(0));
  });

  it('fails if what is around cannot be read', async () => {
    const { engine, target, stream } = await setUp({ start: 100 }, 512, old);
    target.failRead = (offset) => ioError('EIO', { offset });
    expect(await end(stream, 'x')).toMatchObject([{ code: 'EIO', bytesDone: 0 }]);
    expect(target.writes).toEqual([]);
    expect(inUse(engine)).toBe(0);
  });

  it('needs to read nothing of a new file that was opened for writing only', async () => {
    const engine = await startEngine();
    const name = path.join(tempFolder(), 'data');
    const file = await engine.open(name, { access: 'write', create: true });
    expect(await end(file.writable({ padEnd: true, flush: true }), contents)).toEqual([]);
    const size = Math.ceil(contents.length / file.blockSize) * file.blockSize;
    expect(statSync(name).size).toBe(size);
    expect(readFileSync(name).subarray(0, contents.length).equals(contents)).toBe(true);
    writeFileSync(name, '');
    const buffered = await engine.open(name, { access: 'write', direct: false });
    expect(await end(buffered.writable({ flush: true }), contents)).toEqual([]);
    expect(readFileSync(name).equals(contents)).toBe(true);
  });
});
