// Shows that a lease larger than maxIoBytes is read and written in parts over all queues, and that its caller sees one
// operation: one outcome, one place among those that wait, one cost for a rate limit, checksums as of one piece.

import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { BlockFile, Engine, EngineOptions, Lease } from 'ringbolt';
import { describe, expect, it, onTestFinished } from 'vitest';
import { blockValues, setBits, type Formula } from '../support/checksums.js';
import { startEngine } from '../support/engine.js';
import { Random } from '../support/random.js';
import { tempFolder } from '../support/temp-folder.js';

const KIB = 1024;
const MIB = KIB * KIB;
const PART = 64 * KIB;
const FILE_BYTES = 8 * MIB;
const POOL = { bytes: 16 * MIB, classes: [4 * KIB, 64 * KIB, MIB, 4 * MIB] };
const ABORTED = { name: 'AbortError', code: 'ABORT_ERR' };
/** One passes, the next waits for an hour. */
const ONE = { operationsPerSecond: 1, bytesPerSecond: 1, burstMs: 1 } as const;

interface Stage {
  readonly engine: Engine;
  readonly file: BlockFile;
  readonly name: string;
  readonly contents: Buffer;
}

async function stage(
  options: EngineOptions = {},
  { direct = 'auto', bytes = FILE_BYTES }: { direct?: boolean | 'auto'; bytes?: number } = {},
): Promise<Stage> {
  const engine = await startEngine({ maxIoBytes: PART, pool: POOL, ...options });
  const name = path.join(tempFolder(), 'data');
  const contents = randomBytes(bytes);
  writeFileSync(name, contents, { flush: true });
  const file = await engine.open(name, { access: 'read-write', direct });
  onTestFinished(() => {
    engine.setLimits({}); // nothing is left to wait when the engine closes
  });
  return { engine, file, name, contents };
}

/** A lease of random bytes, and these. */
function filled(engine: Engine, bytes: number): { lease: Lease; data: Buffer } {
  const lease = engine.pool.acquire(bytes);
  const data = randomBytes(bytes);
  data.copy(lease.buffer);
  return { lease, data };
}

/** Which parts of a place in the file hold `data`: each all of it or nothing. */
function partsWritten(name: string, offset: number, data: Buffer, before: Buffer): boolean[] {
  const now = readFileSync(name);
  return Array.from({ length: data.length / PART }, (_, index) => {
    const [start, end] = [index * PART, (index + 1) * PART];
    const found = now.subarray(offset + start, offset + end);
    if (found.equals(data.subarray(start, end))) return true;
    expect(found.equals(before.subarray(offset + start, offset + end)), `part ${index}`).toBe(true);
    return false;
  });
}

const partsOf = (engine: Engine, counter: 'readsTotal' | 'writesTotal') =>
  engine.stats().queues.map(({ classes }) => classes.foreground[counter]);

