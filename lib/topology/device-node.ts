// The NUMA node of the devices under a path, for files whose queues should be near them. No more than a hint: whatever is unknown,
// odd or fails is no node, and never an error.

import type { BlockDevice } from './block-devices.js';
import { lookUpHere, readStorage, type StorageRoots } from './storage.js';

/** How long an answer is believed: a device may be another one by then. */
const FRESH_MS = 10_000;
const MAX_KNOWN = 64;

/** The one node that everything under `devices` is attached to, if there is one. */
function nodeOfDevices(devices: readonly BlockDevice[]): number | undefined {
  const nodes = devices.map(nodeOfDevice);
  return nodes.every((node) => node === nodes[0]) ? nodes[0] : undefined;
}

function nodeOfDevice({ nodes, below, remark }: BlockDevice): number | undefined {
  if (remark !== '') return undefined; // not all that it lies on is known
  if (below.length > 0) return nodeOfDevices(below);
  return nodes.length === 1 ? nodes[0] : undefined;
}

/** Asks for the nodes of many files, mostly on few devices. */
export class DeviceNodes {
  readonly #roots: StorageRoots;
  /** By device number of the file system or device. */
  readonly #known = new Map<string, { readonly node: number | undefined; readonly atMs: number }>();

  constructor(roots: StorageRoots) {
    this.#roots = roots;
  }

  async nodeOf(file: string): Promise<number | undefined> {
    try {
      const { deviceNumber } = await (this.#roots.lookUp ?? lookUpHere)(file);
      const known = this.#known.get(deviceNumber);
      if (known !== undefined && performance.now() - known.atMs < FRESH_MS) return known.node;
      const node = nodeOfDevices((await readStorage(file, this.#roots)).devices);
      if (this.#known.size >= MAX_KNOWN) this.#known.clear();
      this.#known.set(deviceNumber, { node, atMs: performance.now() });
      return node;
    } catch {
      return undefined;
    }
  }
}
