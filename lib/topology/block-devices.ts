// Block devices, and what they lie on: partition on disk, device-mapper and md on their slaves, loop on the device under
// its file. A tree, walked with a limit in depth and in number: sysfs has no cycles, but what was mounted in its
// place may have.

import { existsSync } from 'node:fs';
import path from 'node:path';
import { readLimits, type DeviceLimits } from './device-limits.js';
import {
  listFolder,
  readNumber,
  readText,
  resolveLink,
  sysPath,
  type TopologyRoots,
} from './sysfs.js';

export type DeviceKind =
  'disk' | 'partition' | 'device-mapper' | 'md' | 'loop' | 'memory' | 'network';

export interface BlockDevice {
  /** As in /dev, e.g. `nvme0n1p2`. */
  readonly name: string;
  /** `major:minor` */
  readonly number: string;
  readonly kind: DeviceKind;
  /** What it is to people: a disk's model, a mapping's or array's name and kind, a loop's file. May be empty. */
  readonly label: string;
  readonly bytes: number | undefined;
  /** NUMA nodes that it, or what it lies on, is attached to; empty where the kernel names none. */
  readonly nodes: readonly number[];
  /** A partition's are its disk's. */
  readonly limits: DeviceLimits;
  /** Requests now with the device; undefined where the kernel does not say. */
  readonly inFlight: { readonly reads: number; readonly writes: number } | undefined;
  readonly below: readonly BlockDevice[];
  /** Why what it lies on is not, or not wholly, in `below`; empty if it is. */
  readonly remark: string;
}

/** Finds the devices under a file: storage.ts, which needs this file, so that it is handed over. */
export type FileResolver = (
  file: string,
  walk: Walk,
) => Promise<{ readonly devices: readonly BlockDevice[]; readonly why: string }>;

const SECTOR_BYTES = 512; // the unit of sysfs, whatever the device's own
const MAX_DEPTH = 16;
const MAX_DEVICES = 256;
const MAX_LABEL = 120;

/** One walk downwards from one path. */
export class Walk {
  readonly roots: TopologyRoots;
  readonly #resolveFile: FileResolver;
  readonly #path: string[] = [];
  #devices = 0;

  constructor(roots: TopologyRoots, resolveFile: FileResolver) {
    this.roots = roots;
    this.#resolveFile = resolveFile;
  }

  /** The device of that number, e.g. `259:1`; undefined if sysfs has none. */
  async device(number: string): Promise<BlockDevice | undefined> {
    const folder = resolveLink(sysPath(this.roots, 'dev', 'block', number));
    return folder === undefined ? undefined : this.#describe(folder);
  }

  /** The device of that name, e.g. `nvme0n1`; undefined if sysfs has none. */
  async named(name: string): Promise<BlockDevice | undefined> {
    const folder = resolveLink(sysPath(this.roots, 'class', 'block', name));
    return folder === undefined ? undefined : this.#describe(folder);
  }

  /** Devices under a file: a loop's, or an overlay's. */
  async file(file: string): ReturnType<FileResolver> {
    // Files count as a step, because mounts may form a cycle without any device.
    if (this.#path.length >= MAX_DEPTH) return { devices: [], why: 'nested too deeply' };
    this.#path.push(file);
    try {
      return await this.#resolveFile(file, this);
    } finally {
      this.#path.pop();
    }
  }

  async #describe(folder: string): Promise<BlockDevice | undefined> {
    const number = readText(path.join(folder, 'dev'));
    if (number === undefined || !/^\d+:\d+$/.test(number)) return undefined;
    const kind = kindOf(folder);
    const disk = kind === 'partition' ? path.dirname(folder) : folder;
    const { below, remark } = await this.#below(folder, kind, number);
    const own = nodeOf(this.roots, disk);
    const nodes = own === undefined ? below.flatMap((device) => device.nodes) : [own];
    const sectors = readNumber(path.join(folder, 'size'));
    return {
      name: path.basename(folder).replaceAll('!', '/'),
      number,
      kind,
      label: labelOf(folder, kind),
      bytes: sectors === undefined ? undefined : sectors * SECTOR_BYTES,
      nodes: [...new Set(nodes)].sort((a, b) => a - b),
      limits: readLimits(disk),
      inFlight: readInFlight(folder),
      below,
      remark,
    };
  }

