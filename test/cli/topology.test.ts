// Shows `ringbolt topology`: pictures of machines made up, and the command on this one.

import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { formatMachine } from '../../dist/lib/cli/machine-text.js';
import { formatStorage } from '../../dist/lib/cli/storage-text.js';
import { readMachine, type Machine } from '../../dist/lib/topology/machine.js';
import { readDisks, readStorage, type Storage } from '../../dist/lib/topology/storage.js';
import { tempFolder } from '../support/temp-folder.js';
import { buildMachine, type MachineDescription } from '../topology/fixtures/build.js';
import {
  container,
  CRYPT_BELOW_LVM,
  CXL,
  EIGHT_NODES,
  HALF_OFFLINE,
  ISOLATED,
  ISOLATED_SOCKET,
  MIRROR,
  SMALL,
  SOCKET_OFFLINE,
} from '../topology/fixtures/machines.js';
import { runCli } from './run-cli.js';

// A machine is hundreds of small files, on whatever disk there is.
vi.setConfig({ testTimeout: 30_000 });

async function draw(machine: MachineDescription): Promise<string> {
  const roots = buildMachine(machine);
  return formatMachine(readMachine(roots), await readDisks(roots));
}

async function drawPath(file: string, machine: MachineDescription): Promise<string> {
  const roots = buildMachine({ ...machine, nodes: [], online: '' });
  return formatStorage(await readStorage(file, roots));
}

