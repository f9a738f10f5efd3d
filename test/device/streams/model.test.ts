// Shows over random ranges, chunk sizes and marks, on direct and buffered files of any length, that streams read and write
// exactly what node:fs sees; with consumers and producers that pause as they like, and no slab left behind.

import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { BlockFile, StreamOptions } from 'ringbolt';
import { describe, expect, it } from 'vitest';
import { startEngine } from '../../support/engine.js';
import { Random } from '../../support/random.js';
import { tempFolder } from '../../support/temp-folder.js';
import { KIB, MIB } from './fake-target.js';

const ROUNDS = 60;

function randomBytes(random: Random, bytes: number): Buffer {
  return Buffer.from(
    Uint32Array.from({ length: bytes / 4 + 1 }, () => random.below(2 ** 31)).buffer,
  ).subarray(0, bytes);
}

/** Small numbers and large ones, aligned or not. */
function pick(random: Random, most: number): number {
  const value =
    random.below(2) === 0 ? random.below(most + 1) : random.below(Math.min(most, 5000) + 1);
  return random.below(2) === 0 ? value : value - (value % 4096);
}

function randomOptions(
  random: Random,
  most: number,
): StreamOptions & { start: number; end: number } {
  const start = pick(random, most);
  const end = start + pick(random, most);
  const chunkBytes = 4096 + pick(random, random.below(2) === 0 ? 8 * KIB : 300 * KIB);
  const highWaterMark = chunkBytes + pick(random, 2 * MIB);
  return { start, end, ...(random.below(3) > 0 && { chunkBytes, highWaterMark }) };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

async function readAll(file: BlockFile, options: StreamOptions, random: Random): Promise<Buffer> {
  const chunks: Buffer[] = [];
  switch (random.below(4)) {
    case 0:
      for await (const chunk of file.readable(options)) chunks.push(chunk as Buffer);
      break;
    case 1: {
      const sink = new Writable({
        highWaterMark: 1 + random.below(100 * KIB),
        write(chunk: Buffer, _, callback) {
          chunks.push(chunk);
          if (random.below(3) === 0) setImmediate(callback);
          else callback();
        },
      });
      await pipeline(file.readable(options), sink);
      break;
    }
    case 2: {
      // A paused stream, read in portions that are no chunks.
      const stream = file.readable(options);
      stream.on('readable', () => {
        for (;;) {
          const chunk = (stream.read(1 + random.below(100 * KIB)) ??
            stream.read()) as Buffer | null;
          if (chunk === null) break;
          chunks.push(chunk);
        }
      });
      await new Promise((resolve, reject) => stream.on('end', resolve).on('error', reject));
      break;
    }
    default:
      for await (const lease of file.leases(options)) {
        expect(lease.buffer.length).toBeLessThanOrEqual(options.chunkBytes ?? 256 * KIB);
        chunks.push(Buffer.from(lease.buffer));
        if (random.below(3) === 0) await turn();
        lease.release();
      }
  }
  return Buffer.concat(chunks);
}

async function writeAll(file: BlockFile, bytes: Buffer, options: StreamOptions, random: Random) {
  const stream = file.writable({ ...options, flush: true });
  const pieces = function* () {
    for (let at = 0; at < bytes.length;) {
      const length = 1 + random.below(random.below(3) === 0 ? 700 * KIB : 20 * KIB);
      yield bytes.subarray(at, at + length);
      at += length;
    }
  };
  if (random.below(2) === 0) {
    await pipeline(pieces, stream);
    return;
  }
  const finished = new Promise((resolve, reject) =>
    stream.on('finish', resolve).on('error', reject),
  );
  for (const piece of pieces()) {
    if (random.below(10) === 0) stream.cork();
    if (!stream.write(piece) && random.below(2) === 0) {
      while (stream.writableCorked > 0) stream.uncork();
      await new Promise((resolve) => stream.once('drain', resolve));
    }
    if (random.below(4) === 0) stream.uncork();
  }
  stream.end();
  await finished;
}

describe.each([
  ['direct', 'auto'],
  ['buffered', false],
] as const)('streams of a %s file', (mode, direct) => {
  it('read what is there', { timeout: 60_000 }, async () => {
    const random = new Random();
    const engine = await startEngine({ queues: 2, depth: 16 });
    const name = path.join(tempFolder(), 'data');
    for (let round = 0; round < ROUNDS; round++) {
      const contents = randomBytes(random, pick(random, 3 * MIB));
      writeFileSync(name, contents, { flush: true });
      const file = await engine.open(name, { direct });
      const { end, ...rest } = randomOptions(random, contents.length);
      const options = random.below(3) === 0 ? rest : { ...rest, end };
      const got = await readAll(file, options, random);
      const expected = contents.subarray(options.start, 'end' in options ? end : undefined);
      expect(got.equals(expected), `round ${round}: ${JSON.stringify(options)}`).toBe(true);
      await file.close();
      expect(engine.pool.stats().bytesInUse).toBe(0);
    }
  });

  it('write what they are given, and nothing else', { timeout: 60_000 }, async () => {
    const random = new Random();
    const engine = await startEngine({ queues: 2, depth: 16 });
    const name = path.join(tempFolder(), 'data');
    for (let round = 0; round < ROUNDS; round++) {
      const whole = mode === 'direct';
      const size = pick(random, 3 * MIB);
      const model = randomBytes(random, whole ? size - (size % 512) : size);
      writeFileSync(name, model, { flush: true });
      const file = await engine.open(name, { access: 'read-write', direct });
      const { end, ...options } = randomOptions(random, model.length);
      // On a direct file: up to where the file ends, or to whole blocks beyond.
      const fits = !whole || end <= model.length;
      const last = fits ? end : end - (end % 512);
      const bytes = randomBytes(random, Math.max(last - options.start, 0));
      await writeAll(file, bytes, options, random);
      const expected = Buffer.alloc(
        bytes.length === 0 ? model.length : Math.max(model.length, options.start + bytes.length),
      );
      model.copy(expected);
      bytes.copy(expected, options.start);
      expect(
        readFileSync(name).equals(expected),
        `round ${round}: ${JSON.stringify(options)}`,
      ).toBe(true);
      await file.close();
      expect(engine.pool.stats().bytesInUse).toBe(0);
    }
  });
});
