// Shows that engine.checksum() computes what it says over leases and other memory, however large, beside I/O and in turns; that
// it refuses what is wrong; and that memory which goes away, or a signal, ends it and nothing else.

import { randomBytes } from 'node:crypto';
import { checksum, type Engine } from 'ringbolt';
import { beforeEach, describe, expect, it } from 'vitest';
import { expectRefused, expectStillWorks, NOT_OBJECTS, rows, wrong } from '../misuse/refusal.js';
import { numberedFile } from '../lifecycle/numbered-file.js';
import { crc } from '../support/checksums.js';
import { startEngine } from '../support/engine.js';
import { turnsDuring } from '../support/turns.js';

const MIB = 2 ** 20;

let engine: Engine;
beforeEach(async () => {
  engine = await startEngine({ queues: 2 });
});

describe('engine.checksum()', () => {
  it.each(['crc32c', 'crc64nvme'] as const)('computes %s of any memory', async (algorithm) => {
    const data = randomBytes(MIB);
    using lease = engine.pool.acquire(MIB);
    lease.buffer.set(data);
    const value = crc(algorithm, data, 5n);
    expect(await engine.checksum(lease, { algorithm, seed: 5n })).toBe(value);
    expect(await engine.checksum(data, { algorithm, seed: 5n })).toBe(value);
    // In parts, each beginning with the checksum of those before it.
    const half = await engine.checksum(data.subarray(0, 77_777), { algorithm });
    const whole = await engine.checksum(data.subarray(77_777), { algorithm, seed: half });
    expect(whole).toBe(crc(algorithm, data));
    const { checksumsTotal, checksumBytes } = engine.stats().classes.foreground;
    expect([checksumsTotal, checksumBytes]).toEqual([1, MIB]);
  });

  it('computes the published XXH3, the same in both kinds of memory', async () => {
    using lease = engine.pool.acquire(4096);
    lease.buffer.fill(0xff);
    const algorithm = 'xxh3';
    expect(await engine.checksum(lease, { algorithm })).toBe(0x074cfac273851dd6n);
    expect(await engine.checksum(Buffer.alloc(4096, 0xff), { algorithm })).toBe(
      0x074cfac273851dd6n,
    );
    // In one piece by a queue, in several on this thread.
    using large = engine.pool.acquire(MIB);
    const data = randomBytes(MIB - 3);
    large.buffer.set(data);
    const seed = 2n ** 64n - 1n;
    const whole = await engine.checksum(large, { algorithm, seed });
    expect(whole).toBe(checksum.xxh3(large.buffer, seed));
    expect(await engine.checksum(Buffer.from(large.buffer), { algorithm, seed })).toBe(whole);
    expect(await engine.checksum(data, { algorithm, seed })).toBe(checksum.xxh3(data, seed));
  });

  it('takes a turn of the event loop for each 256 KiB of memory that is no lease', async () => {
    const array = new Uint8Array(4 * MIB);
    const turns = await turnsDuring(() => engine.checksum(array, { algorithm: 'crc32c' }));
    expect(turns).toBeGreaterThanOrEqual(15);
  });

  it('does not mind I/O beside it', async () => {
    const file = await engine.open(numberedFile());
    const leases = Array.from({ length: 6 }, () => engine.pool.acquire(MIB));
    const hashes = Promise.all(
      leases.map((lease) => engine.checksum(lease, { algorithm: 'crc32c' })),
    );
    await expectStillWorks(engine, file);
    expect(new Set(await hashes).size).toBeGreaterThan(0);
    for (const lease of leases) lease.release();
  });

  const good = { algorithm: 'crc32c' } as const;

  it.each(rows([undefined, ...NOT_OBJECTS]))('refuses %s for options', async (_, options) => {
    const refusal = { code: 'ERR_INVALID_ARG_TYPE', naming: ['"options"'] };
    await expectRefused(() => engine.checksum(new Uint8Array(1), wrong(options)), refusal);
  });

  it('refuses what else is wrong', async () => {
    const data = new Uint8Array(16);
    const attempts: [unknown, object, string][] = [
      [data, { algorithm: 'md5' }, 'ERR_INVALID_ARG_VALUE'],
      [data, { ...good, seed: 1 }, 'ERR_INVALID_ARG_TYPE'],
      [data, { ...good, seed: 2n ** 32n }, 'ERR_OUT_OF_RANGE'],
      [data, { ...good, ioClass: 'idle' }, 'ERR_INVALID_ARG_VALUE'],
      [data, { ...good, signal: {} }, 'ERR_INVALID_ARG_TYPE'],
      [data, { ...good, timeoutMs: 0 }, 'ERR_OUT_OF_RANGE'],
      [data, { ...good, blockSize: 5 }, 'ERR_INVALID_ARG_VALUE'],
      ['text', good, 'ERR_INVALID_ARG_TYPE'],
      [new Uint16Array(4), good, 'ERR_INVALID_ARG_TYPE'],
      [new Uint8Array(new SharedArrayBuffer(4)), good, 'ERR_INVALID_ARG_TYPE'],
      [new Uint8Array(0), good, 'ERR_INVALID_ARG_VALUE'],
    ];
    for (const [memory, options, code] of attempts) {
      await expectRefused(() => engine.checksum(wrong(memory), wrong(options)), { code });
    }
    const lease = engine.pool.acquire(MIB);
    const first = engine.checksum(lease, good);
    await expectRefused(() => engine.checksum(lease, good), { code: 'ERR_RINGBOLT_BUSY' });
    await first;
    lease.release();
    await expectRefused(() => engine.checksum(lease, good), { code: 'ERR_RINGBOLT_RELEASED' });
    await engine.close();
    await expectRefused(() => engine.checksum(data, good), { code: 'ERR_RINGBOLT_CLOSED' });
  });

  it('ends when its memory goes away, or its signal is aborted', async () => {
    const array = new Uint8Array(2 * MIB);
    const hash = engine.checksum(array, good);
    structuredClone(array.buffer, { transfer: [array.buffer] });
    await expectRefused(() => hash, { code: 'ERR_INVALID_ARG_VALUE', naming: ['detached'] });
    for (const memory of [engine.pool.acquire(MIB), new Uint8Array(2 * MIB)]) {
      const controller = new AbortController();
      const { signal } = controller;
      const aborted = engine.checksum(memory, { ...good, signal });
      controller.abort();
      await expectRefused(() => aborted, { code: 'ABORT_ERR', name: 'AbortError' });
      await expectRefused(() => engine.checksum(new Uint8Array(1), { ...good, signal }), {
        code: 'ABORT_ERR',
      });
      if ('release' in memory) memory.release();
    }
    await engine.close(); // waits until the lease is the pool's again
  });

  it('is finished before the engine is', async () => {
    const lease = engine.pool.acquire(MIB);
    const hash = engine.checksum(lease, good);
    await engine.close();
    expect(await hash).toBe(await hash);
    lease.release();
  });
});
