// Shows a volume on real files: what it leaves there is what docs/format.md says (reader.py knows nothing else), bytes and leases alike; and what
// becomes of leases that are changed while they are written (rule 15).

import { randomBytes } from 'node:crypto';
import { readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { ChecksumName, Engine } from 'ringbolt';
import { beforeEach, describe, expect, it } from 'vitest';
import { createVolume } from '../../dist/lib/volume/open.js';
import { openVolume } from '../../dist/lib/volume/volume.js';
import { Geometry, planLayout, shapeOf } from '../../dist/lib/volume/geometry.js';
import { startEngine } from '../support/engine.js';
import { Random } from '../support/random.js';
import { tempFolder } from '../support/temp-folder.js';
import { needPython, runReader } from './reader.js';
import { BLOCK, SimulatedVolume } from './simulated-volume.js';

const withCode = (code: string) => expect.objectContaining({ code }) as Error;

let engine: Engine;
let name: string;

beforeEach(async () => {
  engine = await startEngine();
  name = path.join(tempFolder(), 'data');
});

async function openFiles(bytes: number, create: boolean) {
  const shape = shapeOf(bytes, BLOCK);
  const { sidecarBytes } = new Geometry(shape, planLayout(shape));
  const direct = bytes % BLOCK === 0 ? 'auto' : false;
  const options = { access: 'read-write', create, direct } as const;
  return {
    data: await engine.open(name, options),
    sidecar: await engine.open(`${name}.ringbolt`, { ...options, size: sidecarBytes }),
  };
}

async function newVolume(bytes: number, algorithm: ChecksumName) {
  writeFileSync(name, '');
  truncateSync(name, bytes);
  rmSync(`${name}.ringbolt`, { force: true });
  const files = await openFiles(bytes, true);
  await createVolume({ ...files, algorithm, contents: 'zeros' });
  return openVolume(files);
}

describe('a volume on files', () => {
  it.each(['crc32c', 'crc64nvme', 'xxh3'] as const)(
    'with %s has data and tags where the documentation says, and reads them again',
    async (algorithm) => {
      for (const bytes of [600 * BLOCK, 300 * BLOCK + 77]) {
        const volume = await newVolume(bytes, algorithm);
        const wanted = Buffer.alloc(bytes);
        randomBytes(40 * BLOCK).copy(wanted, 230 * BLOCK);
        randomBytes(bytes - 290 * BLOCK).copy(wanted, 290 * BLOCK);
        const lease = engine.pool.acquire(40 * BLOCK);
        wanted.copy(lease.buffer, 0, 230 * BLOCK);
        await volume.write(230 * BLOCK, lease);
        await volume.write(290 * BLOCK, wanted.subarray(290 * BLOCK));
        await volume.flush();
        expect(volume.status()).toMatchObject({ state: 'open', failure: undefined });
        await volume.close();
        expect(readFileSync(name).equals(wanted)).toBe(true);
        const again = await openVolume(await openFiles(bytes, false));
        const into = Buffer.alloc(Math.ceil(bytes / BLOCK) * BLOCK);
        expect(await again.read(0, into)).toBe(bytes);
        expect(into.subarray(0, bytes).equals(wanted)).toBe(true);
        lease.buffer.fill(0);
        expect(await again.read(230 * BLOCK, lease)).toBe(lease.buffer.length);
        expect(lease.buffer.equals(wanted.subarray(230 * BLOCK, 270 * BLOCK))).toBe(true);
        lease.release();
        await again.close();
      }
    },
  );

  it('is read by a program that knows the documentation alone', async ({ skip }) => {
    needPython(skip);
    const volume = await newVolume(600 * BLOCK, 'crc64nvme');
    await volume.write(100 * BLOCK, randomBytes(300 * BLOCK));
    const dirty = runReader(`${name}.ringbolt`, '--data', name) as { dirty: number[] };
    expect(dirty.dirty).toEqual([0, 1]);
    await volume.close();
    const printed = runReader(`${name}.ringbolt`, '--data', name) as {
      copies: string[];
      superblock: { clean: boolean };
      dirty: number[];
      tags: { block: number; state: string; matches: boolean }[];
    };
    expect(printed.copies).toEqual(new Array(4).fill('valid'));
    expect([printed.superblock.clean, printed.dirty]).toEqual([true, []]);
    const valid = printed.tags.filter(({ state }) => state === 'valid');
    expect(valid.map(({ block }) => block)).toEqual(Array.from({ length: 300 }, (_, i) => 100 + i));
    expect(printed.tags.every(({ matches }) => matches)).toBe(true);
  });
});

describe('a lease that is changed while it is written', () => {
  const write = async (stable: 'check' | 'trust' | 'copy') => {
    const random = new Random();
    const simulated = new SimulatedVolume(random, 100 * BLOCK);
    await simulated.create();
    const volume = await simulated.open();
    const lease = engine.pool.acquire(2 * BLOCK);
    lease.buffer.fill(1);
    await volume.write(0, lease, { stable });
    lease.buffer.fill(2);
    simulated.data.onOperation = ({ kind }) => {
      if (kind === 'write')
        void simulated.world.turns.pass(1).then(() => lease.buffer.fill(3, 0, 9));
    };
    const written = volume.write(0, lease, { stable });
    await written.catch(() => undefined);
    await simulated.world.turns.pass(9);
    const block = async (number: number) => {
      const into = new Uint8Array(BLOCK);
      await volume.read(number * BLOCK, into);
      return into[BLOCK - 1];
    };
    return { written, block };
  };

  it("rejects, and what it left is refused with 'check'", async () => {
    const { written, block } = await write('check');
    await expect(written).rejects.toThrow(withCode('ERR_RINGBOLT_CORRUPT'));
    const first = await block(0).catch((error: unknown) => error);
    // Unless all of it was written before it was changed.
    if (first !== 2) expect(first).toMatchObject({ code: 'ERR_RINGBOLT_TORN', blocks: [0] });
    expect(await block(1)).toBe(2);
  });

  it("makes no difference with 'copy'", async () => {
    const { written, block } = await write('copy');
    expect(await written).toBe(2 * BLOCK);
    expect([await block(0), await block(1)]).toEqual([2, 2]);
  });

  it("is damage with 'trust'", async () => {
    const { written, block } = await write('trust');
    expect(await written).toBe(2 * BLOCK);
    const first = await block(0).catch((error: unknown) => error);
    if (first !== 2) expect(first).toMatchObject({ code: 'ERR_RINGBOLT_CORRUPT', blocks: [0] });
  });
});
