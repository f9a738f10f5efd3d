// Shows what a device that fails in places does to operations there and beside them. The errors are the kernel's own: those of a
// loop device whose file was cut under it (reads beyond fail), or lies on a full file system (writes to its holes fail).

import {
  closeSync,
  ftruncateSync,
  openSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import path from 'node:path';
import { setImmediate } from 'node:timers/promises';
import type { BlockFile, Engine } from 'ringbolt';
import { describe, expect, it, type TestContext } from 'vitest';
import { BLOCK, isNumbered, numbered } from '../lifecycle/numbered-file.js';
import { rejection } from '../misuse/refusal.js';
import { BACKENDS, needBackend, type Backend } from '../support/backends.js';
import { startEngine } from '../support/engine.js';
import { loopDeviceOver, mountedFolder } from '../support/loop-device.js';
import { tempFolder } from '../support/temp-folder.js';

const MIB = 2 ** 20;
const BLOCKS = 1024;
/** From here on, reads fail. No page and no piece of a copy begins here. */
const BAD = 601;

/**
 * Of cached reads, so many blocks in front of those may fail as well: the page cache reads ahead in large pieces, and one that fails in
 * part may fail as a whole.
 */
const PIECE_BLOCKS = 64;

const MODES = BACKENDS.flatMap((backend) => [
  { backend, direct: true },
  { backend, direct: false },
]);

interface Stage {
  readonly engine: Engine;
  readonly file: BlockFile;
  readonly device: string;
  /** What fails does not any more. */
  readonly mend: () => void;
}

async function unreadable(
  backend: Backend,
  direct: boolean,
  skip: TestContext['skip'],
): Promise<Stage> {
  await needBackend(backend, skip);
  const image = path.join(tempFolder(), 'image');
  writeFileSync(image, numbered(BLOCKS), { flush: true });
  const device = loopDeviceOver(skip, image);
  truncateSync(image, BAD * BLOCK);
  const engine = await startEngine({ backend });
  const file = await engine.open(device, { direct });
  const mend = () => {
    writeFileSync(image, numbered(BLOCKS), { flag: 'r+', flush: true });
  };
  return { engine, file, device, mend };
}

describe.each(MODES)('unreadable in places, $backend, direct: $direct', ({ backend, direct }) => {
  const goodBlocks = direct ? BAD : BAD - PIECE_BLOCKS;

  it('a read there says where, and those beside it have their data', async ({ skip }) => {
    const { engine, file, device, mend } = await unreadable(backend, direct, skip);
    // Not adjacent: the kernel would join them to larger ones.
    const blocks = Array.from({ length: 96 }, (_, index) => BAD - 128 + 2 * index);
    const leases = blocks.map(() => engine.pool.acquire(BLOCK));
    const reads = blocks.map((block, index) => file.read(block * BLOCK, leases[index]!));
    const outcomes = await Promise.allSettled(reads);
    for (const [index, outcome] of outcomes.entries()) {
      const block = blocks[index]!;
      if (block < goodBlocks) expect(outcome).toEqual({ status: 'fulfilled', value: BLOCK });
      if (block >= BAD) expect(outcome.status).toBe('rejected');
      if (outcome.status === 'fulfilled') {
        expect(isNumbered(leases[index]!.buffer, block), `block ${block}`).toBe(true);
      } else {
        const place = { path: device, offset: block * BLOCK, length: BLOCK, bytesDone: 0 };
        const failure = { name: 'RingboltError', code: 'EIO', errno: -5, syscall: 'read' };
        expect(outcome.reason).toMatchObject({ ...failure, ...place });
      }
    }
    const failed = outcomes.filter(({ status }) => status === 'rejected').length;
    expect(engine.stats().classes.foreground.errorsTotal).toBe(failed);
    // Across the border: what comes before it may be there or not, but never more.
    const across = engine.pool.acquire(8 * BLOCK);
    const error = await rejection(() => file.read((BAD - 4) * BLOCK, across));
    expect(error).toMatchObject({ code: 'EIO', length: 8 * BLOCK });
    const { bytesDone } = error as { bytesDone: number };
    expect(bytesDone).toBeLessThanOrEqual(4 * BLOCK);
    expect(isNumbered(across.buffer.subarray(0, bytesDone), BAD - 4)).toBe(true);

    mend();
    expect(await file.read((BAD - 4) * BLOCK, across)).toBe(8 * BLOCK);
    expect(isNumbered(across.buffer, BAD - 4)).toBe(true);
    across.release();
    for (const lease of leases) lease.release();
    expect(engine.pool.stats().bytesInUse).toBe(0);
  });

  it('a batch tells of each', async ({ skip }) => {
    const { engine, file } = await unreadable(backend, direct, skip);
    const ops = Array.from({ length: 16 }, (_, index) => ({
      offset: (BAD + (index - 8) * (index < 8 ? PIECE_BLOCKS : 8)) * BLOCK,
      buffer: index % 2 === 0 ? engine.pool.acquire(BLOCK) : Buffer.alloc(BLOCK),
    }));
    const { bytesTotal, transferred, errors } = await file.readBatch(ops, { onError: 'collect' });
    expect([...errors.keys()].sort((a, b) => a - b)).toEqual([8, 9, 10, 11, 12, 13, 14, 15]);
    for (const [index, error] of errors) {
      expect(error).toMatchObject({ code: 'EIO', offset: ops[index]!.offset, bytesDone: 0 });
    }
    expect(bytesTotal).toBe(8 * BLOCK);
    expect([...transferred]).toEqual(ops.map((_, index) => (index < 8 ? BLOCK : 0)));
    for (const onError of ['wait', 'abort'] as const) {
      const error = await rejection(() => file.readBatch(ops, { onError }));
      expect(error).toMatchObject({ code: 'EIO', bytesDone: 0 });
    }
  });

  it('a copied read says how much is there without a gap', async ({ skip }) => {
    const { engine, file } = await unreadable(backend, direct, skip);
    const data = Buffer.alloc(BLOCKS * BLOCK, 0xff);
    const error = await rejection(() => file.read(0, data));
    expect(error).toMatchObject({ code: 'EIO', offset: 0, length: data.length });
    const { bytesDone } = error as { bytesDone: number };
    expect(bytesDone).toBeGreaterThan(0);
    expect(bytesDone).toBeLessThanOrEqual(BAD * BLOCK);
    expect(isNumbered(data.subarray(0, bytesDone), 0)).toBe(true);
    expect(engine.pool.stats().bytesInUse).toBe(0);
  });

  it('streams hand out what lies before it', async ({ skip }) => {
    const { engine, file } = await unreadable(backend, direct, skip);
    const chunkBytes = 16 * BLOCK;
    const wholeChunks = (blocks: number) => Math.floor((blocks * BLOCK) / chunkBytes) * chunkBytes;
    let bytes = 0;
    const check = (chunk: Buffer) => {
      expect(isNumbered(chunk, bytes / BLOCK)).toBe(true);
      bytes += chunk.length;
    };
    const streamed = async () => {
      for await (const chunk of file.readable({ chunkBytes })) check(chunk as Buffer);
    };
    const leased = async () => {
      for await (const lease of file.leases({ chunkBytes })) {
        check(lease.buffer);
        lease.release();
      }
    };
    for (const consume of [streamed, leased]) {
      bytes = 0;
      expect(await rejection(consume)).toMatchObject({ code: 'EIO', offset: bytes });
      expect(bytes).toBeLessThanOrEqual(wholeChunks(BAD));
      expect(bytes).toBeGreaterThanOrEqual(wholeChunks(goodBlocks) - PIECE_BLOCKS * BLOCK);
    }
    // Reads ahead of it may still be under way.
    while (engine.pool.stats().bytesInUse > 0) await setImmediate();
  });
});

const HOLE = { from: 32, to: 64 };
const PRESENT = 96;

/** A device that has no room for its blocks from 32 to 63. */
async function unwritable(backend: Backend, direct: boolean, skip: TestContext['skip']) {
  await needBackend(backend, skip);
  const folder = mountedFolder(skip, '-t', 'tmpfs', '-o', `size=${MIB}`, 'tmpfs');
  const image = path.join(folder, 'image');
  const descriptor = openSync(image, 'w');
  ftruncateSync(descriptor, PRESENT * BLOCK);
  for (const from of [0, HOLE.to]) {
    writeSync(descriptor, Buffer.alloc(32 * BLOCK, 1), 0, 32 * BLOCK, from * BLOCK);
  }
  closeSync(descriptor);
  expect(() => {
    writeFileSync(path.join(folder, 'other'), Buffer.alloc(2 * MIB));
  }).toThrow('ENOSPC');
  const device = loopDeviceOver(skip, image);
  const engine = await startEngine({ backend });
  const open = () => engine.open(device, { access: 'read-write', direct });
  return { engine, device, open };
}

describe.each(BACKENDS)('a device that cannot be written in places, %s', (backend) => {
  it('a direct write there says so at once, and its neighbours are written', async ({ skip }) => {
    const { engine, device, open } = await unwritable(backend, true, skip);
    const file = await open();
    // Not adjacent: the kernel would join them to larger ones, which fail as a whole.
    const blocks = Array.from({ length: PRESENT / 2 }, (_, index) => 2 * index);
    const ops = blocks.map((block) => {
      const buffer = engine.pool.acquire(BLOCK);
      buffer.buffer.fill(9);
      return { offset: block * BLOCK, buffer };
    });
    const { errors, bytesTotal } = await file.writeBatch(ops, { onError: 'collect' });
    const inHole = (block: number) => block >= HOLE.from && block < HOLE.to;
    const failed = [...errors.keys()].map((index) => blocks[index]!).sort((a, b) => a - b);
    expect(failed).toEqual(blocks.filter(inHole));
    for (const [index, error] of errors) {
      expect(error).toMatchObject({
        // Some kernels say of a loop device that it is full, others that it failed.
        code: expect.stringMatching(/^(EIO|ENOSPC)$/) as string,
        path: device,
        offset: ops[index]!.offset,
        length: BLOCK,
        bytesDone: 0,
      });
    }
    expect(bytesTotal).toBe((ops.length - failed.length) * BLOCK);
    const data = Buffer.alloc(PRESENT * BLOCK);
    expect(await file.read(0, data)).toBe(data.length);
    for (const block of blocks) {
      expect(data[block * BLOCK], `block ${block}`).toBe(inHole(block) ? 0 : 9);
    }
  });

  it('a cached write is acknowledged, and its loss told by every flush until the file is opened again', async ({
    skip,
  }) => {
    const { engine, open } = await unwritable(backend, false, skip);
    const file = await open();
    const lease = engine.pool.acquire(BLOCK);
    expect(await file.write(0, lease, { durable: true })).toBe(BLOCK);
    expect(await file.write(40 * BLOCK, lease)).toBe(BLOCK);
    const lost = { code: 'EIO' };
    await expect(file.flush()).rejects.toMatchObject(lost);
    await expect(file.flush()).rejects.toMatchObject(lost);
    await expect(file.write(0, lease, { durable: true })).rejects.toMatchObject(lost);
    expect(await file.write(0, lease)).toBe(BLOCK);
    expect(await file.read(0, lease)).toBe(BLOCK);
    await file.close();

    const again = await open();
    expect(await again.write(0, lease, { durable: true })).toBe(BLOCK);
    await again.flush();
    await again.close();
    lease.release();
    expect(engine.pool.stats().bytesInUse).toBe(0);
  });
});