describe.each([1, 3])('with %d queues', (queues) => {
  it.each(['auto', false] as const)(
    'reads and writes what it should, direct: %s',
    async (direct) => {
      const { engine, file, name, contents } = await stage({ queues }, { direct });
      for (const bytes of [PART + 4 * KIB, 200 * KIB, MIB, 4 * MIB]) {
        const { lease, data } = filled(engine, bytes);
        const offset = 3 * 4 * KIB;
        expect(await file.read(offset, lease)).toBe(bytes);
        expect(lease.buffer.equals(contents.subarray(offset, offset + bytes))).toBe(true);
        data.copy(lease.buffer);
        data.copy(contents, offset + MIB);
        expect(await file.write(offset + MIB, lease)).toBe(bytes);
        lease.release();
      }
      await file.flush();
      expect(readFileSync(name).equals(contents)).toBe(true);
      expect(engine.pool.stats().bytesInUse).toBe(0);
    },
  );

  it('spreads the parts evenly, and does in one what is no larger than a part', async () => {
    const { engine, file } = await stage({ queues });
    const lease = engine.pool.acquire(4 * MIB);
    await file.read(0, lease);
    const counts = partsOf(engine, 'readsTotal').sort();
    expect(counts).toEqual(queues === 1 ? [64] : [21, 21, 22]);
    const small = engine.pool.acquire(PART);
    await file.write(0, small);
    expect(partsOf(engine, 'writesTotal').reduce((sum, count) => sum + count)).toBe(1);
  });

  it.each(['auto', false] as const)('stops at the end of the file, direct: %s', async (direct) => {
    const bytes = 5 * PART + 12_345;
    const { engine, file, contents } = await stage({ queues, depth: 4 }, { direct, bytes });
    const lease = engine.pool.acquire(MIB);
    expect(await file.read(PART, lease)).toBe(bytes - PART);
    expect(lease.buffer.subarray(0, bytes - PART).equals(contents.subarray(PART))).toBe(true);
    expect(await file.read(MIB, lease)).toBe(0);
    expect(await file.read(5 * PART, lease)).toBe(12_345);
  });

  it('makes the file longer', async () => {
    const { engine, file, name, contents } = await stage({ queues }, { bytes: PART });
    const { lease, data } = filled(engine, 4 * MIB);
    expect(await file.write(2 * PART, lease, { durable: true })).toBe(4 * MIB);
    expect(file.size).toBe(2 * PART + 4 * MIB);
    const now = readFileSync(name);
    expect(now.equals(Buffer.concat([contents, Buffer.alloc(PART), data]))).toBe(true);
  });

  it('is aborted in the middle: a write says what it did, and does nothing afterwards', async () => {
    const { engine, file, name, contents } = await stage({ queues, depth: 2 });
    const random = new Random();
    const before = Buffer.from(contents);
    for (let round = 0; round < 40; round++) {
      const { lease, data } = filled(engine, MIB);
      const controller = new AbortController();
      const write = file.write(MIB, lease, { signal: controller.signal });
      for (let turns = random.below(12); turns > 0; turns--) await new Promise(setImmediate);
      controller.abort();
      const done = await write.catch((error: unknown) => {
        expect(error).toMatchObject(ABORTED);
        return (error as { bytesDone: number }).bytesDone;
      });
      lease.release(); // not busy: the kernel has let go of all of it
      const written = [...partsWritten(name, MIB, data, before), false];
      expect(done).toBe(written.indexOf(false) * PART);
      readFileSync(name).copy(before);
    }
    expect(engine.pool.stats().bytesInUse).toBe(0);
    expect(engine.stats().waiting).toBe(0);
  });

  it('is aborted in the middle: a read is answered at once, and its lease follows', async () => {
    const { engine, file } = await stage({ queues, depth: 2 });
    for (let round = 0; round < 40; round++) {
      const lease = engine.pool.acquire(4 * MIB);
      const controller = new AbortController();
      const read = file.read(0, lease, { signal: controller.signal });
      for (let turns = round % 4; turns > 0; turns--) await Promise.resolve();
      controller.abort();
      expect(engine.stats().waiting).toBe(0);
      const again = file.read(0, lease); // in this turn, in which the kernel cannot have let go
      await expect(read).rejects.toMatchObject({ ...ABORTED, bytesDone: 0 });
      await expect(again).rejects.toMatchObject({ code: 'ERR_RINGBOLT_BUSY' });
      lease.release();
      while (engine.pool.stats().bytesInUse > 0) await new Promise(setImmediate);
    }
  });

  it.each(['crc32c', 'crc64nvme'] as const)('has the %s of one piece', async (algorithm) => {
    const { engine, file, name, contents } = await stage({ queues });
    const { lease, data } = filled(engine, MIB);
    // No power of two: parts end where the file's blocks and these do. Of the largest none is as small as a part.
    for (const blockSize of [512, 1536, 10_000, 75_264, 300_000]) {
      const formula: Formula = { algorithm, blockSize, seed: 7n, firstBlock: 1e9 };
      const blocks = Math.ceil(MIB / blockSize);
      const out = new BigUint64Array(blocks + 1).fill(1n);
      await file.read(512 * 3, lease, { checksum: { ...formula, out } });
      const values = blockValues(formula, contents.subarray(512 * 3, 512 * 3 + MIB));
      expect([...out], `${blockSize}`).toEqual([...values, 1n]);
      data.copy(lease.buffer);
      await file.write(4 * MIB, lease, { checksum: { ...formula, out } });
      expect([...out], `${blockSize}`).toEqual([...blockValues(formula, data), 1n]);
      expect(
        readFileSync(name)
          .subarray(4 * MIB, 5 * MIB)
          .equals(data),
      ).toBe(true);
    }
  });

  it('tells which blocks are not as expected, or are not there', async () => {
    const random = new Random();
    const bytes = 10 * PART + 5000;
    const { engine, file, contents } = await stage({ queues }, { bytes });
    const lease = engine.pool.acquire(MIB);
    const formula = { algorithm: 'crc32c', blockSize: 1536 } as const;
    const blocks = Math.ceil(MIB / 1536);
    const there = Math.ceil(bytes / 1536);
    const expected = new BigUint64Array(blocks);
    expected.set(blockValues(formula, contents));
    const wrong = new Set(Array.from({ length: 30 }, () => random.below(there)));
    for (const block of wrong) expected[block]! ^= 1n;
    const mismatches = new Uint32Array(Math.ceil(blocks / 32) + 1).fill(0xdead);
    expect(await file.read(0, lease, { checksum: { ...formula, expected, mismatches } })).toBe(
      bytes,
    );
    const missing = Array.from({ length: blocks - there }, (_, index) => there + index);
    const found = setBits(mismatches.subarray(0, -1));
    expect(found).toEqual([...[...wrong].toSorted((a, b) => a - b), ...missing]);
    expect(mismatches.at(-1)).toBe(0xdead);
  });

  it('writes nothing if any block is not as expected', async () => {
    const { engine, file, name, contents } = await stage({ queues });
    const { lease, data } = filled(engine, MIB);
    const formula = { algorithm: 'crc64nvme', blockSize: 4 * KIB } as const;
    const expected = BigUint64Array.from(blockValues(formula, data));
    expected[200]! ^= 1n;
    const write = file.write(0, lease, { checksum: { ...formula, expected } });
    await expect(write).rejects.toMatchObject({ code: 'ERR_RINGBOLT_CORRUPT', bytesDone: 0 });
    expect(readFileSync(name).equals(contents)).toBe(true);
    expected[200]! ^= 1n;
    expect(await file.write(0, lease, { checksum: { ...formula, expected } })).toBe(MIB);
    expect(readFileSync(name).subarray(0, MIB).equals(data)).toBe(true);
  });

  it('is one transfer of a batch', async () => {
    const { engine, file, contents } = await stage({ queues }, { bytes: 4 * MIB });
    const large = engine.pool.acquire(MIB);
    const late = engine.pool.acquire(MIB);
    const small = engine.pool.acquire(4 * KIB);
    const array = new Uint8Array(300 * KIB);
    const out = new BigUint64Array(75 + 256 + 1 + 256);
    const formula: Formula = { algorithm: 'crc32c', blockSize: 4 * KIB, firstBlock: 7 };
    const { bytesTotal, transferred } = await file.readBatch(
      [
        { offset: 0, buffer: array },
        { offset: MIB, buffer: large },
        { offset: 4 * KIB, buffer: small },
        { offset: 3.5 * MIB, buffer: late },
      ],
      { checksum: { ...formula, out } },
    );
    expect([...transferred]).toEqual([300 * KIB, MIB, 4 * KIB, 0.5 * MIB]);
    expect(bytesTotal).toBe(300 * KIB + 1.5 * MIB + 4 * KIB);
    expect(large.buffer.equals(contents.subarray(MIB, 2 * MIB))).toBe(true);
    const data = Buffer.concat([
      contents.subarray(0, 300 * KIB),
      contents.subarray(MIB, 2 * MIB),
      contents.subarray(4 * KIB, 8 * KIB),
      contents.subarray(3.5 * MIB),
    ]);
    expect([...out.subarray(0, -128)]).toEqual(blockValues(formula, data));
  });
});

