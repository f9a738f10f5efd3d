// Shows that file.readable() hands out the file in order and nothing else, reads ahead within its bound, holds no slab while
// its consumer pauses, tells of an error once, and leaves nothing behind however it ends.

import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Readable } from 'node:stream';
import { finished } from 'node:stream/promises';
import { RingboltError, type Engine, type StreamOptions } from 'ringbolt';
import { beforeAll, describe, expect, it } from 'vitest';
import { readable } from '../../../dist/lib/device/streams/readable.js';
import { startEngine } from '../../support/engine.js';
import { Random } from '../../support/random.js';
import { tempFolder } from '../../support/temp-folder.js';
import { FakeTarget, ioError, KIB, MIB, settle, until } from './fake-target.js';

let contents: Buffer;
beforeAll(() => {
  contents = randomBytes(4 * MIB + 123);
});

const OPTIONS = { chunkBytes: 64 * KIB, highWaterMark: 512 * KIB };

async function setUp(options: StreamOptions = {}) {
  const engine = await startEngine();
  const target = new FakeTarget(contents);
  const open = () => readable(target.source(engine), { ...OPTIONS, ...options });
  return { engine, target, open };
}

const inUse = (engine: Engine) => engine.pool.stats().bytesInUse;

/** All that comes before the end or an error, and the error. */
async function drain(stream: Readable) {
  const chunks: Buffer[] = [];
  const errors: unknown[] = [];
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  stream.on('error', (error) => errors.push(error));
  if (!stream.closed) await new Promise((resolve) => stream.once('close', resolve));
  await settle();
  return { bytes: Buffer.concat(chunks), errors };
}

