// Shows `ringbolt status`: of a path that is not protected, of a volume that somebody has open, of one that was closed, and of one that was not.

import { randomBytes } from 'node:crypto';
import { readFileSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { Engine, Volume } from 'ringbolt';
import { beforeEach, expect, it } from 'vitest';
import { startEngine } from '../support/engine.js';
import { tempFolder } from '../support/temp-folder.js';
import { runCli } from './run-cli.js';

const BLOCK = 4096;
const MIB = 2 ** 20;

let engine: Engine;
let name: string;

beforeEach(async () => {
  engine = await startEngine();
  name = path.join(tempFolder(), 'data');
});

function status(...args: string[]): string {
  const { exitCode, stdout, stderr } = runCli('status', name, ...args);
  expect([exitCode, stderr]).toEqual([0, '']);
  return stdout;
}

it('of a file that is not protected says what that would take', () => {
  writeFileSync(name, new Uint8Array(10 * MIB));
  const metaBytes = Volume.sidecarBytes(10 * MIB);
  expect(status()).toContain(`none; it would be ${name}.ringbolt`);
  expect(status()).toContain('ringbolt protect');
  expect(JSON.parse(status('--json'))).toMatchObject({
    schema: 1,
    path: name,
    dataBytes: 10 * MIB,
    metaBytes,
    owners: [],
  });
  expect(readFileSync(name).equals(Buffer.alloc(10 * MIB))).toBe(true);
});

it('of a volume that is open names its owner, and disturbs nobody', async () => {
  const volume = await Volume.create(engine, name, { size: 10 * MIB });
  await volume.write(0, randomBytes(BLOCK));
  expect(status()).toMatch(new RegExp(`in use by +process ${process.pid} \\(`));
  expect(status()).toMatch(/state +open, 992 KiB in 1 region dirty\n/);
  await volume.write(0, randomBytes(BLOCK));
  await volume.close();
});

it('of a volume that is closed says so, and counts what its tags say', async () => {
  const metaPath = path.join(tempFolder(), 'tags');
  const volume = await Volume.create(engine, name, { size: 600 * BLOCK, metaPath });
  await volume.write(0, randomBytes(300 * BLOCK));
  await volume.discard(290 * BLOCK, 20 * BLOCK);
  await volume.close();
  const text = status('--tags', '--meta', metaPath);
  expect(text).toMatch(/in use by +nobody that can be seen\n/);
  expect(text).toMatch(/state +closed cleanly\n/);
  expect(text).toMatch(/valid +290 blocks\nnever written +290 blocks\ndiscarded +20 blocks\n$/);
  const sidecar = readFileSync(metaPath);
  sidecar.fill(0xff, 0, 8192);
  sidecar.fill(0xff, 2 ** 20, 2 ** 20 + 512);
  writeFileSync(metaPath, sidecar);
  truncateSync(name, 500 * BLOCK);
  const worse = status('--tags', '--meta', metaPath);
  expect(worse).toMatch(/closed cleanly; the data was changed since; the data is shorter than/);
  expect(worse).toMatch(/2 of 4 superblocks are damaged/);
  expect(worse).toMatch(/tag damaged +31 blocks\n/);
});

it('of one that was not closed says what has to be recovered', async () => {
  const own = await Engine.start({ pool: { bytes: 8 * MIB } });
  const volume = await Volume.create(own, name, { size: 10 * MIB });
  await volume.write(5 * MIB, randomBytes(BLOCK));
  const sidecar = readFileSync(`${name}.ringbolt`); // as a crash would leave it
  await own.close();
  writeFileSync(`${name}.ringbolt`, sidecar);
  expect(status()).toMatch(/not closed: at most 992 KiB in 1 region will be recovered/);
});

it('says what it could not look at', () => {
  const { exitCode, stderr } = runCli('status', name);
  expect([exitCode, stderr]).toEqual([1, expect.stringContaining('ENOENT') as string]);
  writeFileSync(name, 'data');
  writeFileSync(`${name}.ringbolt`, 'no sidecar');
  const other = runCli('status', name);
  expect([other.exitCode, other.stderr]).toEqual([
    1,
    expect.stringContaining('is no sidecar that can be used') as string,
  ]);
});
