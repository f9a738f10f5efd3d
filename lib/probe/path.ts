// What a path allows: whether it can be read, what lies under it, direct I/O, and priorities. Opened for reading, once.

import type { NativeFailure } from '../errors.js';
import type { NativeProbe } from '../native.js';
import type { BlockDevice } from '../topology/block-devices.js';
import type { Storage } from '../topology/storage.js';
import { describeFailure } from '../errors.js';
import { feature, formatBytes, type ProbeFeature } from './report.js';

/** Undefined: no path was given. A string: why the path cannot be looked at. */
export type StorageOutcome = Storage | string | undefined;

export function judgePath(native: NativeProbe, storage: StorageOutcome): readonly ProbeFeature[] {
  if (storage === undefined) return [judgePriority(native.ioPriority, undefined)];
  if (typeof storage === 'string') {
    return [
      feature('path', 'no', { why: storage, needed: true }),
      judgePriority(native.ioPriority, undefined),
    ];
  }
  return [
    judgeReadable(native, storage),
    judgeDevice(storage),
    judgeDirect(native, storage),
    judgePriority(native.ioPriority, storage),
  ];
}

function judgeReadable({ file }: NativeProbe, { kind, mount }: Storage): ProbeFeature {
  const where =
    mount === undefined ? '' : ` on ${mount.fileSystem}, mounted on ${mount.mountPoint}`;
  const detail = `${kind}${where}`;
  if (kind === 'other') {
    const why = 'neither a regular file nor a block device: it was not opened';
    return feature('path', 'no', { why, needed: true });
  }
  if (kind !== 'folder' && file !== undefined && file.errno !== 0) {
    return feature('path', 'no', { detail, why: describeFailure(file), needed: true });
  }
  return feature('path', 'yes', { detail, needed: true });
}

function judgeDevice({ devices, why }: Storage): ProbeFeature {
  if (devices.length === 0) {
    return feature('device', 'no', { why });
  }
  const layers = devices.map(describeLayers).join(', ');
  const { logicalBlockBytes, maxTransferBytes } = devices[0]!.limits;
  const nodes = [...new Set(devices.flatMap((device) => device.nodes))];
  const facts = [
    layers,
    nodes.length === 0 ? '' : `node ${nodes.join(', ')}`,
    logicalBlockBytes === undefined ? '' : `blocks of ${formatBytes(logicalBlockBytes)}`,
    maxTransferBytes === undefined ? '' : `requests up to ${formatBytes(maxTransferBytes)}`,
  ];
  return feature('device', 'yes', { detail: facts.filter((fact) => fact !== '').join('; ') });
}

/** `dm-0 on nvme0n1p2 on nvme0n1` */
function describeLayers({ name, below }: BlockDevice): string {
  if (below.length === 0) return name;
  const layers = below.slice(0, 8).map(describeLayers);
  return `${name} on ${layers.length === 1 ? layers[0] : `(${layers.join(', ')})`}`;
}

function judgeDirect({ file }: NativeProbe, { kind, devices }: Storage): ProbeFeature {
  const name = 'o_direct';
  const logical = devices[0]?.limits.logicalBlockBytes;
  if (kind === 'folder') {
    const device = logical === undefined ? '' : `; its device's blocks are ${logical} bytes`;
    return feature(name, 'no', { why: `a folder is not read: name a file in it${device}` });
  }
  if (file === undefined) return feature(name, 'no', { why: 'not tried' });
  if (file.errno !== 0) return feature(name, 'no', { why: describeFailure(file) });
  if (!file.direct) {
    return feature(name, 'no', {
      why: file.remarks,
      remedy: 'a file system with direct I/O (ext4, xfs, btrfs), or the block device itself',
    });
  }
  return feature(name, 'yes', {
    detail: `offsets and lengths in multiples of ${file.alignment} bytes`,
  });
}

const HONOURED = ['bfq', 'mq-deadline'];

function judgePriority(ioPriority: NativeFailure, storage: Storage | undefined): ProbeFeature {
  const name = 'io-priority';
  if (ioPriority.errno !== 0) {
    return feature(name, 'no', {
      why: describeFailure(ioPriority),
      remedy: 'a seccomp profile that allows ioprio_set',
    });
  }
  if (storage === undefined) {
    const detail =
      'can be set; bfq and mq-deadline honour it: name a path to see what its device has';
    return feature(name, 'yes', { detail });
  }
  const disks = [...new Map(storage.devices.flatMap(leaves).map((disk) => [disk.name, disk]))];
  const told = disks.map(([disk, { limits }]) => ({ disk, scheduler: limits.scheduler ?? 'none' }));
  const deaf = told.filter(({ scheduler }) => !HONOURED.includes(scheduler));
  const detail = told.map(({ disk, scheduler }) => `${disk}: ${scheduler}`).join(', ');
  if (told.length > 0 && deaf.length === 0) return feature(name, 'yes', { detail });
  const finding = {
    detail,
    why:
      told.length === 0
        ? 'there is no device whose scheduler could honour it'
        : `the scheduler of ${deaf.map(({ disk }) => disk).join(', ')} pays no heed to it`,
    remedy: deaf
      .slice(0, 8)
      .map(
        ({ disk }) => `echo mq-deadline > /sys/block/${disk.replaceAll('/', '!')}/queue/scheduler`,
      )
      .join('; '),
  };
  if (told.length === 0) return feature(name, 'no', { why: finding.why });
  return feature(name, deaf.length < told.length ? 'degraded' : 'no', finding);
}

/** The disks at the bottom: nothing above them has a scheduler of its own. */
function leaves(device: BlockDevice): readonly BlockDevice[] {
  return device.below.length === 0 ? [device] : device.below.flatMap(leaves);
}