describe('a readable', () => {
  it('is in order, whatever the order in which reads end', async () => {
    const random = new Random();
    const { engine, target, open } = await setUp();
    target.turns = () => random.below(6);
    const { bytes, errors } = await drain(open());
    expect(errors).toEqual([]);
    expect(bytes.equals(contents)).toBe(true);
    expect(inUse(engine)).toBe(0);
  });

  it('reads ahead up to its mark', async () => {
    const { target, open } = await setUp();
    target.hold();
    const stream = open();
    stream.resume();
    await settle();
    expect(target.bytesInFlight).toBe(OPTIONS.highWaterMark);
    target.letGo();
    await finished(stream);
    expect(target.bytesInFlightMax).toBe(OPTIONS.highWaterMark);
  });

  it('that nobody consumes stops at its mark, and holds no slab', async () => {
    const { engine, target, open } = await setUp();
    const stream = open();
    stream.once('readable', () => undefined);
    await until(() => target.reads.length * OPTIONS.chunkBytes === OPTIONS.highWaterMark);
    await settle();
    expect(target.reads.length * OPTIONS.chunkBytes).toBe(OPTIONS.highWaterMark);
    expect(inUse(engine)).toBe(0);
    expect((stream.read() as Buffer).length).toBe(64 * KIB); // one chunk, not all of them in one
    stream.destroy();
  });

  it.each([64 * KIB, 200 * KIB])(
    'never has more than %d bytes between file and consumer',
    async (highWaterMark) => {
      const random = new Random();
      const { target, open } = await setUp({ highWaterMark });
      target.turns = () => random.below(3);
      let consumed = 0;
      for await (const chunk of open()) {
        for (let turns = random.below(4); turns > 0; turns--) await settle();
        const begun = target.reads.length * OPTIONS.chunkBytes;
        // The chunk in hand is the consumer's; while it was taken, what followed it was asked for.
        consumed += (chunk as Buffer).length;
        expect(begun - consumed).toBeLessThanOrEqual(highWaterMark);
        if (consumed > MIB) break;
      }
    },
  );

  it('goes on although its consumer puts back a part of each chunk', async () => {
    const { open } = await setUp({ highWaterMark: OPTIONS.chunkBytes });
    const stream = open();
    const parts: Buffer[] = [];
    stream.on('readable', () => {
      for (;;) {
        const chunk = stream.read() as Buffer | null;
        if (chunk === null) return;
        parts.push(chunk.subarray(0, 40 * KIB));
        if (chunk.length > 40 * KIB) stream.unshift(chunk.subarray(40 * KIB));
      }
    });
    await once(stream, 'end');
    expect(Buffer.concat(parts).equals(contents)).toBe(true);
  });

  it('has chunks that own their memory', async () => {
    const { open } = await setUp();
    const stream = open();
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      expect(chunk.buffer.byteLength).toBe(chunk.length);
      structuredClone(chunk.buffer, { transfer: [chunk.buffer as ArrayBuffer] });
    }
  });

  it('copies no more than its share in a turn', async () => {
    const { target, open } = await setUp({ chunkBytes: MIB, highWaterMark: 4 * MIB });
    target.turns = () => 0;
    const stream = open();
    let turnBytes = 0;
    let most = 0;
    let running = true;
    const count = () => {
      most = Math.max(most, turnBytes);
      turnBytes = 0;
      if (running) setImmediate(count);
    };
    count();
    stream.on('data', (chunk: Buffer) => (turnBytes += chunk.length));
    await finished(stream);
    running = false;
    // Two turns' worth may fall between two of ours.
    expect(most).toBeLessThanOrEqual(512 * KIB);
  });

  it('hands out all that lies before an error, and tells of it once', async () => {
    const random = new Random();
    const { engine, target, open } = await setUp();
    target.turns = () => random.below(6);
    const failing = 20 * OPTIONS.chunkBytes;
    target.failRead = (offset) => (offset >= failing ? ioError('EIO', { offset }) : undefined);
    const { bytes, errors } = await drain(open());
    expect(errors).toMatchObject([{ code: 'EIO', offset: failing }]);
    expect(bytes.equals(contents.subarray(0, failing))).toBe(true);
    expect(inUse(engine)).toBe(0);
  });

  it('ends where a file ends that has become shorter', async () => {
    const { target, open } = await setUp();
    target.statedSize = 8 * MIB;
    const { bytes, errors } = await drain(open());
    expect(errors).toEqual([]);
    expect(bytes.equals(contents)).toBe(true);
  });

  it('goes on to where a file ends that has become longer, and reads ahead there too', async () => {
    const { target, open } = await setUp();
    target.statedSize = 1000;
    const { bytes } = await drain(open());
    expect(bytes.equals(contents)).toBe(true);
    expect(target.inFlightMax).toBeGreaterThan(4);
  });

  it('of nothing ends', async () => {
    const { target, open } = await setUp({ start: 100, end: 100 });
    expect((await drain(open())).bytes.length).toBe(0);
    expect(target.reads).toEqual([]);
    const beyond = await setUp({ start: 2 ** 40 });
    expect((await drain(beyond.open())).bytes.length).toBe(0);
  });

  it('begins again what was refused for want of room, as soon as there is some', async () => {
    const { engine, target, open } = await setUp();
    target.failRead = () =>
      target.inFlight >= 2 ? ioError('ERR_RINGBOLT_OVERLOADED', {}) : undefined;
    const { bytes, errors } = await drain(open());
    expect(errors).toEqual([]);
    expect(bytes.equals(contents)).toBe(true);
    expect(inUse(engine)).toBe(0);
  });

  it('fails if there is no room and nothing of its own to wait for', async () => {
    const { engine, target, open } = await setUp();
    target.failRead = (offset) =>
      offset > MIB ? ioError('ERR_RINGBOLT_OVERLOADED', { offset }) : undefined;
    const { bytes, errors } = await drain(open());
    expect(errors).toMatchObject([{ code: 'ERR_RINGBOLT_OVERLOADED' }]);
    expect(bytes.equals(contents.subarray(0, MIB + OPTIONS.chunkBytes))).toBe(true);
    expect(inUse(engine)).toBe(0);
  });

  it('makes do with one slab, and fails without any', async () => {
    const engine = await startEngine({ pool: { bytes: 256 * KIB, classes: [64 * KIB] } });
    const target = new FakeTarget(contents);
    const others = [1, 2, 3].map(() => engine.pool.acquire(64 * KIB));
    const { bytes } = await drain(readable(target.source(engine), { highWaterMark: MIB }));
    expect(bytes.equals(contents)).toBe(true);
    expect(target.inFlightMax).toBe(1);
    others.push(engine.pool.acquire(64 * KIB));
    const { errors } = await drain(readable(target.source(engine)));
    expect(errors).toMatchObject([{ code: 'ERR_RINGBOLT_POOL_EXHAUSTED' }]);
  });
});

