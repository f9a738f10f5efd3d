// Shows that the devices under a path are found, through everything that Linux stacks, with their nodes and limits; and that
// where there are none, the reason is said.

import { execFileSync } from 'node:child_process';
import { statSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import type { BlockDevice } from '../../dist/lib/topology/block-devices.js';
import { activeScheduler } from '../../dist/lib/topology/device-limits.js';
import { formatDeviceNumber } from '../../dist/lib/topology/mounts.js';
import { readDisks, readStorage } from '../../dist/lib/topology/storage.js';
import { tempFolder } from '../support/temp-folder.js';
import { buildMachine, type DiskDescription, type MachineDescription } from './fixtures/build.js';
import { container, CRYPT_BELOW_LVM, LOOP, MIRROR, MULTIPATH, SMALL } from './fixtures/machines.js';

// A machine is hundreds of small files, on whatever disk there is.
vi.setConfig({ testTimeout: 30_000 });

/** Without its CPUs, which make up most of the files. */
const build = (machine: MachineDescription) => buildMachine({ ...machine, nodes: [], online: '' });

const read = (file: string, machine: MachineDescription) => readStorage(file, build(machine));

/** `md127(nvme0n1 nvme1n1)` */
function shape({ name, below }: BlockDevice): string {
  return below.length === 0 ? name : `${name}(${below.map(shape).join(' ')})`;
}

async function shapes(file: string, machine: MachineDescription): Promise<string> {
  const { devices, why } = await read(file, machine);
  expect(why === '').toBe(devices.length > 0);
  return devices.map(shape).join(' ');
}

describe('what lies under a path', () => {
  it.each([
    ['a partition', '/srv/file', SMALL, 'vda1(vda)'],
    ['LVM on dm-crypt', '/srv/file', CRYPT_BELOW_LVM, 'dm-1(dm-0(nvme1n1p2(nvme1n1)))'],
    ['a mirror', '/dev/md127', MIRROR, 'md127(nvme0n1 nvme1n1)'],
    ['a loop device', '/dev/loop0', LOOP, 'loop0(md127(nvme0n1 nvme1n1))'],
    ["a container's volume", '/data/blob', container(2), 'nvme0n1'],
  ])('%s', async (_, file, machine, expected) => {
    expect(await shapes(file, machine)).toBe(expected);
  });

  it('says what each layer is', async () => {
    const [lvm] = (await read('/srv/file', CRYPT_BELOW_LVM)).devices;
    const [crypt] = lvm!.below;
    const [partition] = crypt!.below;
    expect(lvm).toMatchObject({ kind: 'device-mapper', label: 'vg-data, LVM', number: '253:1' });
    expect(crypt).toMatchObject({ kind: 'device-mapper', label: 'luks-data, CRYPT' });
    expect(partition).toMatchObject({ kind: 'partition', bytes: 2 ** 29, label: '' });
    expect(partition!.below).toMatchObject([
      { kind: 'disk', label: 'ACME Fast 1T', bytes: 2 ** 40 },
    ]);
    const [loop] = (await read('/dev/loop0', LOOP)).devices;
    expect(loop).toMatchObject({ kind: 'loop', label: '/srv/disk.img' });
    expect(loop!.below).toMatchObject([{ kind: 'md', label: 'raid1' }]);
  });

  it('knows the limits of a disk, which are its partitions’ too', async () => {
    const [partition] = (await read('/srv/file', SMALL)).devices;
    expect(partition!.limits).toEqual({
      logicalBlockBytes: 512,
      physicalBlockBytes: 4096,
      dmaAlignmentBytes: 4,
      maxTransferBytes: 1280 * 1024,
      maxHardwareTransferBytes: 2048 * 1024,
      maxSegments: 127,
      rotational: false,
      writeCache: 'write back',
      scheduler: 'none',
      zoned: 'none',
      readAheadBytes: 128 * 1024,
      requests: 1023,
    });
    expect(partition!.below[0]!.limits).toEqual(partition!.limits);
    expect(partition!.below[0]!.inFlight).toEqual({ reads: 2, writes: 1 });
  });

  it('all disks, without what has no size', async () => {
    const empty: DiskDescription = { name: 'loop1', number: '7:1', gib: 0 };
    const roots = build({ ...LOOP, disks: [...LOOP.disks!, empty] });
    const names = (await readDisks(roots)).map(({ name }) => name);
    expect(names).toEqual(['loop0', 'md127', 'nvme0n1', 'nvme1n1']);
  });
});

describe('the node of a device', () => {
  const nodes = async (file: string, machine: MachineDescription) =>
    (await read(file, machine)).devices.map((device) => device.nodes);

  it("is its hardware's, also through layers; several where it lies on several", async () => {
    expect(await nodes('/srv/file', CRYPT_BELOW_LVM)).toEqual([[1]]);
    expect(await nodes('/dev/md127', MIRROR)).toEqual([[0, 1]]);
    expect(await nodes('/dev/loop0', LOOP)).toEqual([[0, 1]]);
  });

  it('is unknown where the firmware does not say', async () => {
    expect(await nodes('/srv/file', SMALL)).toEqual([[]]);
  });

  it("is the controller's for an NVMe disk with several paths", async () => {
    expect(await nodes('/dev/nvme0n1', MULTIPATH)).toEqual([[1]]);
  });
});

describe('file systems without a device number of their own', () => {
  const disks: DiskDescription[] = [
    { name: 'sda', number: '8:0', partitions: { sda1: '8:1' } },
    { name: 'sdb', number: '8:16' },
  ];
  const file = { '/mnt/file': { kind: 'file', deviceNumber: '0:99' } } as const;

  it('btrfs: the device that is its source, and all that belong to the same file system', async () => {
    const machine: MachineDescription = {
      disks,
      mounts: [['/mnt', '0:42', 'btrfs', '/dev/sda1']],
      paths: { ...file, '/dev/sda1': { kind: 'block device', deviceNumber: '8:1' } },
    };
    expect(await shapes('/mnt/file', machine)).toBe('sda1(sda)');
    const members = {
      'sys/fs/btrfs/0123/devices/sda1': 'sys/class/block/sda1',
      'sys/fs/btrfs/0123/devices/sdb': 'sys/class/block/sdb',
    };
    expect(await shapes('/mnt/file', { ...machine, links: members })).toBe('sda1(sda) sdb');
  });

  it('a source that is not in /dev is found by its name in sysfs', async () => {
    const mounts = [['/mnt', '0:42', 'btrfs', '/dev/sdb']] as const;
    expect(await shapes('/mnt/file', { disks, mounts, paths: file })).toBe('sdb');
  });

  it('bcachefs: each of its sources', async () => {
    const mounts = [['/mnt', '0:42', 'bcachefs', '/dev/sdb:/dev/sda1']] as const;
    expect(await shapes('/mnt/file', { disks, mounts, paths: file })).toBe('sdb sda1(sda)');
  });

  it('overlay: what its upper folder lies on', async () => {
    const mounts = [
      ['/', '8:1', 'ext4', '/dev/sda1'],
      ['/mnt', '0:99', 'overlay', 'overlay', 'rw,lowerdir=/l,upperdir=/up\\040per'],
    ] as const;
    const paths = { ...file, '/up per': { kind: 'folder', deviceNumber: '8:1' } } as const;
    expect(await shapes('/mnt/file', { disks, mounts, paths })).toBe('sda1(sda)');
  });

  it.each([
    ['tmpfs', 'tmpfs', /tmpfs is in memory: there is no device/],
    ['nfs4', 'server:/export', /another machine's \(server:\/export\)/],
    ['zfs', 'tank/data', /zpool status tank\/data/],
    ['fuse.sshfs', 'host:', /another process answers/],
    ['newfs', 'newfs', /no device is named/],
  ])('%s: says plainly that there is none', async (fileSystem, source, why) => {
    const mounts = [['/mnt', '0:99', fileSystem, source]] as const;
    const storage = await read('/mnt/file', { disks, mounts, paths: file });
    expect(storage).toMatchObject({ devices: [], mount: { fileSystem, mountPoint: '/mnt' } });
    expect(storage.why).toMatch(why);
  });

  it("a container's own files: their folder is not to be seen", async () => {
    const { devices, why } = await read('/app', container(1));
    expect(devices).toEqual([]);
    expect(why).toMatch(/overlay: \/var\/lib\/c\/diff cannot be seen from here .*bind mount/);
  });
});

describe('the mount of a file', () => {
  const find = async (mounts: MachineDescription['mounts']) => {
    const paths = { '/a/b/c': { kind: 'file', deviceNumber: '0:5' } } as const;
    const storage = await read('/a/b/c', { mounts: mounts!, paths });
    return storage.mount?.source;
  };

  it('is the innermost, and of two on one point the later', async () => {
    const outer = ['/', '0:5', 'tmpfs', 'outer'] as const;
    const inner = ['/a/b', '0:5', 'tmpfs', 'inner'] as const;
    const beside = ['/a/bb', '0:5', 'tmpfs', 'beside'] as const;
    expect(await find([inner, outer, beside])).toBe('inner');
    expect(await find([inner, outer, ['/a/b', '0:5', 'tmpfs', 'later']])).toBe('later');
  });

  it('is not one that another covers', async () => {
    const covered = ['/a/b', '0:4', 'tmpfs', 'covered'] as const;
    expect(await find([covered, ['/a', '0:5', 'tmpfs', 'cover']])).toBe('cover');
  });
});

describe('what is missing, odd or hostile', () => {
  const disk: DiskDescription = { name: 'sda', number: '8:0' };
  const paths = { '/dev/sda': { kind: 'block device', deviceNumber: '8:0' } } as const;

  it('a path that is not there is an error of stat', async () => {
    await expect(readStorage(path.join(tempFolder(), 'none'))).rejects.toMatchObject({
      code: 'ENOENT',
    });
  });

  it('a device that sysfs does not know', async () => {
    const { devices, why } = await read('/dev/sda', { paths });
    expect(devices).toEqual([]);
    expect(why).toBe('sysfs does not know device 8:0');
  });

  it('neither a file nor a block device', async () => {
    expect(await readStorage('/dev/null')).toMatchObject({ kind: 'other', devices: [] });
  });

  it('a disk without a queue has no limits', async () => {
    const [device] = (await read('/dev/sda', { disks: [{ ...disk, bare: true }], paths })).devices;
    expect(device).toMatchObject({ name: 'sda', kind: 'disk', bytes: undefined, nodes: [] });
    expect(device).toMatchObject({ limits: {}, inFlight: undefined });
  });

  it.each(['', '-1', 'x', '1e3', '99999999999999999999', '\u001b[2J', '1\n2'])(
    'attributes that say %j say nothing',
    async (text) => {
      const names = [
        ...['logical_block_size', 'dma_alignment', 'max_sectors_kb', 'nr_requests', 'rotational'],
        ...['write_cache', 'zoned', 'optimal_io_size', 'read_ahead_kb'],
      ];
      const queue = Object.fromEntries(names.map((name) => [name, text]));
      const [device] = (await read('/dev/sda', { disks: [{ ...disk, queue }], paths })).devices;
      const { zoned, ...limits } = device!.limits;
      expect(Object.keys(limits).sort()).toEqual([
        ...['maxHardwareTransferBytes', 'maxSegments', 'physicalBlockBytes', 'scheduler'],
      ]);
      expect(zoned === undefined || zoned === text).toBe(true);
    },
  );

  it.each([
    ['[none] mq-deadline', 'none'],
    ['none mq-deadline [bfq]', 'bfq'],
    ['none', 'none'],
    ['', undefined],
    ['none bfq', undefined],
    [undefined, undefined],
  ])('of the schedulers %j, %j is active', (text, active) => {
    expect(activeScheduler(text)).toBe(active);
  });

  it('devices that lie on each other end the walk', async () => {
    const disks: DiskDescription[] = [
      { name: 'sda', number: '8:0', slaves: ['sdb'] },
      { name: 'sdb', number: '8:16', slaves: ['sda', 'sdb'] },
    ];
    const [device] = (await read('/dev/sda', { disks, paths })).devices;
    expect(shape(device!)).toBe('sda(sdb(sda sdb))');
    expect(device!.below[0]!.below[0]!.remark).toBe('lies on itself');
  });

  it('a loop device over a file on itself ends the walk', async () => {
    const disks: DiskDescription[] = [{ name: 'loop0', number: '7:0', backingFile: '/mnt/f' }];
    const onItself = {
      '/dev/loop0': { kind: 'block device', deviceNumber: '7:0' },
      '/mnt/f': { kind: 'file', deviceNumber: '7:0' },
    } as const;
    expect(await shapes('/dev/loop0', { disks, paths: onItself })).toBe('loop0(loop0)');
  });

  it('an overlay over itself ends the walk', async () => {
    const mounts = [['/o', '0:9', 'overlay', 'overlay', 'upperdir=/o']] as const;
    const itself = { '/o': { kind: 'folder', deviceNumber: '0:9' } } as const;
    const { why } = await read('/o', { mounts, paths: itself });
    expect(why).toMatch(/nested too deeply/);
  });

  it('a loop device whose file is gone, or that has none', async () => {
    const file = '/mnt/f (deleted)';
    const disks: DiskDescription[] = [
      { name: 'loop0', number: '7:0', backingFile: file },
      { name: 'loop1', number: '7:1' },
    ];
    const loops = {
      '/dev/loop0': { kind: 'block device', deviceNumber: '7:0' },
      '/dev/loop1': { kind: 'block device', deviceNumber: '7:1' },
    } as const;
    const remark = async (name: string) =>
      (await read(name, { disks, paths: loops })).devices[0]!.remark;
    expect(await remark('/dev/loop0')).toBe('its file was deleted');
    expect(await remark('/dev/loop1')).toBe('has no file');
  });

  it('hundreds of devices under one are cut short', async () => {
    const slaves = Array.from({ length: 260 }, (_, index) => ({
      name: `sd${index}`,
      number: `66:${index}`,
      bare: true,
    }));
    const wide = { name: 'sda', number: '8:0', slaves: slaves.map(({ name }) => name) };
    const [device] = (await read('/dev/sda', { disks: [wide, ...slaves], paths })).devices;
    expect(device!.below).toHaveLength(256);
    expect(device!.remark).toBe('too many devices');
  });

  it('a tree that doubles at each level is cut short', async () => {
    const levels = Array.from({ length: 12 }, (_, level) =>
      ['a', 'b'].map((side, index) => ({
        name: `dm${level}${side}`,
        number: `253:${2 * level + index}`,
        bare: true,
        slaves: level === 11 ? [] : [`dm${level + 1}a`, `dm${level + 1}b`],
      })),
    ).flat();
    const top = { name: 'sda', number: '8:0', slaves: ['dm0a', 'dm0b'] };
    const tree = (await read('/dev/sda', { disks: [top, ...levels], paths })).devices[0]!;
    const count = (node: BlockDevice): number =>
      node.below.reduce((sum, each) => sum + count(each), 1);
    expect(count(tree)).toBeLessThanOrEqual(257);
  });

  it('lines that are no mounts are left out', async () => {
    const lines = ['', 'x', ' - ', '1 2 3', '1 2 0:5 / / rw - ', '1 2 no / /a/b rw - ext4 x rw'];
    const files = { 'proc/self/mountinfo': lines.join('\n') };
    const there = { '/a/b': { kind: 'file', deviceNumber: '0:5' } } as const;
    const { mount, why } = await read('/a/b', { files, paths: there });
    expect(mount?.mountPoint ?? '/').toBe('/');
    expect(why).not.toBe('');
  });
});

describe('this machine', () => {
  it('a loop device lies on what its file lies on', async ({ skip }) => {
    if (process.getuid?.() !== 0) return skip('only root can make a loop device');
    const file = path.join(tempFolder(), 'image');
    writeFileSync(file, '');
    truncateSync(file, 2 ** 20);
    let loop: string;
    try {
      loop = execFileSync('losetup', ['--find', '--show', file], { encoding: 'utf8' }).trim();
    } catch (error) {
      return skip(`no loop device can be made here: ${(error as Error).message.split('\n')[0]}`);
    }
    onTestFinished(() => {
      execFileSync('losetup', ['--detach', loop]);
    });
    const { kind, devices } = await readStorage(loop);
    expect(kind).toBe('block device');
    expect(devices).toMatchObject([
      { name: path.basename(loop), kind: 'loop', label: file, bytes: 2 ** 20 },
    ]);
    const numbers = (list: readonly BlockDevice[]) => list.map(({ number }) => number);
    expect(numbers(devices[0]!.below)).toEqual(numbers((await readStorage(file)).devices));
    expect((await readDisks()).map(({ name }) => name)).toContain(path.basename(loop));
    return;
  });

  it('has something to say about a file of the test', async () => {
    const folder = tempFolder();
    const storage = await readStorage(folder);
    expect(storage.kind).toBe('folder');
    expect(storage.mount).toBeDefined();
    expect(storage.devices.length > 0).toBe(storage.why === '');
    for (const { number, below } of storage.devices) {
      expect([number, ...below.map((each) => each.number)].join()).toMatch(/^[\d:,]+$/);
    }
    const number = formatDeviceNumber(statSync(folder, { bigint: true }).dev);
    if (storage.mount!.fileSystem === 'ext4') expect(storage.devices[0]!.number).toBe(number);
  });
});
