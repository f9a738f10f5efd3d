// What a path lies on, as a tree from the top down, and the limits of its topmost device.

import { columns } from '../../bench/columns.js';
import type { BlockDevice } from '../topology/block-devices.js';
import type { DeviceLimits } from '../topology/device-limits.js';
import type { Storage } from '../topology/storage.js';
import { formatBytes } from '../probe/report.js';
import { printable } from './text.js';

const MAX_LINES = 256;

export function formatStorage({ path, kind, mount, devices, why }: Storage): string {
  const where =
    mount === undefined ? '' : ` on ${mount.fileSystem}, mounted on ${mount.mountPoint}`;
  const tree = devices.flatMap((device) => formatTree(device, ''));
  return [
    printable(`${path}: ${kind}${where}`),
    ...(devices.length === 0 ? [`└─ no device: ${printable(why)}`] : tree.slice(0, MAX_LINES)),
    ...devices.slice(0, 1).flatMap(({ name, limits }) => formatLimits(printable(name), limits)),
    '',
  ].join('\n');
}

function formatTree(device: BlockDevice, indent: string): readonly string[] {
  const remark = device.remark === '' ? [] : [`${indent}   └─ (${printable(device.remark)})`];
  return [
    `${indent}└─ ${describeDevice(device)}`,
    ...device.below.flatMap((below) => formatTree(below, `${indent}   `)),
    ...remark,
  ];
}

/** `nvme0n1  disk, 1 TiB, ACME Fast 1T, node 0, scheduler none` */
export function describeDevice(device: BlockDevice): string {
  const { name, kind, bytes, label, nodes, limits, inFlight } = device;
  const requests = (inFlight?.reads ?? 0) + (inFlight?.writes ?? 0);
  const facts = [
    kind,
    bytes === undefined ? '' : formatBytes(bytes),
    label,
    nodes.length === 0 ? '' : `node ${nodes.join(' and ')}`,
    limits.rotational === true ? 'rotational' : '',
    limits.scheduler === undefined || kind === 'partition' ? '' : `scheduler ${limits.scheduler}`,
    requests === 0 ? '' : `${requests} in flight`,
  ];
  return printable(`${name}  ${facts.filter((fact) => fact !== '').join(', ')}`);
}

function formatLimits(name: string, limits: DeviceLimits): readonly string[] {
  const bytes = (value: number | undefined) =>
    value === undefined ? undefined : formatBytes(value);
  const yesNo = (value: boolean | undefined) =>
    value === undefined ? undefined : value ? 'yes' : 'no';
  const rows: (readonly [string, string | number | undefined])[] = [
    ['logical block', bytes(limits.logicalBlockBytes)],
    ['physical block', bytes(limits.physicalBlockBytes)],
    ['memory alignment', bytes(limits.dmaAlignmentBytes)],
    ['largest request', bytes(limits.maxTransferBytes)],
    ['largest that the hardware takes', bytes(limits.maxHardwareTransferBytes)],
    ['pieces of memory in a request', limits.maxSegments],
    ['preferred size', bytes(limits.optimalIoBytes)],
    ['rotational', yesNo(limits.rotational)],
    ['write cache', limits.writeCache],
    ['scheduler', limits.scheduler],
    ['zoned', limits.zoned],
    ['read-ahead', bytes(limits.readAheadBytes)],
    ['requests in the queue', limits.requests],
  ];
  const known = rows.flatMap(([label, value]) =>
    value === undefined ? [] : [[`  ${label}`, `${value}`]],
  );
  return known.length === 0 ? [] : ['', `limits of ${name}`, columns(known)];
}
