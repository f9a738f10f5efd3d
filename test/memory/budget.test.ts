// Shows that the pool's size, by default and as given, respects the memory limit of the process's cgroup and of those above it.

import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { Engine } from 'ringbolt';
import { describe, expect, it } from 'vitest';
import {
  checkPoolBytes,
  defaultPoolBytes,
  memoryLimitBytes,
} from '../../dist/lib/memory/budget.js';
import { tempFolder } from '../support/temp-folder.js';

const MIB = 2 ** 20;

function write(root: string, file: string, text: string): void {
  mkdirSync(path.dirname(path.join(root, file)), { recursive: true });
  writeFileSync(path.join(root, file), text);
}

describe('memory limit', () => {
  it('is the least of all cgroups above the process, version 2', async () => {
    const root = tempFolder();
    write(root, 'proc/self/cgroup', '0::/pods/mine\n');
    write(root, 'sys/fs/cgroup/pods/mine/memory.max', 'max\n');
    write(root, 'sys/fs/cgroup/pods/memory.max', `${200 * MIB}\n`);
    expect(await memoryLimitBytes(root)).toBe(200 * MIB);
    expect(await defaultPoolBytes(MIB, root)).toBe(25 * MIB);
  });

  it('is found in version 1 too, beside other controllers', async () => {
    const root = tempFolder();
    write(root, 'proc/self/cgroup', '5:cpu,cpuacct:/a\n4:memory:/docker/x\n');
    write(root, 'sys/fs/cgroup/memory/memory.limit_in_bytes', `${80 * MIB}\n`);
    expect(await defaultPoolBytes(MIB, root)).toBe(10 * MIB);
  });

  it('of nothing known leaves 64 MiB', async () => {
    expect(await defaultPoolBytes(MIB, tempFolder())).toBe(64 * MIB);
  });

  it('however small leaves one slab of the largest class', async () => {
    const root = tempFolder();
    write(root, 'proc/self/cgroup', '0::/\n');
    write(root, 'sys/fs/cgroup/memory.max', `${MIB}\n`);
    expect(await defaultPoolBytes(4 * MIB, root)).toBe(4 * MIB);
  });
});

describe('a pool of a given size', () => {
  it('may take all that the cgroup has, and not a byte more', async () => {
    const root = tempFolder();
    write(root, 'proc/self/cgroup', '0::/\n');
    write(root, 'sys/fs/cgroup/memory.max', `${100 * MIB}\n`);
    await expect(checkPoolBytes(100 * MIB, root)).resolves.toBeUndefined();
    const refused = checkPoolBytes(100 * MIB + 1, root);
    await expect(refused).rejects.toMatchObject({
      name: 'RingboltError',
      code: 'ENOMEM',
      errno: -12,
    });
    await expect(refused).rejects.toThrow(
      /options\.pool\.bytes is 104857601, .* 104857600 bytes at most/,
    );
  });

  it('that is more than the machine has is refused before anything is mapped', async ({ skip }) => {
    const bytes = 2 ** 36; // the largest there is
    const limitBytes = await memoryLimitBytes();
    if (limitBytes >= bytes) skip('this machine would have so much');
    const before = process.memoryUsage().rss;
    await expect(Engine.start({ pool: { bytes } })).rejects.toMatchObject({ code: 'ENOMEM' });
    expect(process.memoryUsage().rss - before).toBeLessThan(64 * MIB);
    await (await Engine.start({ pool: { bytes: MIB } })).close();
  });
});
