// Shows what becomes of operations on a disk that is full: they say so and how far they came, sizes stay true, nothing that
// was acknowledged is lost, and once there is room the same file goes on. On a real ext4, and on each backend.

import { readFileSync, rmSync, statfsSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { BlockFile, Engine } from 'ringbolt';
import { describe, expect, it, type TestContext } from 'vitest';
import { rejection } from '../misuse/refusal.js';
import { BACKENDS, needBackend, type Backend } from '../support/backends.js';
import { startEngine } from '../support/engine.js';
import { ext4Folder } from '../support/loop-device.js';

const KIB = 1024;
const DISK_BYTES = 8 * KIB * KIB;
const PIECE = 256 * KIB;

interface Stage {
  readonly engine: Engine;
  readonly file: BlockFile;
  readonly name: string;
  readonly folder: string;
  /** Takes space, until `makeRoom`. */
  readonly makeRoom: () => void;
}

function freeBytes(folder: string): number {
  const { bavail, bsize } = statfsSync(folder);
  return bavail * bsize;
}

function bytesDoneOf(error: unknown): number {
  return (error as { bytesDone: number }).bytesDone;
}

/** A file on a small file system, part of which somebody else has. */
async function stage(backend: Backend, direct: boolean, skip: TestContext['skip']): Promise<Stage> {
  await needBackend(backend, skip);
  const folder = ext4Folder(skip, DISK_BYTES);
  const other = path.join(folder, 'other');
  writeFileSync(other, Buffer.alloc(4 * PIECE), { flush: true });
  const engine = await startEngine({ backend });
  const name = path.join(folder, 'data');
  const file = await engine.open(name, { access: 'read-write', create: true, direct });
  return {
    engine,
    file,
    name,
    folder,
    makeRoom: () => {
      rmSync(other);
    },
  };
}

/** Writes pieces of which each is filled with its number, until that fails; returns how many were taken. */
async function fill({ engine, file }: Stage): Promise<{ pieces: number; error: unknown }> {
  using lease = engine.pool.acquire(PIECE);
  for (let pieces = 0; ; pieces++) {
    lease.buffer.fill(pieces + 1);
    try {
      await file.write(pieces * PIECE, lease);
    } catch (error) {
      return { pieces, error };
    }
    if (file.size > DISK_BYTES) throw new Error('the disk holds more than it has');
  }
}

function expectPieces(data: Buffer, pieces: number): void {
  for (let piece = 0; piece < pieces; piece++) {
    const part = data.subarray(piece * PIECE, (piece + 1) * PIECE);
    expect(part.length, `piece ${piece}`).toBe(PIECE);
    expect(
      part.every((byte) => byte === piece + 1),
      `piece ${piece}`,
    ).toBe(true);
  }
}

describe.each(
  BACKENDS.flatMap((backend) => [
    { backend, direct: true },
    { backend, direct: false },
  ]),
)('$backend, direct: $direct', ({ backend, direct }) => {
  it('a write says how far it came, and goes on once there is room', async ({ skip }) => {
    const all = await stage(backend, direct, skip);
    const { engine, file, name } = all;
    const { pieces, error } = await fill(all);
    expect(error).toMatchObject({ code: 'ENOSPC', offset: pieces * PIECE, length: PIECE });
    const bytesDone = bytesDoneOf(error);
    expect(bytesDone % file.blockSize).toBe(0);
    expect(file.size).toBe(pieces * PIECE + bytesDone);
    expect(statSync(name).size).toBe(file.size);
    await file.flush(); // a full disk is no lost data
    expectPieces(readFileSync(name), pieces);

    all.makeRoom();
    const lease = engine.pool.acquire(PIECE);
    lease.buffer.fill(pieces + 1);
    expect(await file.write(pieces * PIECE, lease, { durable: true })).toBe(PIECE);
    lease.release();
    expect(file.size).toBe((pieces + 1) * PIECE);
    expectPieces(readFileSync(name), pieces + 1);
    expect(engine.pool.stats().bytesInUse).toBe(0);
  });

  it('a copied write of many pieces says how much is there without a gap', async ({ skip }) => {
    const { file, name, makeRoom } = await stage(backend, direct, skip);
    const data = Buffer.alloc(DISK_BYTES, 9);
    const error = await rejection(() => file.write(0, data));
    expect(error).toMatchObject({ code: 'ENOSPC', offset: 0, length: DISK_BYTES });
    const bytesDone = bytesDoneOf(error);
    expect(bytesDone).toBeGreaterThan(0);
    expect(bytesDone).toBeLessThan(DISK_BYTES);
    const written = readFileSync(name);
    expect(written.length).toBe(file.size);
    expect(written.subarray(0, bytesDone).every((byte) => byte === 9)).toBe(true);
    makeRoom();
    expect(await file.write(0, data.subarray(0, PIECE))).toBe(PIECE);
  });

  it('of a batch, some are written whole and the others say so', async ({ skip }) => {
    const { engine, file, name, makeRoom } = await stage(backend, direct, skip);
    const ops = Array.from({ length: DISK_BYTES / PIECE }, (_, index) => ({
      offset: index * PIECE,
      buffer: Buffer.alloc(PIECE, index + 1),
    }));
    const { bytesTotal, transferred, errors } = await file.writeBatch(ops, { onError: 'collect' });
    expect(errors.size).toBeGreaterThan(0);
    expect(errors.size).toBeLessThan(ops.length);
    const written = readFileSync(name);
    let whole = 0;
    for (const [index, { offset, buffer }] of ops.entries()) {
      const error = errors.get(index);
      const done = error === undefined ? PIECE : bytesDoneOf(error);
      if (error === undefined) whole += PIECE;
      else expect(error).toMatchObject({ code: 'ENOSPC', offset, length: PIECE });
      expect(transferred[index]).toBe(error === undefined ? PIECE : 0);
      expect(written.subarray(offset, offset + done).equals(buffer.subarray(0, done))).toBe(true);
    }
    expect(bytesTotal).toBe(whole);
    await expect(file.writeBatch(ops)).rejects.toMatchObject({ code: 'ENOSPC' });

    makeRoom();
    const retry = ops.filter((_, index) => errors.has(index)).slice(0, 1);
    expect((await file.writeBatch(retry)).bytesTotal).toBe(PIECE);
    expect(engine.pool.stats().bytesInUse).toBe(0);
  });

  it('a stream fails with what was written without a gap', async ({ skip }) => {
    const { engine, file, name } = await stage(backend, direct, skip);
    const chunk = Buffer.alloc(64 * KIB, 7);
    const source = Readable.from(Array.from({ length: DISK_BYTES / chunk.length }, () => chunk));
    const error = (await rejection(() => pipeline(source, file.writable()))) as {
      bytesDone: number;
    };
    expect(error).toMatchObject({ code: 'ENOSPC' });
    const bytesDone = bytesDoneOf(error);
    expect(bytesDone).toBeGreaterThan(0);
    const written = readFileSync(name).subarray(0, bytesDone);
    expect(written.length).toBe(bytesDone);
    expect(written.every((byte) => byte === 7)).toBe(true);
    expect(engine.pool.stats().bytesInUse).toBe(0);
  });
});

describe('a size that does not fit', () => {
  it.for([{}, { truncate: true }])(
    'takes nothing, and costs nothing: %j',
    async (more, { skip }) => {
      const folder = ext4Folder(skip, DISK_BYTES);
      const engine = await startEngine();
      const name = path.join(folder, 'old');
      writeFileSync(name, Buffer.alloc(PIECE, 5), { flush: true });
      const before = freeBytes(folder);
      for (const [existing, file] of [
        [true, name],
        [false, path.join(folder, 'new')],
      ] as const) {
        const options = { access: 'read-write', create: !existing, size: DISK_BYTES } as const;
        await expect(engine.open(file, { ...options, ...more })).rejects.toMatchObject({
          code: 'ENOSPC',
          syscall: 'fallocate',
          path: file,
        });
        expect(statSync(file).size).toBe(existing ? PIECE : 0);
        // A directory entry may cost a block, and no more.
        expect(freeBytes(folder)).toBeGreaterThanOrEqual(before - 4 * KIB);
      }
      expect(readFileSync(name).every((byte) => byte === 5)).toBe(true);
      const file = await engine.open(name, { access: 'read-write', size: 2 * PIECE });
      expect(file.size).toBe(2 * PIECE);
      await file.close();
      await engine.close(); // before its file system is taken away
    },
  );
});