/** Where no file can reach: EFBIG. */
const TOO_FAR = Number.MAX_SAFE_INTEGER - 2 * MIB + 1;

describe('in a batch with one that fails', () => {
  const QUEUES = [
    [1, 1],
    [2, 128],
  ] as const;
  const FAILED = { code: 'EFBIG', offset: TOO_FAR, length: MIB, bytesDone: 0 };

  async function batch(queues: number, depth: number) {
    const { engine, file, name, contents } = await stage({ queues, depth });
    const transfers = [0, TOO_FAR, 2 * MIB, 4 * MIB].map((offset) => {
      const { lease, data } = filled(engine, MIB);
      return { offset, buffer: lease, data };
    });
    const releaseAll = () => {
      for (const { buffer } of transfers) buffer.release(); // not busy
      expect(engine.pool.stats().bytesInUse).toBe(0);
      expect(engine.stats().waiting).toBe(0);
    };
    return { file, name, contents, transfers, releaseAll };
  }

  it.each(QUEUES)('each is told what came of it, %d queues of depth %d', async (queues, depth) => {
    const { file, name, contents, transfers, releaseAll } = await batch(queues, depth);
    const { bytesTotal, transferred, errors } = await file.writeBatch(transfers, {
      onError: 'collect',
    });
    expect([bytesTotal, ...transferred]).toEqual([3 * MIB, MIB, 0, MIB, MIB]);
    expect([...errors.keys()]).toEqual([1]);
    expect(errors.get(1)).toMatchObject(FAILED);
    for (const { offset, data } of transfers) if (offset < TOO_FAR) data.copy(contents, offset);
    expect(readFileSync(name).equals(contents)).toBe(true);
    releaseAll();
  });

  it.each(QUEUES)('the others end early, %d queues of depth %d', async (queues, depth) => {
    const { file, name, contents, transfers, releaseAll } = await batch(queues, depth);
    const writes = file.writeBatch(transfers, { onError: 'abort' });
    await expect(writes).rejects.toMatchObject(FAILED);
    for (const { offset, data } of transfers) {
      if (offset < TOO_FAR) partsWritten(name, offset, data, contents);
    }
    // With one place the first has ended by then, and those behind never begin.
    const behind = readFileSync(name).subarray(2 * MIB);
    if (depth === 1) expect(behind.equals(contents.subarray(2 * MIB))).toBe(true);
    releaseAll();
  });
});

