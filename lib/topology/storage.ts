// What a path lies on: its file system, and the block devices under it, or in plain words why there are none.
//
// Asking for a file may wait for a device or a server, so that is left to libuv; what sysfs says comes at once (sysfs.ts).

import { realpath, stat } from 'node:fs/promises';
import path from 'node:path';
import { Walk, type BlockDevice } from './block-devices.js';
import { formatDeviceNumber, mountOf, readMounts, type Mount } from './mounts.js';
import { listFolder, sysPath, type TopologyRoots } from './sysfs.js';

export interface PathFacts {
  /** Without links. */
  readonly realPath: string;
  readonly kind: 'file' | 'folder' | 'block device' | 'other';
  /** `major:minor` of the file system, or of the block device itself. */
  readonly deviceNumber: string;
}

/** @throws the errors of stat(2) */
export type LookUp = (file: string) => Promise<PathFacts>;

export interface StorageRoots extends TopologyRoots {
  /** Tests have no block devices to ask for. Default: the real file system. */
  readonly lookUp?: LookUp;
}

export interface Storage {
  readonly path: string;
  readonly kind: PathFacts['kind'];
  /** Of files and folders. */
  readonly mount: Mount | undefined;
  /** Several where the file system spans them. */
  readonly devices: readonly BlockDevice[];
  /** Why there are no devices; empty if there are. */
  readonly why: string;
}

const MAX_DEVICES = 64;

/** {@link LookUp} of the real file system. */
export async function lookUpHere(file: string): Promise<PathFacts> {
  const realPath = await realpath(file);
  const facts = await stat(realPath, { bigint: true });
  const block = facts.isBlockDevice();
  const kind = block
    ? 'block device'
    : facts.isFile()
      ? 'file'
      : facts.isDirectory()
        ? 'folder'
        : 'other';
  return { realPath, kind, deviceNumber: formatDeviceNumber(block ? facts.rdev : facts.dev) };
}

/**
 * What a file, a folder or a block device lies on.
 *
 * @throws the errors of stat(2) for the path itself
 */
export async function readStorage(file: string, roots: StorageRoots = {}): Promise<Storage> {
  const lookUp = roots.lookUp ?? lookUpHere;
  const mounts = readMounts(roots);
  const resolve = async (facts: PathFacts, walk: Walk) => {
    const mount =
      facts.kind === 'block device'
        ? undefined
        : mountOf(mounts, facts.realPath, facts.deviceNumber);
    return { mount, ...(await devicesOf(facts, mount, { walk, lookUp })) };
  };
  const walk = new Walk(roots, async (below, same) => {
    try {
      return await resolve(await lookUp(below), same);
    } catch {
      return { devices: [], why: `${below} cannot be seen from here` };
    }
  });
  const facts = await lookUp(file);
  return { path: file, kind: facts.kind, ...(await resolve(facts, walk)) };
}

/** Every whole disk, array and mapping that has a size, but for those that nothing lies on. */
export async function readDisks(roots: StorageRoots = {}): Promise<readonly BlockDevice[]> {
  const disks: BlockDevice[] = [];
  for (const name of listFolder(sysPath(roots, 'block')).slice(0, 4096)) {
    const walk = new Walk(roots, () =>
      Promise.resolve({ devices: [], why: 'ask for the path to see what its file lies on' }),
    );
    const disk = await walk.named(name);
    if (disk !== undefined && disk.bytes !== 0) disks.push(disk);
  }
  return disks;
}

interface Found {
  readonly devices: readonly BlockDevice[];
  readonly why: string;
}

async function devicesOf(
  facts: PathFacts,
  mount: Mount | undefined,
  tools: { readonly walk: Walk; readonly lookUp: LookUp },
): Promise<Found> {
  const { walk } = tools;
  if (facts.kind === 'other') return { devices: [], why: 'neither a file nor a block device' };
  const device = await walk.device(facts.deviceNumber);
  if (device !== undefined) return { devices: [device], why: '' };
  if (facts.kind === 'block device') {
    return { devices: [], why: `sysfs does not know device ${facts.deviceNumber}` };
  }
  if (mount === undefined) return { devices: [], why: 'its mount is not to be seen from here' };
  if (mount.fileSystem === 'overlay') return belowOverlay(mount, walk);
  const sources = await sourcesOf(mount, tools);
  if (sources.length > 0) return { devices: sources, why: '' };
  return { devices: [], why: whyNoDevice(mount) };
}

/** btrfs and others have a device number that is not their disk's; the mount's source names one of their disks, or all. */
async function sourcesOf(
  mount: Mount,
  { walk, lookUp }: { readonly walk: Walk; readonly lookUp: LookUp },
): Promise<readonly BlockDevice[]> {
  const devices: BlockDevice[] = [];
  // bcachefs: /dev/a:/dev/b
  for (const source of mount.source.split(':').slice(0, MAX_DEVICES)) {
    if (!path.isAbsolute(source)) continue;
    const facts = await lookUp(source).catch(() => undefined);
    // In a container the source may not be in /dev; its name in sysfs is mostly the same.
    const device =
      facts?.kind === 'block device'
        ? await walk.device(facts.deviceNumber)
        : facts === undefined
          ? await walk.named(path.basename(source))
          : undefined;
    if (device !== undefined) devices.push(device);
  }
  const [first] = devices;
  if (mount.fileSystem !== 'btrfs' || first === undefined) return devices;
  const members = btrfsMembers(walk.roots, first.name);
  const all: BlockDevice[] = [];
  for (const name of members) {
    const device = await walk.named(name);
    if (device !== undefined) all.push(device);
  }
  return all.length > 0 ? all : devices;
}

/** Names of all devices of the btrfs that a device belongs to. */
function btrfsMembers(roots: TopologyRoots, device: string): readonly string[] {
  const top = sysPath(roots, 'fs', 'btrfs');
  for (const name of listFolder(top).slice(0, 1024)) {
    const members = listFolder(path.join(top, name, 'devices')).slice(0, MAX_DEVICES);
    if (members.includes(device)) return members;
  }
  return [];
}

/** What is written goes to the upper folder; a read-only overlay has none, and reads from its lower ones. */
async function belowOverlay(mount: Mount, walk: Walk): Promise<Found> {
  const option = (name: string) =>
    mount.options.find((each) => each.startsWith(`${name}=`))?.slice(name.length + 1);
  const folder = option('upperdir') ?? option('lowerdir')?.split(':')[0];
  if (folder === undefined) return { devices: [], why: 'overlay: it does not say what lies below' };
  const { devices, why } = await walk.file(folder);
  if (devices.length > 0) return { devices, why: '' };
  const hint = 'a container sees its own files only; a volume or a bind mount shows its device';
  return { devices: [], why: `overlay: ${why} (${hint})` };
}

const IN_MEMORY = ['tmpfs', 'ramfs', 'devtmpfs', 'hugetlbfs'];
const ELSEWHERE = ['nfs', 'nfs4', 'cifs', 'smb3', 'ceph', '9p', 'virtiofs', 'afs', 'lustre'];

function whyNoDevice({ fileSystem, source }: Mount): string {
  if (IN_MEMORY.includes(fileSystem)) return `${fileSystem} is in memory: there is no device`;
  if (ELSEWHERE.includes(fileSystem)) {
    return `${fileSystem}: the device is another machine's (${source})`;
  }
  if (fileSystem === 'zfs') return `zfs: its pool knows the devices: zpool status ${source}`;
  if (fileSystem.startsWith('fuse')) return `${fileSystem}: another process answers for its files`;
  return `${fileSystem}: no device is named (its source is ${source})`;
}
