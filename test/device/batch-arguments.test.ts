// Shows that the parts of a batch are read once: what was checked is what is done, whatever getters say the second time.

import { writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Lease, Transfer } from 'ringbolt';
import { expect, it } from 'vitest';
import { startEngine } from '../support/engine.js';
import { tempFolder } from '../support/temp-folder.js';

async function setUp() {
  const name = path.join(tempFolder(), 'data');
  writeFileSync(name, Buffer.alloc(2 ** 20), { flush: true });
  const engine = await startEngine();
  return { engine, file: await engine.open(name, { access: 'read-write' }) };
}

it('reads offset and buffer of each part once', async () => {
  const { engine, file } = await setUp();
  const lease = engine.pool.acquire(4096);
  let reads = 0;
  const part = {
    get offset() {
      reads++;
      return reads === 1 ? 0 : 1;
    },
    get buffer() {
      reads++;
      return lease;
    },
  };
  expect((await file.readBatch([part])).bytesTotal).toBe(4096);
  expect(reads).toBe(2);
});

it('does nothing if a getter throws', async () => {
  const { engine, file } = await setUp();
  const writes = () => engine.stats().classes.foreground.writesTotal;
  const good = { offset: 0, buffer: engine.pool.acquire(4096) };
  const bad = {
    offset: 0,
    get buffer(): Lease {
      throw new Error('mine');
    },
  };
  await expect(file.writeBatch([good, bad])).rejects.toThrow('mine');
  expect(writes()).toBe(0);
  good.buffer.release();
});

it('does nothing if a getter releases a lease that was looked at before, or closes the file', async () => {
  const { engine, file } = await setUp();
  const first = engine.pool.acquire(4096);
  const second = engine.pool.acquire(4096);
  const releasing: Transfer = {
    offset: 0,
    get buffer() {
      first.release();
      return second;
    },
  };
  await expect(file.readBatch([{ offset: 0, buffer: first }, releasing])).rejects.toMatchObject({
    code: 'ERR_RINGBOLT_RELEASED',
  });
  const closing: Transfer = {
    get offset() {
      void file.close();
      return 0;
    },
    buffer: second,
  };
  await expect(file.readBatch([closing])).rejects.toMatchObject({ code: 'ERR_RINGBOLT_CLOSED' });
  second.release();
  expect(engine.stats().pool.bytesInUse).toBe(0);
});