it('counts once while it waits, and none of its parts is refused, however shallow the queue', async () => {
  const { engine, file, contents } = await stage({ depth: 1, maxQueued: 2 });
  const [first, second, third] = [MIB, MIB, MIB].map((bytes) => engine.pool.acquire(bytes));
  const reads = [file.read(0, first!), file.read(MIB, second!)];
  expect(engine.stats().waiting).toBe(2); // one of which has begun
  expect(engine.pressure).toBe(1);
  await expect(file.read(0, third!)).rejects.toMatchObject({ code: 'ERR_RINGBOLT_OVERLOADED' });
  expect(await Promise.all(reads)).toEqual([MIB, MIB]);
  expect(first!.buffer.equals(contents.subarray(0, MIB))).toBe(true);
  expect(second!.buffer.equals(contents.subarray(MIB, 2 * MIB))).toBe(true);
  expect(engine.stats().waiting).toBe(0);
  expect(await file.read(0, third!)).toBe(MIB);
});

it('goes in parts even if it is small and alone', async () => {
  const { engine, file, contents } = await stage({ queues: 2, maxIoBytes: 4 * KIB });
  const lease = engine.pool.acquire(16 * KIB);
  expect(await file.read(0, lease)).toBe(16 * KIB);
  expect(lease.buffer.equals(contents.subarray(0, 16 * KIB))).toBe(true);
  expect(partsOf(engine, 'readsTotal')).toEqual([2, 2]);
});

it('goes through an engine in which nothing may wait', async () => {
  const { engine, file, contents } = await stage({ depth: 1, maxQueued: 0 });
  const lease = engine.pool.acquire(4 * MIB);
  const read = file.read(0, lease);
  expect(engine.pressure).toBe(1);
  await expect(engine.noop()).rejects.toMatchObject({ code: 'ERR_RINGBOLT_OVERLOADED' });
  expect(await read).toBe(4 * MIB);
  expect(lease.buffer.equals(contents.subarray(0, 4 * MIB))).toBe(true);
  await engine.noop();
});

it('what comes behind it in its class waits for its last part; the foreground does not', async () => {
  const { engine, file } = await stage({ depth: 1 });
  const ended: string[] = [];
  const read = async (what: string, bytes: number, ioClass: 'foreground' | 'background') => {
    const lease = engine.pool.acquire(bytes);
    await file.read(0, lease, { ioClass });
    ended.push(what);
  };
  await Promise.all([
    read('large', 4 * MIB, 'background'),
    read('behind', 4 * KIB, 'background'),
    read('foreground', 4 * KIB, 'foreground'),
  ]);
  expect(ended).toEqual(['foreground', 'large', 'behind']);
});

it('a lease that is released in flight returns when the last part has ended', async () => {
  const { engine, file, contents } = await stage({ queues: 3 });
  const lease = engine.pool.acquire(4 * MIB);
  const { buffer } = lease;
  const read = file.read(0, lease);
  await expect(file.read(0, lease)).rejects.toMatchObject({ code: 'ERR_RINGBOLT_BUSY' });
  lease.release();
  expect(engine.pool.stats().bytesInUse).toBe(4 * MIB);
  expect(await read).toBe(4 * MIB);
  expect(buffer.equals(contents.subarray(0, 4 * MIB))).toBe(true);
  expect(engine.pool.stats().bytesInUse).toBe(0);
});

