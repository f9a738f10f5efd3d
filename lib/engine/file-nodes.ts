// The NUMA node of each file that is opened, where it matters: if the engine's queues are on several. It is a hint, so whatever goes
// wrong, or takes too long, is no node, and no open fails by it.

import path from 'node:path';
import { Interrupt, untilInterrupted } from '../interrupt.js';
import { DeviceNodes } from '../topology/device-node.js';
import { queuesByNode } from '../topology/placement.js';
import type { StorageRoots } from '../topology/storage.js';

/** What a file lies on may have to be asked of a device or a server that does not answer. */
const MAX_WAIT_MS = 1000;

export class FileNodes {
  readonly #devices: DeviceNodes;

  private constructor(devices: DeviceNodes) {
    this.#devices = devices;
  }

  /** `undefined` where it does not matter. */
  static forQueues(
    nodes: readonly (number | undefined)[],
    roots: StorageRoots,
  ): FileNodes | undefined {
    return queuesByNode(nodes).size > 0 ? new FileNodes(new DeviceNodes(roots)) : undefined;
  }

  /** Never rejects. */
  async nodeOf(file: string): Promise<number | undefined> {
    const limit = new Interrupt(undefined, MAX_WAIT_MS);
    const node = this.#devices.nodeOf(path.resolve(file));
    return untilInterrupted(node, limit).catch(() => undefined);
  }
}
