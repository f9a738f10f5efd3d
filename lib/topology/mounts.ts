// What is mounted where, as this process sees it: /proc/self/mountinfo (proc_pid_mountinfo(5)).

import path from 'node:path';
import { procPath, readText, type TopologyRoots } from './sysfs.js';

export interface Mount {
  /** `major:minor`; the major is 0 where a file system has no device of its own. */
  readonly deviceNumber: string;
  readonly mountPoint: string;
  readonly fileSystem: string;
  /** A device, or whatever the file system calls what it is made from. */
  readonly source: string;
  /** The file system's own options, such as overlay's folders. */
  readonly options: readonly string[];
}

/** More than fs.mount-max allows by default; hosts of containers have thousands, overlay's options a kilobyte each. */
const MAX_MOUNTS = 131_072;
const MAX_BYTES = 256 * 2 ** 20;

export function readMounts(roots: TopologyRoots = {}): readonly Mount[] {
  const text = readText(procPath(roots, 'self', 'mountinfo'), MAX_BYTES) ?? '';
  return text.split('\n', MAX_MOUNTS).flatMap((line) => parseMount(line) ?? []);
}

function parseMount(line: string): Mount | undefined {
  // Optional fields end with a dash; blanks inside of fields are escaped.
  const end = line.indexOf(' - ');
  if (end < 0) return undefined;
  const [, , deviceNumber, , mountPoint] = line.slice(0, end).split(' ');
  const [fileSystem, source, options = ''] = line.slice(end + 3).split(' ');
  if (deviceNumber === undefined || !/^\d+:\d+$/.test(deviceNumber)) return undefined;
  if (mountPoint === undefined || fileSystem === undefined || source === undefined) {
    return undefined;
  }
  return {
    deviceNumber,
    mountPoint: unescape(mountPoint),
    fileSystem,
    source: unescape(source),
    options: options.split(',').map(unescape),
  };
}

/** The kernel writes blanks and the like as octal: `\040`. */
function unescape(text: string): string {
  return text.replaceAll(/\\([0-3][0-7]{2})/g, (_, octal: string) =>
    String.fromCharCode(parseInt(octal, 8)),
  );
}

/**
 * The mount that a file, whose path has no links in it, is on. The innermost with the file's own device number, so that a
 * mount that another one covers is not taken for it; the innermost of all on btrfs, where each subvolume has a
 * number of its own that mountinfo does not tell. Of several on one point, the last covers the others.
 */
export function mountOf(
  mounts: readonly Mount[],
  file: string,
  deviceNumber: string,
): Mount | undefined {
  const around = mounts.filter(({ mountPoint }) => {
    const relative = path.relative(mountPoint, file);
    return relative !== '..' && !relative.startsWith('../');
  });
  const same = around.filter((mount) => mount.deviceNumber === deviceNumber);
  return (same.length > 0 ? same : around).reduce<Mount | undefined>(
    (best, one) => (one.mountPoint.length >= (best?.mountPoint.length ?? 0) ? one : best),
    undefined,
  );
}

/** The kernel's `dev_t`, as Node passes it on, in sysfs's notation. */
export function formatDeviceNumber(device: number | bigint): string {
  const bits = BigInt(device);
  const major = ((bits >> 8n) & 0xfffn) | ((bits >> 32n) & 0xfffff000n);
  const minor = (bits & 0xffn) | ((bits >> 12n) & 0xffffff00n);
  return `${major}:${minor}`;
}
