// Shows what a volume promises those who use it, one thing at a time, on a simulated disk.

import { beforeEach, describe, expect, it, vi } from 'vitest';
import { resizable } from '../misuse/resizable.js';
import { startEngine } from '../support/engine.js';
import { Random } from '../support/random.js';
import { SimulatedDisk } from './simulated-disk.js';
import { BLOCK, blockOf, blocksOf, SimulatedVolume, versionsOf } from './simulated-volume.js';

const withCode = (code: string, more: object = {}) =>
  expect.objectContaining({ code, ...more }) as Error;
const COUNT = 2 * 248 + 50;

let random: Random;
let simulated: SimulatedVolume;

async function newVolume(bytes = COUNT * BLOCK, contents: 'zeros' | 'unknown' = 'zeros') {
  simulated = new SimulatedVolume(random, bytes);
  await simulated.create(contents);
  return simulated.open();
}

async function readBlock(volume: Awaited<ReturnType<typeof newVolume>>, block: number) {
  const into = new Uint8Array(BLOCK);
  await volume.read(block * BLOCK, into);
  return versionsOf(block, into)[0]!;
}

beforeEach(() => {
  random = new Random();
});

describe('a volume', () => {
  it('reads what was written, zeros where nothing was, and the same after it was closed', async () => {
    let volume = await newVolume();
    expect(await volume.write(245 * BLOCK, blocksOf(245, 6, 7))).toBe(6 * BLOCK);
    for (let round = 0; round < 2; round++) {
      const into = new Uint8Array(8 * BLOCK);
      expect(await volume.read(244 * BLOCK, into)).toBe(8 * BLOCK);
      const expected = [blockOf(244, 0), blocksOf(245, 6, 7), blockOf(251, 0)];
      expect(Buffer.concat(expected).equals(into)).toBe(true);
      await volume.close();
      simulated.world.crash('none');
      volume = await simulated.open();
      expect(volume.status().recovery).toMatchObject({ regions: 0, blocks: 0 });
    }
  });

  it('has the bytes of its data where they would be without it', async () => {
    const volume = await newVolume();
    await volume.write(BLOCK, blockOf(1, 3));
    expect([...simulated.data.medium.visible(BLOCK, BLOCK)]).toEqual([...blockOf(1, 3)]);
  });

  it('names the damaged blocks, also after a crash, until they are overwritten', async () => {
    let volume = await newVolume();
    await volume.write(0, blocksOf(0, 8, 1));
    await volume.settle();
    simulated.damage(3, 2, 9);
    simulated.damage(5, 7, 9);
    const corrupt = withCode('ERR_RINGBOLT_CORRUPT', { blocks: [3, 5] });
    await expect(volume.read(0, new Uint8Array(8 * BLOCK))).rejects.toThrow(corrupt);
    // Something beside them is written, so that the region is dirty.
    await volume.write(6 * BLOCK, blockOf(6, 2));
    simulated.world.crash('all');
    volume = await simulated.open();
    expect(volume.status().recovery).toMatchObject({ regions: 1, bad: 2 });
    await expect(volume.read(0, new Uint8Array(8 * BLOCK))).rejects.toThrow(corrupt);
    await volume.write(3 * BLOCK, blocksOf(3, 3, 4));
    simulated.world.crash('none'); // written through
    volume = await simulated.open();
    expect(await readBlock(volume, 3)).toBe(4);
    expect(await readBlock(volume, 5)).toBe(4);
  });

  it('does not take a zeroed tag page, or zeroed data, for what was never written', async () => {
    const volume = await newVolume();
    await volume.write(0, blocksOf(0, 2, 1));
    await volume.write(300 * BLOCK, blockOf(300, 1));
    await volume.settle();
    const { medium } = simulated.sidecar;
    medium.overwrite(simulated.geometry.offsetOfPage(0), new Uint8Array(4096));
    simulated.data.medium.overwrite(300 * BLOCK, new Uint8Array(BLOCK));
    await readBlock(volume, 500); // two pages are all that it keeps
    await readBlock(volume, 250);
    const corrupt = (block: number) => withCode('ERR_RINGBOLT_CORRUPT', { blocks: [block] });
    await expect(readBlock(volume, 0)).rejects.toThrow(corrupt(0));
    await expect(readBlock(volume, 300)).rejects.toThrow(corrupt(300));
  });

  it('knows nothing of blocks that were there before it, until they are written', async () => {
    simulated = new SimulatedVolume(random, COUNT * BLOCK);
    for (let block = 0; block < COUNT; block++) {
      simulated.data.medium.overwrite(block * BLOCK, blockOf(block, 5));
    }
    await simulated.create('unknown');
    const volume = await simulated.open({ baseline: false });
    expect(await readBlock(volume, 7)).toBe(5);
    await volume.write(8 * BLOCK, blockOf(8, 6));
    simulated.damage(7, 0, 9);
    simulated.damage(8, 0, 9);
    expect(await readBlock(volume, 7)).toBe(9);
    await expect(readBlock(volume, 8)).rejects.toThrow(withCode('ERR_RINGBOLT_CORRUPT'));
  });

  it('ends the wait of a write for another one when it is told to, and keeps the others in order', async () => {
    const volume = await newVolume();
    let isFirstDone = false;
    const first = volume.write(0, blockOf(0, 1)).then(() => (isFirstDone = true));
    const impatient = new AbortController();
    const second = volume.write(0, blockOf(0, 2), { signal: impatient.signal });
    const third = volume.write(0, blockOf(0, 3), { timeoutMs: 60_000 });
    const others = [
      volume.discard(0, BLOCK, { signal: impatient.signal }),
      volume.writeZeroes(0, BLOCK, { signal: impatient.signal }),
    ];
    impatient.abort();
    for (const one of [second, ...others]) {
      await expect(one).rejects.toThrow(withCode('ABORT_ERR'));
    }
    expect(isFirstDone).toBe(false);
    await Promise.all([first, third]);
    expect(await readBlock(volume, 0)).toBe(3);
    await volume.settle(); // nobody is left in the epoch
    expect(volume.status()).toMatchObject({ state: 'open', dirtyRegions: 0, waiting: 0 });
  });

  it('has a lease until its write has ended, whatever that waits for, and whether or not it was released', async () => {
    const { pool } = await startEngine();
    const volume = await newVolume();
    const ways = [
      { block: 0, stable: 'check', isDamaged: false },
      { block: 250, stable: 'copy', isDamaged: false },
      { block: 1, stable: 'check', isDamaged: true },
      { block: 2, stable: 'copy', isDamaged: true },
    ] as const;
    for (const { block, stable, isDamaged } of ways) {
      await volume.write(1 * BLOCK, blocksOf(1, 2, 1));
      if (isDamaged) simulated.damage(block, 0, 9);
      if (isDamaged) await expect(readBlock(volume, block)).rejects.toThrow();
      for (const isReleased of [true, false]) {
        const lease = pool.acquire(BLOCK);
        const view = lease.buffer;
        view.set(blockOf(block, 5));
        const others = volume.write(block * BLOCK, blockOf(block, 4)); // to be waited for
        const written = volume.write(block * BLOCK, lease, { stable });
        const again = withCode('ERR_RINGBOLT_BUSY');
        await expect(volume.write(block * BLOCK, lease)).rejects.toThrow(again);
        if (isReleased) lease.release();
        const { bytesInUse } = pool.stats();
        await Promise.all([others, written]);
        expect(bytesInUse).toBe(BLOCK);
        if (!isReleased) lease.release();
        expect(pool.stats().bytesInUse).toBe(0);
        expect(await readBlock(volume, block)).toBe(5);
      }
    }
    expect(volume.status()).toMatchObject({ state: 'open', waiting: 0 });
  });

  it('goes on after a durable write that was refused, or whose lease was changed', async () => {
    const { pool } = await startEngine();
    const volume = await newVolume();
    await volume.write(0, blocksOf(0, 8, 1), { durable: true });
    const lease = pool.acquire(BLOCK);
    lease.buffer.set(blockOf(0, 2));
    const first = volume.write(0, lease);
    const busy = withCode('ERR_RINGBOLT_BUSY');
    await expect(volume.write(BLOCK, lease, { durable: true })).rejects.toThrow(busy);
    await first;
    const second = volume.write(2 * BLOCK, lease, { durable: true });
    lease.buffer.set(blockOf(2, 3));
    await expect(second).rejects.toThrow(withCode('ERR_RINGBOLT_CORRUPT'));
    await volume.flush();
    await volume.write(2 * BLOCK, blockOf(2, 4), { durable: true });
    lease.release();
    await volume.close();
    simulated.world.crash('none');
    const found = await simulated.open();
    for (const [block, version] of [2, 1, 4].entries()) {
      expect(await readBlock(found, block)).toBe(version);
    }
  });

  it('writes nothing of memory that has become shorter when the turn of its write has come', async () => {
    const volume = await newVolume();
    for (const bytes of [0, BLOCK]) {
      const memory = resizable(2 * BLOCK, 4 * BLOCK);
      const others = volume.write(0, blocksOf(0, 3, 1));
      const written = volume.write(0, new Uint8Array(memory));
      memory.resize(bytes);
      const wrong = withCode('ERR_INVALID_ARG_VALUE');
      await Promise.all([others, expect(written).rejects.toThrow(wrong)]);
      for (const block of [0, 1, 2]) expect(await readBlock(volume, block)).toBe(1);
    }
  });

  it('refuses blocks whose tags are damaged, until they are overwritten', async () => {
    let volume = await newVolume();
    await volume.write(0, blocksOf(0, 40, 1));
    await volume.close();
    simulated.sidecar.medium.flipBit(simulated.geometry.offsetOfPage(0) + 100);
    volume = await simulated.open();
    await expect(readBlock(volume, 30)).rejects.toThrow(withCode('ERR_RINGBOLT_CORRUPT'));
    expect(await readBlock(volume, 31)).toBe(1);
    await volume.write(30 * BLOCK, blockOf(30, 2));
    simulated.world.crash('none');
    volume = await simulated.open();
    expect(await readBlock(volume, 30)).toBe(2);
    await expect(readBlock(volume, 29)).rejects.toThrow(withCode('ERR_RINGBOLT_CORRUPT'));
  });

  it('says torn where a write left neither old nor new, also after a crash, until it is overwritten', async () => {
    let torn = 0;
    for (let round = 0; round < 30; round++) {
      let volume = await newVolume();
      await volume.write(BLOCK, blockOf(1, 1), { durable: true });
      simulated.data.failNext('write');
      await expect(volume.write(BLOCK, blockOf(1, 2))).rejects.toThrow(withCode('EIO'));
      const before = await readBlock(volume, 1).catch((error: unknown) => error);
      if (typeof before === 'number') {
        expect([1, 2]).toContain(before);
        continue;
      }
      torn++;
      expect(before).toMatchObject({ code: 'ERR_RINGBOLT_TORN', blocks: [1] });
      simulated.world.crash('all');
      volume = await simulated.open();
      expect(volume.status().recovery).toMatchObject({ torn: 1 });
      await expect(readBlock(volume, 1)).rejects.toThrow(withCode('ERR_RINGBOLT_TORN'));
      await volume.write(BLOCK, blockOf(1, 3));
      expect(await readBlock(volume, 1)).toBe(3);
    }
    expect(torn).toBeGreaterThan(5);
  });

  it('changes nothing more after a flush that failed, and reads on', async () => {
    let volume = await newVolume();
    await volume.write(0, blockOf(0, 1));
    await volume.settle();
    await volume.write(0, blockOf(0, 2));
    simulated.data.failNext('flush');
    await expect(volume.flush()).rejects.toThrow(withCode('EIO'));
    await expect(volume.flush()).rejects.toThrow(withCode('EIO'));
    await expect(volume.write(BLOCK, blockOf(1, 2))).rejects.toThrow(withCode('EIO'));
    await expect(volume.settle()).rejects.toThrow(withCode('EIO'));
    expect(await readBlock(volume, 0)).toBe(2);
    expect(volume.status()).toMatchObject({ state: 'failed', dirtyRegions: 1 });
    await expect(volume.close()).rejects.toThrow(withCode('EIO'));
    expect(simulated.isMarked(0)).toBe(true);
    simulated.world.crash('none');
    volume = await simulated.open();
    expect(await readBlock(volume, 0)).toBe(1);
  });

  it('changes nothing more after a bit could not be set, also one that nobody waits for', async () => {
    const volume = await newVolume(80 * 248 * BLOCK);
    for (const region of [0, 1]) await volume.write(region * 248 * BLOCK, blockOf(248 * region, 1));
    // Half of what was marked ahead is used up: more is, and that fails.
    simulated.sidecar.failNext('flush');
    const last = volume.write(35 * 248 * BLOCK, blockOf(35 * 248, 1));
    await last.catch(() => undefined); // it may end before that is known, or after
    await simulated.world.turns.pass(20);
    expect(volume.status().state).toBe('failed');
    await expect(volume.flush()).rejects.toThrow(withCode('EIO'));
  });

  it('takes nothing for new after a write that failed but what that was to write', async () => {
    const volume = await newVolume();
    await volume.write(0, blocksOf(0, 2, 0));
    // Two arrays for checksums are left, one with that of block 0 before.
    await Promise.all([volume.write(0, blockOf(0, 1)), volume.write(BLOCK, blockOf(1, 1))]);
    await volume.write(0, blockOf(0, 2));
    simulated.data.medium.overwrite(0, blockOf(0, 1)); // as if that was never written
    const write = vi.spyOn(SimulatedDisk.prototype, 'write');
    const error = Object.assign(new Error('EIO: of a lease, without its checksum'), {
      code: 'EIO',
    });
    const beside = volume.write(BLOCK, blockOf(1, 3));
    write.mockRejectedValueOnce(error);
    await expect(volume.write(0, blockOf(0, 3))).rejects.toThrow(withCode('EIO'));
    write.mockRestore();
    await beside;
    await expect(readBlock(volume, 0)).rejects.toThrow(withCode('ERR_RINGBOLT_TORN'));
  });

  it('fails if what a write has left, that failed, cannot be told by its tag', async () => {
    let failed = 0;
    for (let round = 0; round < 30; round++) {
      const volume = await newVolume();
      await volume.write(0, blockOf(0, 1));
      await volume.settle();
      simulated.data.failNext('write');
      simulated.data.onOperation = ({ kind, offset }) => {
        if (kind !== 'read' || offset !== 0) return;
        simulated.data.onOperation = undefined;
        // While the block is looked at its tag goes from memory, and is damaged in the sidecar.
        simulated.sidecar.medium.flipBit(simulated.geometry.offsetOfPage(0) + 100);
        for (const block of [248, 496]) void readBlock(volume, block);
      };
      await expect(volume.write(0, blockOf(0, 2))).rejects.toThrow(withCode('EIO'));
      if (volume.status().state === 'failed') failed++;
      await volume.close().catch(() => undefined);
    }
    expect(failed).toBeGreaterThan(5);
  });

  it('flushes what an ended process left before its tags say so', async () => {
    const first = await newVolume();
    await first.write(0, blockOf(0, 1));
    await first.settle();
    await first.write(0, blockOf(0, 2)); // in the cache, and its process is gone
    await simulated.open();
    simulated.world.crash('none');
    const volume = await simulated.open();
    expect(await readBlock(volume, 0)).toBe(2);
  });

  it('ends an epoch by the clock, and when too much is dirty, and one that is clean costs nothing', async () => {
    const volume = await newVolume();
    const { epoch } = volume.status();
    expect(simulated.onTimer).toBeUndefined();
    await volume.write(0, blockOf(0, 1));
    expect(simulated.onTimer).toBeDefined();
    expect(volume.status()).toMatchObject({ epoch, dirtyRegions: 1 });
    simulated.onTimer!();
    while (volume.status().dirtyRegions > 0) await simulated.world.turns.pass(1);
    expect(volume.status().epoch).toBe(epoch + 1);
    expect(simulated.onTimer).toBeUndefined();
    await volume.close();
    const eager = await simulated.open({ maxDirtyBytes: 1 });
    const before = eager.status().epoch;
    await eager.write(0, blockOf(0, 2));
    while (eager.status().dirtyRegions > 0) await simulated.world.turns.pass(1);
    expect(eager.status().epoch).toBeGreaterThan(before);
  });

  it('verifies a last block of any length over its real bytes', async () => {
    simulated = new SimulatedVolume(random, 3 * BLOCK + 100, { data: 1 });
    await simulated.create();
    let volume = await simulated.open();
    const end = new Uint8Array(100).fill(3);
    await volume.write(3 * BLOCK, end);
    await volume.write(2 * BLOCK, Buffer.concat([blockOf(2, 4), end]));
    await volume.close();
    volume = await simulated.open();
    const into = new Uint8Array(2 * BLOCK);
    expect(await volume.read(2 * BLOCK, into)).toBe(BLOCK + 100);
    expect([...into.subarray(BLOCK, BLOCK + 100)]).toEqual([...end]);
    expect(await volume.read(3 * BLOCK, new Uint8Array(100))).toBe(100);
    expect(await volume.read(4 * BLOCK, into)).toBe(0);
    simulated.data.medium.flipBit(3 * BLOCK + 99);
    const corrupt = withCode('ERR_RINGBOLT_CORRUPT', { blocks: [3] });
    await expect(volume.read(3 * BLOCK, new Uint8Array(100))).rejects.toThrow(corrupt);
  });

  it('refuses parts of blocks, what is beyond its end, and everything once it is closed', async () => {
    const volume = await newVolume();
    const misaligned = withCode('ERR_RINGBOLT_MISALIGNED');
    await expect(volume.read(512, new Uint8Array(BLOCK))).rejects.toThrow(misaligned);
    await expect(volume.write(0, new Uint8Array(512))).rejects.toThrow(misaligned);
    await expect(volume.discard(0, 512)).rejects.toThrow(misaligned);
    const outside = volume.write((COUNT - 1) * BLOCK, new Uint8Array(2 * BLOCK));
    await expect(outside).rejects.toThrow(withCode('ERR_OUT_OF_RANGE'));
    await volume.close();
    await expect(volume.flush()).rejects.toThrow(withCode('ERR_RINGBOLT_CLOSED'));
    expect(volume.status().state).toBe('closed');
  });

  it('writes zeros, and takes what was discarded for anything', async () => {
    let volume = await newVolume();
    await volume.write(0, blocksOf(0, 300, 1));
    await volume.writeZeroes(10 * BLOCK, 280 * BLOCK);
    await volume.discard(0, 5 * BLOCK);
    for (let round = 0; round < 2; round++) {
      const into = new Uint8Array(300 * BLOCK);
      expect(await volume.read(0, into)).toBe(300 * BLOCK);
      expect(into.subarray(10 * BLOCK, 290 * BLOCK).every((byte) => byte === 0)).toBe(true);
      expect(await readBlock(volume, 5)).toBe(1);
      await volume.close();
      volume = await simulated.open();
    }
    await volume.write(0, blockOf(0, 2));
    expect(await readBlock(volume, 0)).toBe(2);
    simulated.damage(0, 1, 9);
    await expect(readBlock(volume, 0)).rejects.toThrow(withCode('ERR_RINGBOLT_CORRUPT'));
  });

  it('opened for reading writes nothing, and calls nothing damaged that a crash may have changed', async () => {
    const first = await newVolume();
    await first.write(0, blocksOf(0, 2, 1));
    await first.settle();
    await first.write(0, blockOf(0, 2), { durable: true });
    simulated.world.crash('none');
    simulated.damage(300, 0, 9);
    const writes = () => simulated.data.counts.write + simulated.sidecar.counts.write;
    const before = writes();
    const volume = await simulated.open({ access: 'read' });
    expect([await readBlock(volume, 0), await readBlock(volume, 1)]).toEqual([2, 1]);
    await expect(readBlock(volume, 300)).rejects.toThrow(withCode('ERR_RINGBOLT_CORRUPT'));
    await expect(volume.write(0, blockOf(0, 3))).rejects.toThrow(
      withCode('ERR_RINGBOLT_UNSUPPORTED'),
    );
    await volume.close();
    expect(writes()).toBe(before);
  });

  it('stops when somebody else has opened it for writing', async () => {
    const volume = await newVolume();
    await volume.write(0, blockOf(0, 1));
    await simulated.open();
    await expect(volume.settle()).rejects.toThrow(withCode('ERR_RINGBOLT_BUSY'));
    await expect(volume.write(0, blockOf(0, 2))).rejects.toThrow(withCode('ERR_RINGBOLT_BUSY'));
  });

  it('tells that its data file is another than when it was closed, or shorter', async () => {
    let volume = await newVolume();
    await volume.close();
    const identity = { size: COUNT * BLOCK, inode: 7n, mtimeNs: 8n };
    const identify = () => Promise.resolve(identity);
    volume = await simulated.open({ identify });
    expect(volume.status().changedWhileClosed).toBe(false);
    await volume.close();
    volume = await simulated.open({ identify });
    expect(volume.status().changedWhileClosed).toBe(false);
    await volume.close();
    simulated.data.medium.resize(100 * BLOCK);
    volume = await simulated.open({ identify: () => Promise.resolve({ ...identity, size: 1 }) });
    expect(volume.status()).toMatchObject({ changedWhileClosed: true, truncated: true });
  });

  it('is opened again after a crash while a newer superblock could not be read', async () => {
    await (await newVolume()).close();
    const head = (first: number) =>
      simulated.sidecar.medium.visible(first * 4096, 4 * 4096).slice();
    const old = head(0);
    void simulated.open();
    while (simulated.sidecar.medium.visible(8 * 1024, 4096).every((byte, i) => byte === old[i]))
      await simulated.world.turns.pass(1);
    simulated.world.crash('all');
    const newer = head(0);
    let hidden = 0;
    for (let round = 0; round < 150; round++) {
      simulated.sidecar.medium.overwrite(0, old);
      simulated.sidecar.medium.overwrite(0, newer.subarray(0, 4096)); // one copy of it
      simulated.sidecar.failNext('read');
      void simulated.open();
      await simulated.world.turns.pass(5 + random.below(40));
      simulated.world.crash();
      const volume = await simulated.open();
      if (volume.status().state === 'open') hidden++;
      simulated.world.crash();
    }
    expect(hidden).toBe(150);
  });

  it('does many as one', async () => {
    const volume = await newVolume();
    const transfers = [0, 2, 4].map((block) => ({
      offset: block * BLOCK,
      buffer: blockOf(block, 1),
    }));
    expect((await volume.writeBatch(transfers)).bytesTotal).toBe(3 * BLOCK);
    simulated.damage(2, 0, 9);
    const reads = [0, 2, 4].map((block) => ({
      offset: block * BLOCK,
      buffer: new Uint8Array(BLOCK),
    }));
    const corrupt = withCode('ERR_RINGBOLT_CORRUPT');
    await expect(volume.readBatch(reads)).rejects.toThrow(corrupt);
    await expect(volume.readBatch(reads, { onError: 'abort' })).rejects.toThrow(corrupt);
    const result = await volume.readBatch(reads, { onError: 'collect' });
    expect([...result.transferred]).toEqual([BLOCK, 0, BLOCK]);
    expect([...result.errors.keys()]).toEqual([1]);
  });

  it('gives the target a batch as one, but for what something is in the way of', async () => {
    const volume = await newVolume();
    await volume.write(0, blocksOf(0, 8, 1)); // the bit is there, and the tags
    const written = vi.spyOn(SimulatedDisk.prototype, 'writeBatch');
    const read = vi.spyOn(SimulatedDisk.prototype, 'readBatch');
    const alone = vi.spyOn(SimulatedDisk.prototype, 'write');
    // The second half of one is the first of the next: these are written in the order in which they were given.
    const writes = [0, 1, 6].map((block) => {
      return { offset: block * BLOCK, buffer: blocksOf(block, 2, 2 + block) };
    });
    await volume.writeBatch(writes);
    expect(written.mock.calls.map(([ops]) => ops.length)).toEqual([2]);
    expect(alone.mock.calls.map(([offset]) => offset)).toEqual([BLOCK]);
    const into = new Uint8Array(8 * BLOCK);
    const reads = [0, 2, 6].map((block) => {
      return { offset: block * BLOCK, buffer: into.subarray(block * BLOCK, (block + 2) * BLOCK) };
    });
    await volume.readBatch(reads);
    expect(read.mock.calls.map(([ops]) => ops.length)).toEqual([3]);
    const versions = [0, 1, 2, 3, 6, 7].map((block) => {
      return versionsOf(block, into.subarray(block * BLOCK, (block + 1) * BLOCK))[0];
    });
    expect(versions).toEqual([2, 3, 3, 1, 8, 8]);
    vi.restoreAllMocks();
  });

  it('tells what came of each of a batch', async () => {
    const volume = await newVolume();
    simulated.data.failNext('write');
    const failed = await volume.writeBatch(
      [4, 5].map((block) => ({ offset: block * BLOCK, buffer: blockOf(block, 1) })),
      { onError: 'collect' },
    );
    expect([failed.bytesTotal, failed.errors.size]).toEqual([BLOCK, 1]);
    expect(volume.status()).toMatchObject({ state: 'open', waiting: 0 });
    await volume.close();
  });
});
