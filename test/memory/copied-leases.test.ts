// Shows what is different where JavaScript may not see native memory, as in Electron (here by RINGBOLT_DISABLE): leases are
// copied, so much a turn, and all else holds. suites-with-copied-leases.test.ts runs the ordinary tests that way.

import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { Readable } from 'node:stream';
import { checksum, probe, type BlockFile, type Engine } from 'ringbolt';
import { beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { numberedFile } from '../lifecycle/numbered-file.js';
import { runForJson } from '../lifecycle/run-program.js';
import { expectRefused, expectStillWorks } from '../misuse/refusal.js';
import { blockValues, setBits } from '../support/checksums.js';
import { startEngine } from '../support/engine.js';
import { tempFolder } from '../support/temp-folder.js';
import { turnsDuring } from '../support/turns.js';

const KIB = 1024;
const MIB = 2 ** 20;
const BLOCK = 4 * KIB;
const BUSY = { code: 'ERR_RINGBOLT_BUSY' } as const;

let contents: Buffer;
let name: string;
let engine: Engine;
let file: BlockFile;
beforeEach(async () => {
  vi.stubEnv('RINGBOLT_DISABLE', 'EXTERNAL_BUFFERS');
  onTestFinished(() => {
    vi.unstubAllEnvs();
  });
  contents = randomBytes(2 * MIB);
  name = path.join(tempFolder(), 'data');
  writeFileSync(name, contents, { flush: true });
  engine = await startEngine();
  file = await engine.open(name, { access: 'read-write' });
});

describe('an engine without external buffers', () => {
  it('says so, with the reason, and one that has them says nothing', async () => {
    const reason = 'disabled by request';
    expect(engine.info.memory).toMatchObject({
      features: [{ name: 'EXTERNAL_BUFFERS', active: false, reason }],
      remarks: expect.stringContaining(`leases are copied: ${reason}`) as string,
    });
    const { features } = await probe();
    expect(features.find((found) => found.name === 'external-buffers')).toMatchObject({
      available: false,
      why: reason,
      remedy: expect.stringContaining('RINGBOLT_DISABLE') as string,
    });
    vi.stubEnv('RINGBOLT_DISABLE', '');
    const { memory } = (await startEngine()).info;
    expect(memory.features).toEqual([{ name: 'EXTERNAL_BUFFERS', active: true, reason: '' }]);
    expect(memory.remarks).not.toMatch('copied');
  });

  it('reads and writes leases through copies, which it counts', async () => {
    using lease = engine.pool.acquire(MIB);
    expect(await file.read(BLOCK, lease)).toBe(MIB);
    expect(lease.buffer.equals(contents.subarray(BLOCK, BLOCK + MIB))).toBe(true);
    lease.buffer.fill(7);
    expect(await file.write(0, lease, { durable: true })).toBe(MIB);
    expect(readFileSync(name).subarray(0, MIB).equals(lease.buffer)).toBe(true);
    expect(engine.stats().copied).toMatchObject({ readBytes: MIB, writtenBytes: MIB });
    const end = contents.length - BLOCK;
    lease.buffer.fill(1);
    expect(await file.read(end, lease)).toBe(BLOCK);
    expect(lease.buffer.subarray(0, BLOCK).equals(contents.subarray(end))).toBe(true);
    expect(lease.buffer.subarray(BLOCK).every((byte) => byte === 1)).toBe(true);
    expect(await file.read(contents.length, lease)).toBe(0);
  });

  it('takes a turn of the event loop for each 256 KiB', async () => {
    using lease = engine.pool.acquire(MIB);
    const turns = await turnsDuring(async () => {
      for (let i = 0; i < 4; i++) await file.write(0, lease);
    });
    expect(turns).toBeGreaterThanOrEqual(12);
  });

  it('does batches, with arrays among the leases', async () => {
    const leases = Array.from({ length: 8 }, () => engine.pool.acquire(BLOCK));
    const array = Buffer.alloc(BLOCK);
    const buffers = [...leases, array];
    const ops = buffers.map((buffer, i) => ({ offset: i * BLOCK, buffer }));
    expect((await file.readBatch(ops)).bytesTotal).toBe(9 * BLOCK);
    const read = Buffer.concat([...leases.map(({ buffer }) => buffer), array]);
    expect(read.equals(contents.subarray(0, 9 * BLOCK))).toBe(true);
    const moved = ops.map((op) => ({ ...op, offset: op.offset + MIB }));
    await file.writeBatch(moved);
    expect(
      readFileSync(name)
        .subarray(MIB, MIB + read.length)
        .equals(read),
    ).toBe(true);
    for (const lease of leases) lease.release();
  });

  it.each(['crc32c', 'crc64nvme'] as const)('computes and compares %s', async (algorithm) => {
    using lease = engine.pool.acquire(MIB);
    const formula = { algorithm, blockSize: BLOCK, firstBlock: 3 };
    const right = BigUint64Array.from(blockValues(formula, contents.subarray(0, MIB)));
    const out = new BigUint64Array(right.length);
    const expected = right.with(5, 0n);
    const mismatches = new Uint32Array(right.length / 32);
    await file.read(0, lease, { checksum: { ...formula, out, expected, mismatches } });
    expect(out).toEqual(right);
    expect(setBits(mismatches)).toEqual([5]);
    const attempt = file.write(MIB, lease, { checksum: { ...formula, expected } });
    await expect(attempt).rejects.toMatchObject({ code: 'ERR_RINGBOLT_CORRUPT' });
    expect(readFileSync(name).equals(contents)).toBe(true);
  });

  it('hashes leases', async () => {
    using lease = engine.pool.acquire(MIB);
    lease.buffer.set(contents.subarray(0, MIB));
    const hash = engine.checksum(lease, { algorithm: 'crc64nvme' });
    await expectRefused(() => file.read(0, lease), BUSY);
    expect(await hash).toBe(checksum.crc64nvme(contents.subarray(0, MIB)));
    expect(await file.read(0, lease)).toBe(MIB);
  });

  it('streams, by all three ways', async () => {
    const chunks = (await file.readable().toArray()) as Buffer[];
    expect(Buffer.concat(chunks).equals(contents)).toBe(true);
    const copy = path.join(tempFolder(), 'copy');
    const target = await engine.open(copy, { access: 'read-write', create: true });
    await new Promise<void>((resolve, reject) => {
      const from = Readable.from([contents.subarray(0, 777), contents.subarray(777)]);
      from
        .pipe(target.writable({ flush: true }))
        .on('finish', resolve)
        .on('error', reject);
    });
    expect(readFileSync(copy).equals(contents)).toBe(true);
    let at = 0;
    for await (const lease of target.leases({ start: 1000 })) {
      const { buffer } = lease;
      const right = contents.subarray(1000 + at, 1000 + at + buffer.length);
      expect(buffer.equals(right)).toBe(true);
      at += buffer.length;
      lease.release();
    }
    expect(at).toBe(contents.length - 1000);
    expect(engine.pool.stats().bytesInUse).toBe(0);
  });
});

describe('a lease that is copied', () => {
  it.each(['read', 'write'] as const)('is the engine’s until its %s has settled', async (kind) => {
    const lease = engine.pool.acquire(MIB); // four turns
    const operation = file[kind](0, lease);
    await expectRefused(() => file.read(0, lease), BUSY);
    await expectRefused(() => engine.checksum(lease, { algorithm: 'crc32c' }), BUSY);
    lease.release();
    expect(engine.pool.stats().bytesInUse).toBe(MIB);
    await expectRefused(() => file.read(0, lease), { code: 'ERR_RINGBOLT_RELEASED' });
    expect(await operation).toBe(MIB);
    expect(engine.pool.stats().bytesInUse).toBe(0);
  });

  it('is written as it was when it was copied, or not at all if its memory goes', async () => {
    const lease = engine.pool.acquire(MIB);
    const { buffer } = lease.buffer.fill(9);
    const write = file.write(0, lease);
    structuredClone(buffer, { transfer: [buffer as ArrayBuffer] });
    await expectRefused(() => write, { code: 'ERR_INVALID_ARG_VALUE', naming: ['detached'] });
    lease.release();
    const read = engine.pool.acquire(BLOCK);
    const memory = read.buffer.buffer as ArrayBuffer;
    const reading = file.read(0, read);
    structuredClone(memory, { transfer: [memory] });
    await expectRefused(() => reading, { code: 'ERR_INVALID_ARG_VALUE', naming: ['detached'] });
    read.release();
    expect(readFileSync(name).equals(contents)).toBe(true);
    const numbered = await engine.open(numberedFile());
    await expectStillWorks(engine, numbered);
  });

  it('is given back at once when a signal comes before it is written', async () => {
    const lease = engine.pool.acquire(MIB);
    const controller = new AbortController();
    const options = { signal: controller.signal, timeoutMs: 60_000 };
    const write = file.write(0, lease, options);
    controller.abort();
    await expectRefused(() => write, { code: 'ABORT_ERR', name: 'AbortError' });
    expect(await file.read(0, lease)).toBe(MIB);
    expect(lease.buffer.equals(contents.subarray(0, MIB))).toBe(true);
    // One that has begun is not waited for in vain: it has its real outcome.
    const late = new AbortController();
    expect(await file.write(0, lease, { signal: late.signal })).toBe(MIB);
    late.abort();
    lease.release();
    await file.close();
  });

  it('is waited for by close()', async () => {
    const lease = engine.pool.acquire(MIB);
    lease.buffer.fill(5);
    const write = file.write(0, lease);
    await engine.close();
    expect(await write).toBe(MIB);
    expect(readFileSync(name).subarray(0, MIB).equals(lease.buffer)).toBe(true);
    lease.release();
  });
});

describe('in a process of its own, without external buffers', () => {
  const env = { RINGBOLT_DISABLE: 'EXTERNAL_BUFFERS' };

  it('forgotten leases come back', async () => {
    const options = { node: ['--expose-gc'], args: [numberedFile(), 'leases'], env };
    const forgotten = await runForJson('lifecycle/programs/forgotten.cjs', options);
    expect(forgotten).toMatchObject({ exhausted: true, leakedTotal: 256, bytesInUse: 0 });
  });

  it.each(['reads', 'batches', 'copies'])('workers may end amid %s', async (mode) => {
    const options = { args: [numberedFile(), '10', mode], env, limitMs: 50_000 };
    const left = await runForJson<{ threads: readonly string[]; errors: readonly string[] }>(
      'lifecycle/programs/workers.cjs',
      options,
    );
    expect(left).toMatchObject({ threads: [], errors: [] });
  });
});
