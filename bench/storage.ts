// What lies below a path, as the kernel tells in /proc and /sys: file system, device, scheduler, whether it turns, and
// whether somebody is using it.

import fs from 'node:fs';
import path from 'node:path';

const SECTOR_BYTES = 512; // the unit of sysfs, whatever the device's own

/** Undefined where the kernel does not say. */
export interface Storage {
  /** The whole disk, e.g. `nvme0n1`. */
  readonly device: string | undefined;
  readonly fileSystem: string | undefined;
  readonly scheduler: string | undefined;
  readonly rotational: boolean | undefined;
}

interface Mount {
  /** `major:minor`; the major is 0 where a file system has no device of its own. */
  readonly deviceNumber: string;
  readonly mountPoint: string;
  readonly fileSystem: string;
  readonly source: string;
}

/** Describes what a file is stored on, or a block device itself. */
export function describeStorage(target: string): Storage {
  const stat = fs.statSync(target);
  const mount = stat.isBlockDevice() ? undefined : mountOf(fs.realpathSync(target));
  const number = stat.isBlockDevice()
    ? deviceNumber(stat.rdev)
    : (sourceNumber(mount) ?? mount?.deviceNumber);
  const disk = number === undefined ? undefined : diskFolder(number);
  const queue = disk === undefined ? undefined : path.join(disk, 'queue');
  const rotational = queue && readText(path.join(queue, 'rotational'));
  return {
    device: disk && path.basename(disk),
    fileSystem: mount?.fileSystem,
    scheduler: queue && chosen(readText(path.join(queue, 'scheduler'))),
    rotational: rotational === undefined ? undefined : rotational === '1',
  };
}

/** Size of a block device, bytes; undefined if the kernel does not say. */
export function deviceBytes(stat: fs.Stats): number | undefined {
  const sectors = readText(`/sys/dev/block/${deviceNumber(stat.rdev)}/size`);
  return sectors === undefined ? undefined : Number(sectors) * SECTOR_BYTES;
}

/** Who uses a block device or a part of it, so that writing to it would do more damage than was asked for. */
export function deviceUser(stat: fs.Stats): string | undefined {
  const number = deviceNumber(stat.rdev);
  const folder = resolved(`/sys/dev/block/${number}`);
  const parts = folder === undefined ? [] : entries(folder).map((name) => path.join(folder, name));
  const folders = [folder, ...parts.filter((part) => fs.existsSync(path.join(part, 'partition')))];
  for (const each of folders) {
    if (each === undefined) continue;
    const name = path.basename(each);
    const [holder] = entries(path.join(each, 'holders'));
    if (holder !== undefined) return `${name} is part of ${holder}`;
    const own = readText(path.join(each, 'dev'));
    const mount = mounts().find(
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

/** The kernel's `dev_t`, as Node passes it on, in sysfs's notation. */
function deviceNumber(device: number): string {
  const bits = BigInt(device);
  const major = ((bits >> 8n) & 0xfffn) | ((bits >> 32n) & 0xfffff000n);
  const minor = (bits & 0xffn) | ((bits >> 12n) & 0xffffff00n);
  return `${major}:${minor}`;
}

/** The sysfs folder of the disk that a device is, or is a partition of. */
function diskFolder(number: string): string | undefined {
  const folder = resolved(`/sys/dev/block/${number}`);
  if (folder === undefined) return undefined;
  return fs.existsSync(path.join(folder, 'partition')) ? path.dirname(folder) : folder;
}

/** btrfs and others have a device number that is not their disk's: the mount's source has that. */
function sourceNumber(mount: Mount | undefined): string | undefined {
  if (!mount?.source.startsWith('/')) return undefined;
  const stat = fs.statSync(mount.source, { throwIfNoEntry: false });
  return stat?.isBlockDevice() ? deviceNumber(stat.rdev) : undefined;
}

function mounts(): readonly Mount[] {
  const lines = (readText('/proc/self/mountinfo') ?? '').split('\n');
  return lines.flatMap((line) => {
    const [place = '', what = ''] = line.split(' - ');
    const [, , number, , mountPoint] = place.split(' ');
    const [fileSystem, source] = what.split(' ');
    if (number === undefined || mountPoint === undefined) return [];
    if (fileSystem === undefined || source === undefined) return [];
    return [{ deviceNumber: number, mountPoint: unescape(mountPoint), fileSystem, source }];
  });
}

function mountOf(file: string): Mount | undefined {
  const around = mounts().filter(({ mountPoint }) => {
    const relative = path.relative(mountPoint, file);
    return relative !== '..' && !relative.startsWith('../');
  });
  // The innermost; of several on one point, the last covers the others.
  return around.reduce<Mount | undefined>(
    (best, one) => (one.mountPoint.length >= (best?.mountPoint.length ?? 0) ? one : best),
    undefined,
  );
}

/** The kernel writes blanks and the like as octal: `\040`. */
function unescape(text: string): string {
  return text.replaceAll(/\\(\d{3})/g, (_, octal: string) =>
    String.fromCharCode(parseInt(octal, 8)),
  );
}

/** `none [mq-deadline] kyber`: the one in brackets. */
function chosen(text: string | undefined): string | undefined {
  return /\[(.+)\]/.exec(text ?? '')?.[1] ?? text;
}

/** Undefined if it cannot be read. */
export function readText(file: string): string | undefined {
  try {
    return fs.readFileSync(file, 'utf8').trim();
  } catch {
    return undefined;
  }
}

function entries(folder: string): readonly string[] {
  try {
    return fs.readdirSync(folder);
  } catch {
    return [];
  }
}

function resolved(link: string): string | undefined {
  try {
    return fs.realpathSync(link);
  } catch {
    return undefined;
  }
}
