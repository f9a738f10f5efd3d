// Shows that ranges are given back and zeroed on files, in memory and on devices, whole and in order, and refused with the
// reason where that cannot be had.

import { readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { BlockFile } from 'ringbolt';
import { expect, it } from 'vitest';
import {
  BLOCK,
  isNumbered,
  numbered,
  numberedFile,
  numberedFileInMemory,
} from '../lifecycle/numbered-file.js';
import { expectRefused, rows, wrong } from '../misuse/refusal.js';
import { startEngine } from '../support/engine.js';
import { loopDevice, mountedFolder } from '../support/loop-device.js';

const BLOCKS = 256;

async function openFor(name: string): Promise<BlockFile> {
  const engine = await startEngine();
  return engine.open(name, { access: 'read-write' });
}

/** Blocks `from` to `to` are zeros, all others numbered as they were. */
function expectZeroed(data: Buffer, from: number, to: number): void {
  expect(isNumbered(data.subarray(0, from * BLOCK), 0)).toBe(true);
  expect(data.subarray(from * BLOCK, to * BLOCK).every((byte) => byte === 0)).toBe(true);
  expect(isNumbered(data.subarray(to * BLOCK), to)).toBe(true);
}

it('discards a range of a file: its space is free, the rest is as it was', async () => {
  const name = numberedFile(BLOCKS);
  const file = await openFor(name);
  const before = statSync(name).blocks;
  await file.discard(16 * BLOCK, 128 * BLOCK);
  expectZeroed(readFileSync(name), 16, 144); // a hole: on a file it reads as zeros
  expect(statSync(name).blocks).toBeLessThan(before);
  expect(file.size).toBe(BLOCKS * BLOCK);
});

it('zeroes a range of a file, past its end as well', async () => {
  const name = numberedFile(BLOCKS);
  const file = await openFor(name);
  await file.writeZeroes(16 * BLOCK, 8 * BLOCK);
  expectZeroed(readFileSync(name), 16, 24);
  await file.writeZeroes(BLOCKS * BLOCK, 4 * BLOCK);
  expect(file.size).toBe((BLOCKS + 4) * BLOCK);
  const data = readFileSync(name);
  expectZeroed(data.subarray(0, BLOCKS * BLOCK), 16, 24);
  expect(data.subarray(BLOCKS * BLOCK).every((byte) => byte === 0)).toBe(true);
});

it('zeroes by writing where the file system has nothing better', async () => {
  const name = numberedFileInMemory(BLOCKS);
  const file = await openFor(name);
  await file.writeZeroes(3 * BLOCK, 100 * BLOCK);
  expectZeroed(readFileSync(name), 3, 103);
  await file.discard(200 * BLOCK, BLOCK);
  expect(readFileSync(name).readUInt32LE(200 * BLOCK)).toBe(0);
  await file.writeZeroes(BLOCKS * BLOCK, 700 * BLOCK);
  expect(file.size).toBe((BLOCKS + 700) * BLOCK);
});

it('on a block device', async ({ skip }) => {
  const device = loopDevice(skip, numbered(BLOCKS));
  const file = await openFor(device);
  await file.writeZeroes(16 * BLOCK, 8 * BLOCK);
  await file.discard(40 * BLOCK, 8 * BLOCK);
  const data = Buffer.alloc(BLOCKS * BLOCK);
  await file.read(0, data);
  expectZeroed(data.subarray(0, 40 * BLOCK), 16, 24);
  expect(isNumbered(data.subarray(48 * BLOCK), 48)).toBe(true);
  await expect(file.writeZeroes(BLOCKS * BLOCK, BLOCK)).rejects.toMatchObject({ code: 'EINVAL' });
});

it('in more than one piece, with others reading meanwhile; aborted between pieces', async () => {
  const name = numberedFile(BLOCKS);
  truncateSync(name, 2 ** 40);
  const file = await openFor(name);
  const controller = new AbortController();
  const discarded = file.discard(BLOCK, 2 ** 40 - BLOCK, { signal: controller.signal });
  const lease = new Uint8Array(BLOCK);
  expect(await file.read(0, lease)).toBe(BLOCK);
  controller.abort();
  await expect(discarded).rejects.toMatchObject({ code: 'ABORT_ERR' });
  expect(await file.read(0, lease)).toBe(BLOCK);
  expect(isNumbered(Buffer.from(lease), 0)).toBe(true);
});

it('is refused on a file that was opened for reading', async () => {
  const engine = await startEngine();
  const file = await engine.open(numberedFile());
  await expect(file.discard(0, BLOCK)).rejects.toMatchObject({ code: 'EBADF', path: file.path });
  await expect(file.writeZeroes(0, BLOCK)).rejects.toMatchObject({ code: 'EBADF' });
});

it('is refused with the reason where the file system cannot', async ({ skip }) => {
  const mounted = mountedFolder(skip, '-t', 'ramfs', 'ramfs');
  const name = path.join(mounted, 'data');
  writeFileSync(name, numbered(16));
  const engine = await startEngine();
  const file = await engine.open(name, { access: 'read-write' });
  await expect(file.discard(0, BLOCK)).rejects.toMatchObject({
    code: 'ERR_RINGBOLT_UNSUPPORTED',
    message: expect.stringContaining('punch holes') as string,
  });
  await file.writeZeroes(BLOCK, 2 * BLOCK);
  expectZeroed(readFileSync(name), 1, 3);
  await file.close();
});

it.each(rows([-1, 0.5, Number.NaN, '0', null, 1]))('offset or length %s', async (_, value) => {
  const file = await openFor(numberedFile());
  const code = expect.stringMatching(
    /^ERR_(OUT_OF_RANGE|INVALID_ARG_TYPE|RINGBOLT_MISALIGNED)$/,
  ) as string;
  for (const method of ['discard', 'writeZeroes'] as const) {
    await expect(file[method](wrong(value), BLOCK)).rejects.toMatchObject({ code });
    await expect(file[method](0, wrong(value))).rejects.toMatchObject({ code });
  }
  await expectRefused(() => file.discard(0, 0), { code: 'ERR_OUT_OF_RANGE' });
  const past = Number.MAX_SAFE_INTEGER - 4095;
  await expectRefused(() => file.discard(past, 2 * BLOCK), { code: 'ERR_OUT_OF_RANGE' });
  await file.close();
  await expectRefused(() => file.discard(0, BLOCK), { code: 'ERR_RINGBOLT_CLOSED' });
});
