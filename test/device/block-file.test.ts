// Shows that what is written is what is read, by whichever way: leases or copies, alone or in batches, direct or
// buffered, compared with node:fs.

import { randomBytes } from 'node:crypto';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { RingboltError, type BlockFile, type Engine, type OpenOptions } from 'ringbolt';
import { beforeAll, describe, expect, it } from 'vitest';
import { startEngine } from '../support/engine.js';
import { tempFolder } from '../support/temp-folder.js';
import { turnsDuring } from '../support/turns.js';

const KIB = 1024;
const MIB = KIB * KIB;

let contents: Buffer;
beforeAll(() => {
  contents = randomBytes(4 * MIB);
});

async function openNew(
  bytes: Buffer,
  options: OpenOptions = {},
): Promise<{ engine: Engine; file: BlockFile; name: string }> {
  const name = path.join(tempFolder(), 'data');
  writeFileSync(name, bytes, { flush: true });
  const engine = await startEngine();
  const file = await engine.open(name, { access: 'read-write', ...options });
  return { engine, file, name };
}

describe.each([
  ['direct', { direct: 'auto' }],
  ['buffered', { direct: false }],
] as const)('BlockFile, %s', (mode, options) => {
  it('reads into a lease', async () => {
    const { engine, file } = await openNew(contents, options);
    expect(file.size).toBe(contents.length);
    expect(file.blockSize).toBe(mode === 'direct' ? 512 : 1);
    using lease = engine.pool.acquire(64 * KIB);
    expect(await file.read(12 * KIB, lease)).toBe(64 * KIB);
    expect(lease.buffer.equals(contents.subarray(12 * KIB, 76 * KIB))).toBe(true);
    expect(engine.stats().copied.readBytes).toBe(0);
  });

  it('reads into any Uint8Array, counted as copied', async () => {
    const { engine, file } = await openNew(contents, options);
    const into = new Uint8Array(20 * KIB).subarray(4 * KIB); // a view with an offset
    expect(await file.read(8 * KIB, into)).toBe(16 * KIB);
    expect(Buffer.from(into).equals(contents.subarray(8 * KIB, 24 * KIB))).toBe(true);
    expect(engine.stats().copied.readBytes).toBe(16 * KIB);
  });

  it('writes from leases and arrays', async () => {
    const { engine, file, name } = await openNew(contents, options);
    using lease = engine.pool.acquire(4 * KIB);
    lease.buffer.fill(0xab);
    expect(await file.write(0, lease)).toBe(4 * KIB);
    expect(await file.write(4 * KIB, new Uint8Array(4 * KIB).fill(0xcd), { durable: true })).toBe(
      4 * KIB,
    );
    await file.flush();
    const after = readFileSync(name);
    expect(after.subarray(0, 4 * KIB).every((byte) => byte === 0xab)).toBe(true);
    expect(after.subarray(4 * KIB, 8 * KIB).every((byte) => byte === 0xcd)).toBe(true);
    expect(after.subarray(8 * KIB).equals(contents.subarray(8 * KIB))).toBe(true);
  });

  it('copies transfers larger than any slab and than a turn may copy', async () => {
    const { file, name } = await openNew(contents, options);
    const into = new Uint8Array(3 * MIB + 512);
    expect(await file.read(512, into)).toBe(into.length);
    expect(Buffer.from(into).equals(contents.subarray(512, 512 + into.length))).toBe(true);
    const other = randomBytes(3 * MIB);
    expect(await file.write(MIB, other)).toBe(other.length);
    await file.flush();
    expect(readFileSync(name).subarray(MIB).equals(other)).toBe(true);
  });

  it('reads less at the end of the file, and nothing past it', async () => {
    const { engine, file } = await openNew(contents.subarray(0, 10_000), options);
    using lease = engine.pool.acquire(8 * KIB);
    expect(await file.read(8 * KIB, lease)).toBe(10_000 - 8 * KIB);
    expect(lease.buffer.subarray(0, 1808).equals(contents.subarray(8 * KIB, 10_000))).toBe(true);
    expect(await file.read(16 * KIB, lease)).toBe(0);
    const array = new Uint8Array(512 * KIB).fill(7);
    expect(await file.read(0, array)).toBe(10_000);
    expect(array[10_000]).toBe(7); // nothing beyond what was read is touched
  });

  it('grows with writes past the end', async () => {
    const { file, name } = await openNew(Buffer.alloc(0), options);
    expect(file.size).toBe(0);
    await file.write(8 * KIB, contents.subarray(0, 4 * KIB));
    expect(file.size).toBe(12 * KIB);
    await file.flush();
    expect(statSync(name).size).toBe(12 * KIB);
  });

  it('reads and writes batches, leases and arrays mixed', async () => {
    const { engine, file, name } = await openNew(contents, options);
    const parts = Array.from({ length: 300 }, (_, i) => {
      const buffer =
        i % 3 === 0 ? new Uint8Array(4 * KIB).fill(i % 251) : engine.pool.acquire(4 * KIB);
      if (!(buffer instanceof Uint8Array)) buffer.buffer.fill(i % 251);
      return { offset: i * 8 * KIB, buffer };
    });
    const written = await file.writeBatch(parts);
    expect(written.bytesTotal).toBe(300 * 4 * KIB);
    await file.flush();
    const after = readFileSync(name);
    for (const [i, { offset }] of parts.entries()) {
      expect(after.subarray(offset, offset + 4 * KIB).every((byte) => byte === i % 251)).toBe(true);
    }
    const backwards = parts.toReversed();
    const read = await file.readBatch(backwards);
    expect([...read.transferred].every((bytes) => bytes === 4 * KIB)).toBe(true);
    for (const [i, { buffer }] of backwards.entries()) {
      const bytes = buffer instanceof Uint8Array ? buffer : buffer.buffer;
      expect(bytes.every((byte) => byte === (299 - i) % 251)).toBe(true);
    }
  });
});

