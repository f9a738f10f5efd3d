// Shows what becomes of a batch when some of its operations fail: waited for, ended early, or told one by one.

import { readFileSync } from 'node:fs';
import type { BlockFile, Engine, Transfer } from 'ringbolt';
import { expect, it, onTestFinished } from 'vitest';
import { BLOCK, numberedFile } from '../lifecycle/numbered-file.js';
import { expectRefused, rows, wrong } from '../misuse/refusal.js';
import { startEngine } from '../support/engine.js';

/** Where no file can reach: EFBIG. */
const TOO_FAR = Number.MAX_SAFE_INTEGER - 8 * BLOCK + 1;
const BAD = [3, 5];

interface Stage {
  readonly engine: Engine;
  readonly file: BlockFile;
  readonly name: string;
  readonly ops: readonly Transfer[];
}

/** Eight writes, of which the fourth and sixth cannot be made. */
async function stage(memory: 'leases' | 'arrays', depth = 128): Promise<Stage> {
  const name = numberedFile();
  const engine = await startEngine({ depth });
  const file = await engine.open(name, { access: 'read-write' });
  const ops = Array.from({ length: 8 }, (_, index) => {
    const lease = memory === 'leases' ? engine.pool.acquire(BLOCK) : undefined;
    if (lease !== undefined) {
      onTestFinished(() => {
        lease[Symbol.dispose]();
      });
    }
    const buffer = lease ?? new Uint8Array(BLOCK);
    ('buffer' in buffer && lease ? lease.buffer : (buffer as Uint8Array)).fill(0xee);
    return { offset: BAD.includes(index) ? TOO_FAR : index * BLOCK, buffer };
  });
  return { engine, file, name, ops };
}

function written(name: string): number[] {
  const data = readFileSync(name);
  return Array.from({ length: 8 }, (_, index) => index).filter(
    (index) => data[index * BLOCK] === 0xee,
  );
}

it.each(['leases', 'arrays'] as const)('wait: all others are done, %s', async (memory) => {
  const { file, name, ops } = await stage(memory);
  for (const options of [{}, { onError: 'wait' }] as const) {
    await expect(file.writeBatch(ops, options)).rejects.toMatchObject({
      code: 'EFBIG',
      offset: TOO_FAR,
    });
  }
  expect(written(name)).toEqual([0, 1, 2, 4, 6, 7]);
});

it.each(['leases', 'arrays'] as const)('collect: each is told, %s', async (memory) => {
  const { file, name, ops } = await stage(memory);
  const { bytesTotal, transferred, errors } = await file.writeBatch(ops, { onError: 'collect' });
  expect([...errors.keys()].sort()).toEqual(BAD);
  for (const error of errors.values()) expect(error).toMatchObject({ code: 'EFBIG', bytesDone: 0 });
  expect(bytesTotal).toBe(6 * BLOCK);
  expect([...transferred]).toEqual([BLOCK, BLOCK, BLOCK, 0, BLOCK, 0, BLOCK, BLOCK]);
  expect(written(name)).toEqual([0, 1, 2, 4, 6, 7]);
});

it('collect: without a failure there are no errors', async () => {
  const { file } = await stage('arrays');
  const ops = [{ offset: 0, buffer: new Uint8Array(BLOCK) }];
  const result = await file.readBatch(ops, { onError: 'collect' });
  expect(result).toMatchObject({ bytesTotal: BLOCK, errors: new Map() });
});

it('abort: what waits behind the first failure is not begun', async () => {
  const { engine, file, name, ops } = await stage('leases', 1);
  await expect(file.writeBatch(ops, { onError: 'abort' })).rejects.toMatchObject({
    code: 'EFBIG',
    offset: TOO_FAR,
  });
  expect(written(name)).toEqual([0, 1, 2]);
  expect(engine.stats().waiting).toBe(0);
  for (const { buffer } of ops) (buffer as Disposable)[Symbol.dispose]();
  expect(engine.pool.stats().bytesInUse).toBe(0);
});

it('abort: arrays and reads as well, with a signal besides', async () => {
  const { engine, file, ops } = await stage('arrays', 2);
  const { signal } = new AbortController();
  const attempt = file.readBatch(
    ops.map(({ buffer }, index) => ({ offset: index * BLOCK, buffer })),
    { onError: 'abort', signal },
  );
  expect((await attempt).bytesTotal).toBe(8 * BLOCK);
  await expect(file.writeBatch(ops, { onError: 'abort', signal })).rejects.toMatchObject({
    code: 'EFBIG',
  });
  await file.close();
  expect(engine.pool.stats().bytesInUse).toBe(0);
});

it.each(rows([null, 0, true, 'reject', {}]))('onError: %s is refused', async (_, onError) => {
  const { file, ops } = await stage('arrays');
  const refusal = { code: 'ERR_INVALID_ARG_VALUE', name: 'TypeError', naming: ['onError'] };
  await expectRefused(() => file.writeBatch(ops, { onError: wrong(onError) }), refusal);
  const single = () => file.write(0, new Uint8Array(BLOCK), wrong({ onError: 'wait' }));
  await expectRefused(single, refusal); // of batches only
});