describe('the picture of a machine', () => {
  it('of two nodes, with a mirror over both', async () => {
    expect(await draw(MIRROR)).toMatchInlineSnapshot(`
      "2 nodes, 8 cores, 16 CPUs, 2 threads a core

      ┌─ node 0 ─────────────────────┐
      │ memory     64 GiB            │
      │ CPUs       0-3, 8-11         │
      │ cores      0+8 1+9 2+10 3+11 │
      │ L1d        32 KiB × 4        │
      │ L1i        32 KiB × 4        │
      │ L2         1 MiB × 4         │
      │ L3         32 MiB × 1        │
      │ distances  10 20             │
      └──────────────────────────────┘
         └─ nvme0n1  disk, 1 TiB, ACME Fast 1T, node 0, scheduler none, 3 in flight

      ┌─ node 1 ───────────────────────┐
      │ memory     64 GiB              │
      │ CPUs       4-7, 12-15          │
      │ cores      4+12 5+13 6+14 7+15 │
      │ L1d        32 KiB × 4          │
      │ L1i        32 KiB × 4          │
      │ L2         1 MiB × 4           │
      │ L3         32 MiB × 1          │
      │ distances  20 10               │
      └────────────────────────────────┘
         └─ nvme1n1  disk, 1 TiB, ACME Fast 1T, node 1, scheduler none, 3 in flight

      devices on other devices
         md127  md, 1 GiB, raid1, node 0 and 1, scheduler none, 3 in flight, on nvme0n1, nvme1n1
      "
    `);
  });

  it('of one node, whose disk can only be there', async () => {
    expect(await draw(SMALL)).toMatchInlineSnapshot(`
      "1 node, 2 cores, 2 CPUs, no SMT

      ┌─ node 0 ──────────────────────┐
      │ memory     4 GiB              │
      │ CPUs       0-1                │
      │ L1d        32 KiB × 2         │
      │ L1i        32 KiB × 2         │
      │ L2         1 MiB × 2          │
      │ L3         32 MiB × 2 (0 | 1) │
      └───────────────────────────────┘
         └─ vda  disk, 1 GiB, scheduler none, 3 in flight
      "
    `);
  });

  it('in a container, with what is offline and isolated', async () => {
    expect(await draw({ ...HALF_OFFLINE, ...{ disks: [] }, allowed: '0-1,6' }))
      .toMatchInlineSnapshot(`
      "2 nodes, 7 cores, 7 CPUs, no SMT
      allowed    0-1, 6
      offline    3, 8-15
      isolated   6-7

      ┌─ node 0 ──────────────┐
      │ memory     64 GiB     │
      │ CPUs       0-2        │
      │ allowed    0-1        │
      │ L1d        32 KiB × 3 │
      │ L1i        32 KiB × 3 │
      │ L2         1 MiB × 3  │
      │ L3         32 MiB × 1 │
      │ distances  10 20      │
      └───────────────────────┘

      ┌─ node 1 ──────────────┐
      │ memory     64 GiB     │
      │ CPUs       4-7        │
      │ allowed    6          │
      │ isolated   6-7        │
      │ queues on  none       │
      │ L1d        32 KiB × 4 │
      │ L1i        32 KiB × 4 │
      │ L2         1 MiB × 4  │
      │ L3         32 MiB × 1 │
      │ distances  20 10      │
      └───────────────────────┘
      "
    `);
    expect((await draw(container(2))).split('\n\n')[0]).toMatchInlineSnapshot(`
      "2 nodes, 8 cores, 16 CPUs, 2 threads a core
      allowed    2-4 (cpuset of cgroup /)"
    `);
  });

  it('of nodes without memory, and without CPUs', async () => {
    const boxes = (await draw(EIGHT_NODES)).split('\n\n');
    expect(boxes[4]).toMatchInlineSnapshot(`
      "┌─ node 3 ─────────────────────────────────┐
      │ memory     none                          │
      │ CPUs       6-7                           │
      │ L1d        32 KiB × 2                    │
      │ L1i        32 KiB × 2                    │
      │ L2         1 MiB × 2                     │
      │ L3         32 MiB × 2 (6 | 7)            │
      │ distances  20 20 20 10 20 20 20 20 20 20 │
      └──────────────────────────────────────────┘"
    `);
    expect(boxes[9]).toMatchInlineSnapshot(`
      "┌─ node 8 ─────────────────────────────────┐
      │ memory     256 GiB                       │
      │ CPUs       none                          │
      │ distances  20 20 20 20 20 20 20 20 10 20 │
      └──────────────────────────────────────────┘"
    `);
  });

  it('of a node whose memory, or all of whose CPUs, are not for this process', async () => {
    const lines = async (machine: MachineDescription, ...rows: readonly number[]) => {
      const box = (await draw({ ...machine, disks: [] })).split('┌─ node 1')[1]!.split('\n');
      return rows.map((row) => box[row]!.replaceAll('│', '').trim());
    };
    expect(await lines(container(2), 1, 2, 3)).toEqual([
      'memory     64 GiB (not allowed)',
      'CPUs       4-7, 12-15',
      'allowed    4',
    ]);
    expect(await lines(ISOLATED_SOCKET, 2, 3, 4)).toEqual([
      'CPUs       4-7, 12-15',
      'isolated   4-7, 12-15',
      'queues on  none',
    ]);
    expect(await lines(ISOLATED, 3, 4)).toEqual(['isolated   7, 15', 'queues on  4-6, 12-14']);
    expect(await lines(SOCKET_OFFLINE, 1, 2)).toEqual(['memory     64 GiB', 'CPUs       none']);
    expect(await lines(CXL, 1, 2)).toEqual(['memory     none', 'CPUs       4-7']);
  });

  it('of which nothing is known', async () => {
    expect(await draw({})).toMatchInlineSnapshot(`
      "1 node, 0 cores, 0 CPUs, no SMT

      ┌─ node 0 ────────┐
      │ CPUs       none │
      └─────────────────┘
      "
    `);
  });

  it('with thousands of disks is cut short', async () => {
    const roots = buildMachine(SMALL);
    const [disk] = await readDisks(roots);
    const many = Array.from({ length: 5000 }, () => disk!);
    const picture = formatMachine(readMachine(roots), many);
    expect(picture.split('\n').length).toBeLessThan(100);
    expect(picture).toMatch(/└─ and 4936 more/);
  });

  it('of 4096 CPUs fits on a page', () => {
    const cpus = Array.from({ length: 4096 }, (_, cpu) => cpu);
    const machine: Machine = {
      ...readMachine(buildMachine({})),
      nodes: [{ node: 0, cpus, memoryBytes: 2 ** 40, distances: [10] }],
      online: cpus,
      allowed: cpus.filter((cpu) => cpu % 2 === 0),
      cores: cpus
        .filter((cpu) => cpu < 2048)
        .map((cpu) => ({ package: 0, cpus: [cpu, cpu + 2048] })),
      caches: cpus.map((cpu) => ({ level: 1, type: 'data', bytes: 32768, cpus: [cpu] })),
    };
    const lines = formatMachine(machine, []).split('\n');
    expect(lines.length).toBeLessThan(50);
    expect(Math.max(...lines.map(({ length }) => length))).toBeLessThan(100);
  });
});