describe('destroying a readable', () => {
  it('before anything was read reads nothing', async () => {
    const { target, open } = await setUp();
    const stream = open().destroy();
    await once(stream, 'close');
    expect(target.reads).toEqual([]);
  });

  it('waits for reads in flight, and gives everything back', async () => {
    const { engine, target, open } = await setUp();
    target.hold();
    const stream = open();
    const got: unknown[] = [];
    stream.on('data', (chunk) => got.push(chunk));
    await until(() => target.inFlight === 8);
    stream.destroy();
    await settle();
    expect(stream.closed).toBe(false);
    target.letGo();
    await once(stream, 'close');
    expect(inUse(engine)).toBe(0);
    await settle();
    expect(got).toEqual([]);
  });

  it('gives back what was read and not copied', async () => {
    const { engine, target, open } = await setUp({ chunkBytes: MIB, highWaterMark: 4 * MIB });
    target.turns = () => 0;
    const stream = open();
    stream.once('data', () => stream.destroy());
    await once(stream, 'close');
    expect(inUse(engine)).toBe(0);
  });

  it.each([0, 1, 2, 3, 5, 8, 13, 21, 34])('after %d turns leaves nothing behind', async (turns) => {
    const { engine, open } = await setUp({ chunkBytes: 512 * KIB, highWaterMark: 2 * MIB });
    const stream = open();
    stream.resume();
    for (let i = 0; i < turns; i++) await new Promise((resolve) => setImmediate(resolve));
    const error = new Error('mine');
    const errors: unknown[] = [];
    stream.on('error', (caught) => errors.push(caught));
    const closed = stream.closed ? undefined : once(stream, 'close').catch(() => undefined);
    const ended = stream.readableEnded;
    stream.destroy(error);
    await closed;
    await until(() => inUse(engine) === 0);
    if (!ended) expect(errors).toEqual([error]);
  });

  it('by a signal is an AbortError, also if that came before', async () => {
    const controller = new AbortController();
    const { engine, open } = await setUp({ signal: controller.signal });
    const stream = open();
    stream.once('data', () => {
      controller.abort();
    });
    expect((await drain(stream)).errors).toMatchObject([{ code: 'ABORT_ERR' }]);
    expect((await drain(open())).errors).toMatchObject([{ code: 'ABORT_ERR' }]);
    expect(inUse(engine)).toBe(0);
  });
});

describe('a readable of a file that is closed under way', () => {
  it.each(['file', 'engine'] as const)(
    'fails when the %s is closed, which does not wait for it',
    async (what) => {
      const name = path.join(tempFolder(), 'data');
      writeFileSync(name, contents);
      const engine = await startEngine();
      const file = await engine.open(name);
      const stream = file.readable(OPTIONS);
      const draining = drain(stream);
      await once(stream, 'data');
      await (what === 'file' ? file : engine).close();
      const { bytes, errors } = await draining;
      expect(errors).toMatchObject([{ code: 'ERR_RINGBOLT_CLOSED' }]);
      expect(errors[0]).toBeInstanceOf(RingboltError);
      expect(bytes.equals(contents.subarray(0, bytes.length))).toBe(true);
      if (what === 'file') expect(inUse(engine)).toBe(0);
    },
  );
});