it('costs a rate limit one operation and its bytes once', async () => {
  const { engine, file } = await stage({ limits: { total: ONE } });
  const lease = engine.pool.acquire(4 * MIB);
  expect(await file.read(0, lease)).toBe(4 * MIB); // would last 64 s if each part was one
  const begun = performance.now();
  engine.setLimits({ total: { bytesPerSecond: 40 * MIB, burstMs: 1 } });
  for (let count = 0; count < 3; count++) await file.read(0, lease);
  // Timers are never early: what the limit says is a lower bound, whatever the machine.
  expect(performance.now() - begun).toBeGreaterThan(190);
});

it('waits for a rate limit as a whole, and is interrupted there as a whole', async () => {
  const { engine, file, name, contents } = await stage({ limits: { total: ONE } });
  const lease = engine.pool.acquire(MIB);
  await file.read(0, lease);
  const parts = partsOf(engine, 'readsTotal');
  const where = { path: name, offset: MIB, length: MIB, bytesDone: 0 };
  await expect(file.read(MIB, lease, { timeoutMs: 5 })).rejects.toMatchObject({
    code: 'ERR_RINGBOLT_TIMEOUT',
    ...where,
  });
  const controller = new AbortController();
  const write = file.write(MIB, lease, { signal: controller.signal });
  expect(engine.stats().waiting).toBe(1);
  controller.abort();
  expect(engine.stats().waiting).toBe(0);
  await expect(write).rejects.toMatchObject({ ...ABORTED, bytesDone: 0 });
  lease.release();
  expect(engine.pool.stats().bytesInUse).toBe(0);
  expect(partsOf(engine, 'readsTotal')).toEqual(parts);
  expect(readFileSync(name).equals(contents)).toBe(true);
});

it('a deadline that passes in the middle ends it, with what was done', async () => {
  const { engine, file, name, contents } = await stage({ depth: 1 });
  const { lease, data } = filled(engine, 4 * MIB);
  // Each part is on stable storage before the next begins: all 64 take longer than this.
  const write = file.write(0, lease, { timeoutMs: 1, durable: true });
  const done = await write.catch((error: unknown) => {
    expect(error).toMatchObject({ code: 'ERR_RINGBOLT_TIMEOUT', offset: 0, length: 4 * MIB });
    return (error as { bytesDone: number }).bytesDone;
  });
  const written = [...partsWritten(name, 0, data, contents), false];
  expect(done).toBe(written.indexOf(false) * PART);
  expect(written.lastIndexOf(true)).toBe(done / PART - 1);
  await file.flush(); // nothing was lost
  lease.release();
  expect(engine.pool.stats().bytesInUse).toBe(0);
});

it('an array that is detached meanwhile is an error of the whole', async () => {
  const { engine, file } = await stage({ queues: 3, depth: 2 });
  const lease = engine.pool.acquire(MIB);
  const out = new BigUint64Array(256);
  const checksum = { algorithm: 'crc32c', blockSize: 4 * KIB, out } as const;
  const read = file.read(0, lease, { checksum });
  structuredClone(out, { transfer: [out.buffer] });
  await expect(read).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_VALUE' });
  lease.release();
  expect(engine.pool.stats().bytesInUse).toBe(0);
  expect(engine.stats().waiting).toBe(0);
});

it('copied memory goes in pieces no larger', async () => {
  const { engine, file, contents } = await stage({ queues: 2 });
  const array = new Uint8Array(MIB);
  expect(await file.read(4 * KIB, array)).toBe(MIB);
  expect(contents.subarray(4 * KIB, 4 * KIB + MIB).equals(array)).toBe(true);
  expect(engine.stats().classes.foreground.readsTotal).toBe(16);
  const formula: Formula = { algorithm: 'crc32c', blockSize: 100_352 };
  const out = new BigUint64Array(11);
  await file.read(0, array, { checksum: { ...formula, out } }); // whole blocks all the same
  expect([...out]).toEqual(blockValues(formula, contents.subarray(0, MIB)));
});

it('is off by default for all leases of the default pool, and says so', async () => {
  const engine = await startEngine();
  expect(engine.info.maxIoBytes).toBe(MIB);
  expect(engine.pool.maxSlabBytes).toBe(MIB);
  const { engine: other } = await stage();
  expect(other.info.maxIoBytes).toBe(PART);
});
