// Shows that closing is orderly whatever is under way: everything that was begun settles with its data, nothing new
// begins, and nobody waits for ever.

import { Engine, type BlockFile, type Lease } from 'ringbolt';
import { describe, expect, it } from 'vitest';
import { startEngine } from '../support/engine.js';
import { BLOCK, isNumbered, numberedFile } from './numbered-file.js';

const CLOSED = { code: 'ERR_RINGBOLT_CLOSED' };
const BLOCKS = 256;

interface Setting {
  readonly engine: Engine;
  readonly file: BlockFile;
}

async function opened(): Promise<Setting> {
  const engine = await startEngine({ depth: 128 });
  return { engine, file: await engine.open(numberedFile(BLOCKS), { access: 'read-write' }) };
}

/** Begins reads of all blocks: more than a queue takes at once. */
function readAll({ engine, file }: Setting) {
  return Array.from({ length: BLOCKS }, (_, block) => {
    const lease = engine.pool.acquire(BLOCK);
    return { block, lease, read: file.read(block * BLOCK, lease) };
  });
}

async function expectWhole(
  reads: readonly { block: number; lease: Lease; read: Promise<number> }[],
) {
  for (const { block, lease, read } of reads) {
    expect(await read).toBe(BLOCK);
    expect(isNumbered(lease.buffer, block), `block ${block}`).toBe(true);
  }
}

describe('engine.close()', () => {
  it('lets all that was begun end, with its data', async () => {
    const setting = await opened();
    const reads = readAll(setting);
    const copied = new Uint8Array(BLOCKS * BLOCK);
    const copiedRead = setting.file.read(0, copied);
    const batch = Array.from({ length: 64 }, (_, i) => ({
      offset: i * BLOCK,
      buffer: setting.engine.pool.acquire(BLOCK),
    }));
    const batchRead = setting.file.readBatch(batch);
    const flushes = [setting.file.flush(), setting.file.flush()];
    const noop = setting.engine.noop();

    await setting.engine.close();
    await expectWhole(reads);
    expect(await copiedRead).toBe(copied.length);
    expect(isNumbered(Buffer.from(copied.buffer), 0)).toBe(true);
    expect((await batchRead).bytesTotal).toBe(64 * BLOCK);
    await Promise.all([...flushes, noop]);
  });

  it('settles once, for all who call it', async () => {
    const setting = await opened();
    const reads = readAll(setting);
    const first = setting.engine.close();
    expect(setting.engine.close()).toBe(first);
    await Promise.all([first, setting.engine.close(), setting.file.close()]);
    expect(setting.engine.close()).toBe(first);
    await expectWhole(reads);
  });

  it('refuses all that comes after it, before it has ended and afterwards', async () => {
    const { engine, file } = await opened();
    const lease = engine.pool.acquire(BLOCK);
    const name = file.path;
    const attempts = (): readonly (readonly [string, () => Promise<unknown>])[] => [
      ['open', () => engine.open(name)],
      ['noop', () => engine.noop()],
      ['noopBatch', () => engine.noopBatch(3)],
      ['read', () => file.read(0, lease)],
      ['copied read', () => file.read(0, new Uint8Array(BLOCK))],
      ['write', () => file.write(0, lease)],
      ['readBatch', () => file.readBatch([{ offset: 0, buffer: lease }])],
      ['writeBatch', () => file.writeBatch([{ offset: 0, buffer: lease }])],
      ['flush', () => file.flush()],
    ];
    const closed = engine.close();
    for (const [what, attempt] of attempts()) {
      await expect(attempt(), what).rejects.toMatchObject(CLOSED);
    }
    await closed;
    for (const [what, attempt] of attempts()) {
      await expect(attempt(), what).rejects.toMatchObject(CLOSED);
    }
    expect(() => engine.stats()).toThrow(expect.objectContaining(CLOSED));
    await file.close();
  });

  it('leaves leases readable, and lets them be released', async () => {
    const setting = await opened();
    const reads = readAll(setting);
    const released = reads.splice(0, 100);
    for (const { lease } of released) lease.release(); // in flight
    await setting.engine.close();
    await expectWhole(reads);
    for (const { lease } of reads) {
      const { buffer } = lease;
      buffer.fill(1);
      lease.release();
      buffer.fill(2);
    }
    expect(setting.engine.pool.stats().bytesInUse).toBe(0);
  });

  it('ends watch() loops', async () => {
    const { engine } = await opened();
    let samples = 0;
    let closed: Promise<void> | undefined;
    for await (const { iops } of engine.watch({ intervalMs: 10 })) {
      expect(iops).toBe(0);
      if (++samples === 2) closed = engine.close();
    }
    // As long as it closes there may be more.
    expect(samples).toBeGreaterThanOrEqual(2);
    await closed;
  });

  it('may be called by the continuation of an operation', async () => {
    const setting = await opened();
    const reads = readAll(setting);
    await reads[0]!.read.then(() => setting.engine.close());
    await expectWhole(reads);
  });

  it('may be called in the turn in which the engine started', async () => {
    for (let i = 0; i < 10; i++) {
      const engine = await Engine.start({ queues: 2, pool: { bytes: 2 ** 20 } });
      await engine.close();
    }
  });

  it('closes files that are being opened, or lets them be: nobody waits for ever', async () => {
    const name = numberedFile(BLOCKS);
    for (let round = 0; round < 20; round++) {
      const engine = await startEngine({ queues: 2, pool: { bytes: 2 ** 20 } });
      const opens = Array.from({ length: round }, () => engine.open(name));
      // Another moment each time: while the control thread opens, while the queues install, after that.
      for (let i = 0; i < round % 4; i++) await new Promise(setImmediate);
      const closed = engine.close();
      opens.push(engine.open(name));
      for (const outcome of await Promise.allSettled(opens)) {
        if (outcome.status === 'rejected') {
          expect(outcome.reason).toMatchObject(CLOSED);
        } else {
          const read = outcome.value.read(0, new Uint8Array(BLOCK));
          await expect(read).rejects.toMatchObject(CLOSED);
        }
      }
      await closed;
    }
  });
});

