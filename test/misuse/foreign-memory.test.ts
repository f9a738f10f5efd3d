// Shows what happens when memory that is not a lease is taken away, or changes its size, while it is in an operation: its
// owner is told, nothing is written where it went, and the engine goes on.

import { readFileSync } from 'node:fs';
import type { BlockFile, Engine } from 'ringbolt';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { BLOCK, numbered, numberedFile } from '../lifecycle/numbered-file.js';
import { startEngine } from '../support/engine.js';
import { expectRefused, expectStillWorks, rejection } from './refusal.js';
import { resizable } from './resizable.js';

/** So much that it is copied in several turns of the event loop. */
const LARGE = 256 * BLOCK;
const GONE = { code: 'ERR_INVALID_ARG_VALUE', naming: ['detached or resized'] };

let engine: Engine;
let file: BlockFile;
beforeEach(async () => {
  engine = await startEngine();
  file = await engine.open(numberedFile(), { access: 'read-write' });
});
afterEach(async () => {
  expect(engine.pool.stats().bytesInUse).toBe(0);
  await expectStillWorks(engine, file);
});

function transferred(array: Uint8Array): Uint8Array {
  return new Uint8Array(structuredClone(array.buffer, { transfer: [array.buffer as ArrayBuffer] }));
}

describe('memory that is transferred in flight', () => {
  it.each([BLOCK, LARGE])('%d bytes are not read into', async (bytes) => {
    const array = new Uint8Array(bytes).fill(0xff);
    const read = file.read(BLOCK, array);
    const moved = transferred(array);
    await expectRefused(() => read, GONE);
    expect(moved.every((byte) => byte === 0xff)).toBe(true);
  });

  it('is not read into by a batch either, though the rest of it is', async () => {
    const [array, other] = [new Uint8Array(BLOCK), new Uint8Array(BLOCK)];
    const batch = [array, other].map((buffer, i) => ({ offset: (i + 1) * BLOCK, buffer }));
    const read = file.readBatch(batch);
    const moved = transferred(array);
    await expectRefused(() => read, GONE);
    expect(moved.every((byte) => byte === 0)).toBe(true);
    expect(other).toEqual(numbered(3).subarray(2 * BLOCK));
  });

  it('was copied at once where it is small, so that it is written', async () => {
    const array = new Uint8Array(BLOCK).fill(7);
    const write = file.write(100 * BLOCK, array);
    transferred(array);
    expect(await write).toBe(BLOCK);
    const written = readFileSync(file.path).subarray(100 * BLOCK, 101 * BLOCK);
    expect(written.equals(Buffer.alloc(BLOCK, 7))).toBe(true);
  });

  it('is not written from where it is large: what was not copied yet is left out', async () => {
    const array = new Uint8Array(LARGE).fill(7);
    const offset = 300 * BLOCK;
    const write = file.write(offset, array);
    const moved = transferred(array).fill(9);
    await expectRefused(() => write, GONE);
    expect(moved.every((byte) => byte === 9)).toBe(true);
    expect(readFileSync(file.path).subarray(offset).includes(9)).toBe(false);
  });
});

describe('memory that changes its size in flight', () => {
  it.each<[string, (memory: ArrayBuffer) => Uint8Array, number]>([
    ['shrinks under an array of fixed length', (memory) => new Uint8Array(memory, 0, LARGE), BLOCK],
    ['shrinks under an array that follows it', (memory) => new Uint8Array(memory), BLOCK],
    ['shrinks to nothing', (memory) => new Uint8Array(memory), 0],
  ])('and %s is refused', async (_, view, bytes) => {
    for (const transfer of ['read', 'write'] as const) {
      const memory = resizable(LARGE, 2 * LARGE);
      const moving = file[transfer](0, view(memory));
      memory.resize(bytes);
      expect(await rejection(() => moving)).toMatchObject({ code: GONE.code });
    }
    const contents = readFileSync(file.path);
    contents.fill(0, 0, LARGE); // of which any part may have been written
    expect(contents.every((byte) => byte === 0)).toBe(true);
    await file.write(0, numbered(256));
  });

  it.each<[string, (memory: ArrayBuffer) => Uint8Array]>([
    ['an array of fixed length', (memory) => new Uint8Array(memory, BLOCK, LARGE - BLOCK)],
    ['an array that follows it', (memory) => new Uint8Array(memory, BLOCK)],
  ])('and grows under %s is as good as any: what was there is meant', async (_, view) => {
    const memory = resizable(LARGE, 2 * LARGE);
    const read = file.read(BLOCK, view(memory));
    memory.resize(2 * LARGE);
    expect(await read).toBe(LARGE - BLOCK);
    const bytes = Buffer.from(memory);
    expect(bytes.subarray(BLOCK, LARGE).equals(numbered(256).subarray(BLOCK))).toBe(true);
    expect(bytes.subarray(LARGE).every((byte) => byte === 0)).toBe(true);
  });

  it('and has its size again when it is looked at is as good as any', async () => {
    const memory = resizable(BLOCK, 2 * LARGE);
    const array = new Uint8Array(memory);
    const read = file.read(5 * BLOCK, array);
    memory.resize(0);
    memory.resize(BLOCK);
    expect(await read).toBe(BLOCK);
    expect(Buffer.from(array).equals(numbered(6).subarray(5 * BLOCK))).toBe(true);
  });
});

describe('memory that is in two operations', () => {
  it('has what the later one brought, as two may', async () => {
    const array = new Uint8Array(BLOCK);
    const reads = [0, 1, 2, 3].map((block) => file.read(block * BLOCK, array));
    expect(await Promise.all(reads)).toEqual(reads.map(() => BLOCK));
  });

  it('and belongs to a lease of another engine, in flight there, is copied like any other', async () => {
    const other = await startEngine();
    const same = await other.open(file.path);
    const lease = other.pool.acquire(BLOCK);
    const direct = same.read(0, lease);
    expect(await file.read(0, lease.buffer)).toBe(BLOCK);
    expect(await direct).toBe(BLOCK);
    lease.release();
  });
});