  async #below(
    folder: string,
    kind: DeviceKind,
    number: string,
  ): Promise<Pick<BlockDevice, 'below' | 'remark'>> {
    if (this.#path.includes(number)) return { below: [], remark: 'lies on itself' };
    if (this.#path.length >= MAX_DEPTH) return { below: [], remark: 'nested too deeply' };
    this.#path.push(number);
    try {
      if (kind === 'partition') return await this.#all([path.dirname(folder)]);
      if (kind === 'loop') return await this.#belowLoop(folder);
      const slaves = path.join(folder, 'slaves');
      return await this.#all(listFolder(slaves).map((name) => path.join(slaves, name)));
    } finally {
      this.#path.pop();
    }
  }

  async #all(links: readonly string[]): Promise<Pick<BlockDevice, 'below' | 'remark'>> {
    const below: BlockDevice[] = [];
    const missing: string[] = [];
    for (const link of links) {
      if (++this.#devices > MAX_DEVICES) return { below, remark: 'too many devices' };
      const folder = resolveLink(link);
      const device = folder === undefined ? undefined : await this.#describe(folder);
      if (device === undefined) missing.push(path.basename(link));
      else below.push(device);
    }
    const remark = missing.length === 0 ? '' : `not to be found: ${missing.slice(0, 8).join(', ')}`;
    return { below, remark };
  }

  async #belowLoop(folder: string): Promise<Pick<BlockDevice, 'below' | 'remark'>> {
    const file = readText(path.join(folder, 'loop', 'backing_file'));
    if (file === undefined) return { below: [], remark: 'has no file' };
    if (file.endsWith(' (deleted)')) return { below: [], remark: 'its file was deleted' };
    const { devices, why } = await this.file(file);
    return { below: devices, remark: why };
  }
}

function kindOf(folder: string): DeviceKind {
  const has = (name: string) => existsSync(path.join(folder, name));
  const name = path.basename(folder);
  if (has('partition')) return 'partition';
  if (has('dm')) return 'device-mapper';
  if (has('md')) return 'md';
  if (/^loop\d/.test(name)) return 'loop';
  if (/^(ram|zram|pmem|brd)\d/.test(name)) return 'memory';
  if (/^(nbd|rbd|drbd|rnbd)\d/.test(name)) return 'network';
  return 'disk';
}

function labelOf(folder: string, kind: DeviceKind): string {
  const text = (...parts: readonly string[]) => readText(path.join(folder, ...parts)) ?? '';
  const parts: Readonly<Partial<Record<DeviceKind, readonly string[]>>> = {
    // CRYPT-LUKS2-..., LVM-..., mpath-...: who made the mapping.
    'device-mapper': [text('dm', 'name'), /^[A-Za-z]+/.exec(text('dm', 'uuid'))?.[0] ?? ''],
    md: [text('md', 'level')],
    loop: [text('loop', 'backing_file')],
    disk: [text('device', 'model')],
  };
  const label = (parts[kind] ?? []).filter((part) => part !== '').join(', ');
  return label.slice(0, MAX_LABEL);
}

function readInFlight(folder: string): BlockDevice['inFlight'] {
  const match = /^(\d+)\s+(\d+)$/.exec(readText(path.join(folder, 'inflight')) ?? '');
  return match === null ? undefined : { reads: Number(match[1]), writes: Number(match[2]) };
}

/** The node of the hardware behind a disk, the nearest that says. */
function nodeOf(roots: TopologyRoots, disk: string): number | undefined {
  const device = resolveLink(path.join(disk, 'device'));
  if (device === undefined) return undefined;
  const own = nodeAbove(roots, device);
  if (own !== undefined) return own;
  // With NVMe multipath (the default), a disk belongs to a subsystem, which has a link to each of its controllers.
  const controllers = listFolder(device)
    .filter((name) => /^nvme\d+$/.test(name))
    .slice(0, MAX_DEPTH)
    .map((name) => resolveLink(path.join(device, name)));
  const nodes = controllers.map((each) =>
    each === undefined ? undefined : nodeAbove(roots, each),
  );
  return nodes.every((node) => node === nodes[0]) ? nodes[0] : undefined;
}

function nodeAbove(roots: TopologyRoots, folder: string): number | undefined {
  const top = resolveLink(sysPath(roots)) ?? '/';
  let at = folder;
  for (let depth = 0; depth < MAX_DEPTH && at.startsWith(top) && at !== top; depth++) {
    // -1 where the firmware says nothing.
    const node = readNumber(path.join(at, 'numa_node'));
    if (node !== undefined) return node;
    at = path.dirname(at);
  }
  return undefined;
}
