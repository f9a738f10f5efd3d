// Shows who excludes whom: files that are locked, and devices that are mounted.

import path from 'node:path';
import { Engine } from 'ringbolt';
import { expect, it, onTestFinished } from 'vitest';
import { BLOCK, numberedFile } from '../lifecycle/numbered-file.js';
import { startEngine } from '../support/engine.js';
import { loopDevice, run } from '../support/loop-device.js';
import { tempFolder } from '../support/temp-folder.js';

const EXCLUSIVE = { access: 'read-write', lock: 'exclusive' } as const;
const BUSY = { code: 'ERR_RINGBOLT_BUSY' };

it('a file: one writer or many readers, within an engine and between engines', async () => {
  const name = numberedFile();
  const [one, two] = [await startEngine(), await startEngine()];
  const writer = await one.open(name, EXCLUSIVE);
  for (const engine of [one, two]) {
    await expect(engine.open(name, EXCLUSIVE)).rejects.toMatchObject({
      ...BUSY,
      path: name,
      message: expect.stringContaining(`conflicting lock: process ${process.pid} (`) as string,
    });
    await expect(engine.open(name, { lock: 'shared' })).rejects.toMatchObject(BUSY);
    await (await engine.open(name)).close(); // who does not lock is not refused
  }
  await writer.close();
  const readers = [
    await one.open(name, { lock: 'shared' }),
    await two.open(name, { lock: 'shared' }),
  ];
  await expect(one.open(name, EXCLUSIVE)).rejects.toMatchObject(BUSY);
  for (const reader of readers) await reader.close();
  await (await two.open(name, EXCLUSIVE)).close();
});

it('the same file opened twice: each sees what the other wrote', async () => {
  const name = numberedFile();
  const engine = await startEngine();
  const [one, two] = [
    await engine.open(name, { access: 'read-write' }),
    await engine.open(name, { access: 'read-write', direct: false }),
  ];
  const array = new Uint8Array(BLOCK).fill(7);
  await one.write(0, array);
  const seen = new Uint8Array(BLOCK);
  await two.read(0, seen);
  expect(seen).toEqual(array);
  await two.write(BLOCK, array.fill(8));
  await one.read(BLOCK, seen);
  expect(seen).toEqual(array);
});

it('a device that is locked cannot be mounted, and one that is mounted cannot be locked', async ({
  skip,
}) => {
  const device = loopDevice(skip, new Uint8Array(16 * 2 ** 20));
  run('mkfs.ext4', '-q', device);
  const mounted = tempFolder();
  // Its own end comes before that of the device.
  const engine = await Engine.start({ pool: { bytes: 8 * 2 ** 20 } });
  onTestFinished(() => engine.close());
  const file = await engine.open(device, EXCLUSIVE);
  expect(() => run('mount', device, mounted)).toThrow(/busy|already/);
  await expect(engine.open(device, EXCLUSIVE)).rejects.toMatchObject(BUSY);
  await file.close();
  run('mount', device, mounted);
  try {
    await expect(engine.open(device, EXCLUSIVE)).rejects.toMatchObject({
      ...BUSY,
      message: expect.stringContaining('mounted') as string,
    });
    await (await engine.open(device)).close();
  } finally {
    run('umount', path.resolve(mounted));
  }
});