describe('file.close()', () => {
  it('lets reads in flight end, and refuses new ones', async () => {
    const setting = await opened();
    const reads = readAll(setting);
    const closed = setting.file.close();
    await expect(setting.file.read(0, new Uint8Array(BLOCK))).rejects.toMatchObject(CLOSED);
    await closed;
    await expectWhole(reads);
  });

  it('settles once, for all who call it', async () => {
    const { file } = await opened();
    const first = file.close();
    expect(file.close()).toBe(first);
    await first;
    expect(file.close()).toBe(first);
  });

  it('does not disturb other files of the engine, nor the one that comes next', async () => {
    const setting = await opened();
    const { engine } = setting;
    const other = await engine.open(numberedFile(BLOCKS));
    const reads = readAll({ engine, file: other });
    await setting.file.close();
    const next = await engine.open(other.path);
    await expectWhole(reads.concat(readAll({ engine, file: next })));
  });

  it('may be called for more files at once than there are slots for it', async () => {
    const engine = await startEngine({ queues: 2 });
    const name = numberedFile(BLOCKS);
    const files = await Promise.all(Array.from({ length: 200 }, () => engine.open(name)));
    const reads = files.map((file, i) => file.read((i % BLOCKS) * BLOCK, new Uint8Array(BLOCK)));
    await Promise.all(files.map((file) => file.close()));
    expect(await Promise.all(reads)).toEqual(files.map(() => BLOCK));
  });

  it('may be called by the continuation of a read, and before its lease is released', async () => {
    const { engine, file } = await opened();
    const lease = engine.pool.acquire(BLOCK);
    await file.read(0, lease).then(() => file.close());
    lease.release();
    expect(engine.pool.stats().bytesInUse).toBe(0);
  });
});
