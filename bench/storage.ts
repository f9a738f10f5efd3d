// What lies below a path, as the kernel tells in /proc and /sys: file system, device, scheduler, whether it turns, and
// whether somebody is using it.

import fs from 'node:fs';
import path from 'node:path';
import { activeScheduler } from '../lib/topology/device-limits.js';
import { formatDeviceNumber, mountOf, readMounts, type Mount } from '../lib/topology/mounts.js';
import { listFolder, readFlag, readText, resolveLink } from '../lib/topology/sysfs.js';

const SECTOR_BYTES = 512; // the unit of sysfs, whatever the device's own

/** Undefined where the kernel does not say. */
export interface Storage {
  /** The whole disk, e.g. `nvme0n1`. */
  readonly device: string | undefined;
  readonly fileSystem: string | undefined;
  readonly scheduler: string | undefined;
  readonly rotational: boolean | undefined;
}

/** Describes what a file is stored on, or a block device itself. */
export function describeStorage(target: string): Storage {
  const stat = fs.statSync(target);
  const mount = stat.isBlockDevice()
    ? undefined
    : mountOf(readMounts(), fs.realpathSync(target), formatDeviceNumber(stat.dev));
  const number = stat.isBlockDevice()
    ? formatDeviceNumber(stat.rdev)
    : (sourceNumber(mount) ?? mount?.deviceNumber);
  const disk = number === undefined ? undefined : diskFolder(number);
  const queue = disk === undefined ? undefined : path.join(disk, 'queue');
  return {
    device: disk && path.basename(disk),
    fileSystem: mount?.fileSystem,
    scheduler:
      queue === undefined ? undefined : activeScheduler(readText(path.join(queue, 'scheduler'))),
    rotational: queue === undefined ? undefined : readFlag(path.join(queue, 'rotational')),
  };
}

/** Size of a block device, bytes; undefined if the kernel does not say. */
export function deviceBytes(stat: fs.Stats): number | undefined {
  const sectors = readText(`/sys/dev/block/${formatDeviceNumber(stat.rdev)}/size`);
  return sectors === undefined ? undefined : Number(sectors) * SECTOR_BYTES;
}

/** Who uses a block device or a part of it, so that writing to it would do more damage than was asked for. */
export function deviceUser(stat: fs.Stats): string | undefined {
  const number = formatDeviceNumber(stat.rdev);
  const folder = resolveLink(`/sys/dev/block/${number}`);
  const parts =
    folder === undefined ? [] : listFolder(folder).map((name) => path.join(folder, name));
  const folders = [folder, ...parts.filter((part) => fs.existsSync(path.join(part, 'partition')))];
  for (const each of folders) {
    if (each === undefined) continue;
    const name = path.basename(each);
    const [holder] = listFolder(path.join(each, 'holders'));
    if (holder !== undefined) return `${name} is part of ${holder}`;
    const own = readText(path.join(each, 'dev'));
    const mount = readMounts().find(
      (one) => one.deviceNumber === own || (own !== undefined && sourceNumber(one) === own),
    );
    if (mount !== undefined) return `${name} is mounted on ${mount.mountPoint}`;
    const swaps = readText('/proc/swaps') ?? '';
    if (swaps.split('\n').some((line) => line.startsWith(`/dev/${name} `))) {
      return `${name} is swap space`;
    }
  }
  return undefined;
}

/** The sysfs folder of the disk that a device is, or is a partition of. */
function diskFolder(number: string): string | undefined {
  const folder = resolveLink(`/sys/dev/block/${number}`);
  if (folder === undefined) return undefined;
  return fs.existsSync(path.join(folder, 'partition')) ? path.dirname(folder) : folder;
}

/** btrfs and others have a device number that is not their disk's: the mount's source has that. */
function sourceNumber(mount: Mount | undefined): string | undefined {
  if (!mount?.source.startsWith('/')) return undefined;
  const stat = fs.statSync(mount.source, { throwIfNoEntry: false });
  return stat?.isBlockDevice() ? formatDeviceNumber(stat.rdev) : undefined;
}