describe('the picture of a path', () => {
  it('through LVM and dm-crypt', async () => {
    expect(await drawPath('/srv/file', CRYPT_BELOW_LVM)).toMatchInlineSnapshot(`
      "/srv/file: file on ext4, mounted on /srv
      └─ dm-1  device-mapper, 1 GiB, vg-data, LVM, node 1, scheduler none, 3 in flight
         └─ dm-0  device-mapper, 1 GiB, luks-data, CRYPT, node 1, scheduler none, 3 in flight
            └─ nvme1n1p2  partition, 512 MiB, node 1
               └─ nvme1n1  disk, 1 TiB, ACME Fast 1T, node 1, scheduler none, 3 in flight

      limits of dm-1
        logical block                    512 bytes
        physical block                   4 KiB
        memory alignment                 4 bytes
        largest request                  1.3 MiB
        largest that the hardware takes  2 MiB
        pieces of memory in a request    127
        rotational                       no
        write cache                      write back
        scheduler                        none
        zoned                            none
        read-ahead                       128 KiB
        requests in the queue            1023
      "
    `);
  });

  it('without a device', async () => {
    expect(await drawPath('/app', container(1))).toMatchInlineSnapshot(`
      "/app: folder on overlay, mounted on /
      └─ no device: overlay: /var/lib/c/diff cannot be seen from here (a container sees its own files only; a volume or a bind mount shows its device)
      "
    `);
  });

  it('shows no escape sequence that a name may have in it', () => {
    const storage: Storage = {
      path: '/tmp/\u001b[2J\n',
      kind: 'file',
      mount: undefined,
      devices: [],
      why: 'no \u0007',
    };
    expect(formatStorage(storage)).toBe('/tmp/?[2J?: file\n└─ no device: no ?\n');
  });
});

describe('ringbolt topology', () => {
  it('draws this machine', () => {
    const { exitCode, stdout, stderr } = runCli('topology');
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
    expect(stdout).toMatch(/^\d+ nodes?, \d+ cores?, \d+ CPUs?, /);
    expect(stdout).toMatch(/^┌─ node \d+ ─+┐$/m);
    expect(stdout).not.toMatch(/undefined|NaN|\[object/);
  });

  it('draws what a path lies on', () => {
    const file = path.join(tempFolder(), 'file');
    writeFileSync(file, '');
    const { exitCode, stdout } = runCli('topology', file);
    expect(exitCode).toBe(0);
    expect(stdout).toContain(`\n${file}: file on `);
    expect(stdout).toMatch(/^└─ /m);
  });

  it('is JSON of schema 1', () => {
    const { exitCode, stdout } = runCli('topology', tempFolder(), '--json');
    expect(exitCode).toBe(0);
    const report = JSON.parse(stdout) as {
      machine: Machine;
      queuesOn: readonly unknown[];
      storage: Storage;
    };
    expect(report.queuesOn.length).toBeGreaterThan(0);
    expect(report).toMatchObject({ schema: 1, disks: expect.any(Array) as unknown });
    expect(report.machine.nodes.length).toBeGreaterThan(0);
    expect(report.machine.allowed.length).toBeGreaterThan(0);
    expect(report.storage.kind).toBe('folder');
  });

  it.each([
    [['/no/such/path'], /^error: ENOENT: .*'\/no\/such\/path'\n$/],
    [[''], /^error: ENOENT/],
    [['--jsn'], /unknown option '--jsn'/],
    [['/', '/'], /too many arguments/],
  ])('%j is refused', (args, message) => {
    const { exitCode, stdout, stderr } = runCli('topology', ...args);
    expect(stderr).toMatch(message);
    expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: '' });
  });
});