describe('BlockFile', () => {
  it('copies no more than its share in a turn: other work gets its turns in between', async () => {
    const { file } = await openNew(contents);
    const turns = await turnsDuring(() => file.read(0, new Uint8Array(4 * MIB)));
    expect(turns).toBeGreaterThanOrEqual(15); // 4 MiB at 256 KiB a turn
  });

  it('rejects with the system error, its place, and what was done', async () => {
    const { file, engine } = await openNew(contents, { access: 'read' });
    using lease = engine.pool.acquire(4096);
    const error = await file.write(4096, lease).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(RingboltError);
    expect(error).toMatchObject({
      code: 'EBADF',
      errno: -9,
      syscall: 'write',
      path: file.path,
      offset: 4096,
      length: 4096,
      bytesDone: 0,
    });
  });

  it('rejects a batch with the error of the first part that failed, after all have ended', async () => {
    const { file, engine } = await openNew(contents, { access: 'read' });
    const parts = [8192, 0].map((offset) => ({ offset, buffer: engine.pool.acquire(4096) }));
    await expect(file.writeBatch(parts)).rejects.toMatchObject({ code: 'EBADF', offset: 8192 });
    for (const { buffer } of parts) buffer.release(); // not in flight any more
    expect(engine.stats().pool.bytesInUse).toBe(0);
  });

  it('joins concurrent flushes: one runs, one waits', async () => {
    const { file, engine } = await openNew(contents);
    const flushes = () => engine.stats().classes.foreground.flushesTotal;
    const before = flushes();
    await Promise.all(Array.from({ length: 50 }, () => file.flush()));
    expect(flushes() - before).toBe(2);
    await file.flush();
    expect(flushes() - before).toBe(3);
  });

  it('creates files, exclusively if asked to, with their size', async () => {
    const engine = await startEngine();
    const name = path.join(tempFolder(), 'new');
    const options = { access: 'read-write', create: 'exclusive', size: MIB } as const;
    const file = await engine.open(name, options);
    expect(file.size).toBe(MIB);
    expect(statSync(name).size).toBe(MIB);
    await expect(engine.open(name, options)).rejects.toMatchObject({ code: 'EEXIST', path: name });
    const again = await engine.open(name, { access: 'read-write', create: true, truncate: true });
    expect(again.size).toBe(0);
  });

  it('locks against other openings that lock', async () => {
    const { engine, name } = await openNew(contents, { lock: 'exclusive' });
    await expect(engine.open(name, { lock: 'shared' })).rejects.toMatchObject({
      code: 'ERR_RINGBOLT_BUSY',
      path: name,
    });
    const unlocked = await engine.open(name);
    expect(unlocked.size).toBe(contents.length);
  });

  it('waits on closing for what is under way, and refuses what comes after', async () => {
    const { file, engine } = await openNew(contents);
    const array = new Uint8Array(2 * MIB);
    const reading = file.read(0, array);
    const closing = file.close();
    await expect(file.read(0, engine.pool.acquire(4096))).rejects.toMatchObject({
      code: 'ERR_RINGBOLT_CLOSED',
    });
    expect(await reading).toBe(2 * MIB);
    await closing;
    expect(Buffer.from(array).equals(contents.subarray(0, 2 * MIB))).toBe(true);
    await file.close(); // again is no error
  });
});
