// Shows where queues go, on machines of all shapes, and which queues a file prefers.

import { describe, expect, it, vi } from 'vitest';
import { formatCpuList, parseCpuList } from '../../dist/lib/topology/cpu-list.js';
import { readCpuTopology } from '../../dist/lib/topology/cpus.js';
import { DeviceNodes } from '../../dist/lib/topology/device-node.js';
import {
  nodesInUse,
  placeQueues,
  queuesByNode,
  type Affinity,
} from '../../dist/lib/topology/placement.js';
import type { StorageRoots } from '../../dist/lib/topology/storage.js';
import { buildMachine, type MachineDescription } from './fixtures/build.js';
import {
  container,
  CRYPT_BELOW_LVM,
  CXL,
  EIGHT_NODES,
  FOUR_NODES,
  HALF_OFFLINE,
  ISOLATED,
  ISOLATED_SOCKET,
  LOOP,
  MIRROR,
  MULTIPATH,
  SMALL,
  SOCKET_OFFLINE,
  STRIPE_OF_ONE_NODE,
  TWO_SOCKETS,
  TWO_SOCKETS_WITHOUT_SMT,
} from './fixtures/machines.js';

// A machine is dozens of small files, on whatever disk there is.
vi.setConfig({ testTimeout: 30_000 });

const build = (machine: MachineDescription) => buildMachine({ ...machine, withoutCores: true });

async function place(machine: MachineDescription, affinity: Affinity, queues: number) {
  const topology = await readCpuTopology(build(machine));
  const placement = placeQueues(topology, affinity, queues);
  return { topology, placement };
}

/** `0: 0-3,8-11 | 1: 4-7`: the node and CPUs of each queue; `-` where there is none, or any. */
async function describePlacement(
  machine: MachineDescription,
  affinity: Affinity,
  queues: number,
): Promise<string> {
  const { placement } = await place(machine, affinity, queues);
  return placement
    .map(({ node, cpus }) => `${node ?? '-'}: ${formatCpuList(cpus) || '-'}`)
    .join(' | ');
}

describe("affinity 'auto': over the nodes in turn, each to all its CPUs that may be used", () => {
  it.each([
    // machine                      queues  node and CPUs of each
    ['one node', SMALL, 1, '0: 0-1'],
    ['one node', SMALL, 3, '0: 0-1 | 0: 0-1 | 0: 0-1'],
    ['two, SMT', TWO_SOCKETS, 1, '0: 0-3,8-11'],
    ['two, SMT', TWO_SOCKETS, 3, '0: 0-3,8-11 | 1: 4-7,12-15 | 0: 0-3,8-11'],
    ['two, no SMT', TWO_SOCKETS_WITHOUT_SMT, 2, '0: 0-3 | 1: 4-7'],
    ['four', FOUR_NODES, 5, '0: 0-3 | 1: 4-7 | 2: 8-11 | 3: 12-15 | 0: 0-3'],
    [
      'eight, one without memory, two more without CPUs',
      EIGHT_NODES,
      9,
      '0: 0-1 | 1: 2-3 | 2: 4-5 | 3: 6-7 | 4: 8-9 | 5: 10-11 | 6: 12-13 | 7: 14-15 | 0: 0-1',
    ],
    ['a container of three CPUs, v1', container(1), 3, '0: 2-3 | 1: 4 | 0: 2-3'],
    ['a container of three CPUs, v2', container(2), 3, '0: 2-3 | 1: 4 | 0: 2-3'],
    ['of them, all on one node', { ...container(2), allowed: '1-3' }, 2, '0: 1-3 | 0: 1-3'],
    ['CPUs offline, two isolated', HALF_OFFLINE, 2, '0: 0-2 | 1: 4-5'],
    ['a node offline', SOCKET_OFFLINE, 2, '0: 0-3,8-11 | 0: 0-3,8-11'],
    ['isolated CPUs', ISOLATED, 2, '0: 0-2,8-10 | 1: 4-6,12-14'],
    ['a node of isolated CPUs', ISOLATED_SOCKET, 2, bothOn('0: 0-3,8-11')],
    ['nothing but isolated CPUs allowed', { ...ISOLATED, allowed: '7,15' }, 2, bothOn('1: 7,15')],
    ['a node of memory, one without', CXL, 3, '0: 0-3 | 1: 4-7 | 0: 0-3'],
    ['no nodes known', { allowed: '0-1' }, 1, '0: 0-1'],
    ['nothing known', {}, 1, '-: -'],
    ['an allowed CPU that no node has', { ...TWO_SOCKETS, allowed: '99' }, 1, '-: -'],
  ] as const)('%s (case %#)', async (_, machine, queues, expected) => {
    expect(await describePlacement(machine, 'auto', queues)).toBe(expected);
  });
});

function bothOn(queue: string): string {
  return `${queue} | ${queue}`;
}

describe('affinity as lists: bound to what was asked, on the node that has all that can be had', () => {
  it.each([
    ['one node each', TWO_SOCKETS, '0-1 4', '0: 0-1 | 1: 4'],
    ['over two nodes', TWO_SOCKETS, '3-4', '-: 3-4'],
    [
      'over two nodes, of which one is forbidden',
      { ...TWO_SOCKETS, allowed: '0-3' },
      '3-4',
      '0: 3-4',
    ],
    ['one of them offline', HALF_OFFLINE, '2-3', '0: 2-3'],
    ['isolated, since it was asked for', HALF_OFFLINE, '6', '1: 6'],
    ['none that can be had', HALF_OFFLINE, '3', '-: 3'],
    ['none, on one node: there is no other', SMALL, '7', '0: 7'],
    ['beside a node of memory alone', SOCKET_OFFLINE, '3', '0: 3'],
  ] as const)('%s', async (_, machine, lists, expected) => {
    const affinity = lists.split(' ').map(parseCpuList);
    expect(await describePlacement(machine, affinity, affinity.length)).toBe(expected);
  });
});

describe("affinity 'none': bound to nothing, on no node that is known", () => {
  it.each([
    ['two nodes', TWO_SOCKETS, '-: - | -: -'],
    ['one node: there is no other', SMALL, '0: - | 0: -'],
    ['one node with CPUs', SOCKET_OFFLINE, '0: - | 0: -'],
    ['nothing known', {}, '-: - | -: -'],
  ] as const)('%s', async (_, machine, expected) => {
    expect(await describePlacement(machine, 'none', 2)).toBe(expected);
  });
});

describe('nodes in use, for memory: node, where its memory is, share of the queues', () => {
  it.each([
    ['one node', SMALL, 'auto', 3, '0@0: 1'],
    ['one of two', TWO_SOCKETS, 'auto', 1, '0@0: 1'],
    ['two, unevenly', TWO_SOCKETS, 'auto', 3, '0@0: 0.67, 1@1: 0.33'],
    ['four of eight', EIGHT_NODES, 'auto', 4, '0@0: 0.25, 1@1: 0.25, 2@2: 0.25, 3@0: 0.25'],
    ['one without memory beside CXL', CXL, 'auto', 2, '0@0: 0.5, 1@0: 0.5'],
    ['CPUs of two nodes, memory of one', container(1), 'auto', 2, '0@0: 0.5, 1@0: 0.5'],
    ['left to the kernel', TWO_SOCKETS, 'none', 2, ''],
    ['queues over both nodes have none', TWO_SOCKETS, [[3, 4], [5]], 2, '1@1: 1'],
    ['no nodes known', { allowed: '0-1' }, 'auto', 2, '0@any: 1'],
  ] as const)('%s', async (_, machine, affinity, queues, expected) => {
    const { topology, placement } = await place(machine, affinity, queues);
    const used = nodesInUse(placement, topology).map(
      ({ node, memoryNode, share }) =>
        `${node}@${memoryNode ?? 'any'}: ${Math.round(share * 100) / 100}`,
    );
    expect(used.join(', ')).toBe(expected);
  });
});

describe('which queues a file prefers', () => {
  it.each([
    // what it lies on              file         machine    queues  device's node  preferred
    ['a virtual disk', '/srv/file', SMALL, 2, undefined, 'any'],
    ['NVMe', '/srv/nvme1', TWO_SOCKETS, 4, 1, '1 3'],
    ['NVMe, with one queue in all', '/srv/nvme1', TWO_SOCKETS, 1, 1, 'any'],
    ['LVM on dm-crypt on a partition', '/srv/file', CRYPT_BELOW_LVM, 4, 1, '1 3'],
    ['a mirror over two nodes', '/dev/md127', MIRROR, 4, undefined, 'any'],
    ['a stripe within one node', '/dev/md0', STRIPE_OF_ONE_NODE, 4, 1, '1 3'],
    ['a loop device on the mirror', '/dev/loop0', LOOP, 2, undefined, 'any'],
    ['NVMe with several paths', '/dev/nvme0n1', MULTIPATH, 2, 1, '1'],
    ["a container's volume, v1", '/data/blob', container(1), 3, 0, '0 2'],
    ["a container's volume, v2", '/data/blob', container(2), 3, 0, '0 2'],
    ["a container's own files", '/app', container(2), 3, undefined, 'any'],
    ['a node all of whose CPUs are isolated', '/srv/nvme1', ISOLATED_SOCKET, 2, 1, 'any'],
    ['a path that is not there', '/no/such', TWO_SOCKETS, 2, undefined, 'any'],
  ] as const)('%s', async (_, file, machine, queues, node, preferred) => {
    const roots = build(machine);
    const placement = placeQueues(await readCpuTopology(roots), 'auto', queues);
    const found = await new DeviceNodes(roots).nodeOf(file);
    expect(found).toBe(node);
    const byNode = queuesByNode(placement.map((queue) => queue.node));
    const near = found === undefined ? undefined : byNode.get(found);
    expect(near?.join(' ') ?? 'any').toBe(preferred);
  });

  it('of devices of which one says nothing, no node is told', async () => {
    const [known, other] = MIRROR.disks!;
    const disks = [known!, { ...other!, node: -1 }, MIRROR.disks![2]!];
    const roots = build({ ...MIRROR, disks });
    expect(await new DeviceNodes(roots).nodeOf('/dev/md127')).toBeUndefined();
  });

  it('of devices of which one is missing, no node is told', async () => {
    const disks = [MIRROR.disks![0]!, MIRROR.disks![2]!];
    const links = { 'sys/devices/virtual/block/md127/slaves/nvme1n1': 'sys/block/gone' };
    const array = { ...disks[1]!, slaves: ['nvme0n1'] };
    const roots = build({ ...MIRROR, disks: [disks[0]!, array], links });
    expect(await new DeviceNodes(roots).nodeOf('/dev/md127')).toBeUndefined();
  });

  it('many files of one device are looked up once', async () => {
    const roots = build(TWO_SOCKETS);
    let mountsRead = 0;
    const counted: StorageRoots = {
      ...roots,
      get proc() {
        mountsRead++;
        return roots.proc!;
      },
    };
    const nodes = new DeviceNodes(counted);
    expect(await nodes.nodeOf('/srv/nvme1')).toBe(1);
    const before = mountsRead;
    expect(before).toBeGreaterThan(0);
    expect(await nodes.nodeOf('/srv/nvme1')).toBe(1);
    expect(mountsRead).toBe(before);
    expect(await nodes.nodeOf('/srv/nvme0')).toBe(0);
  });
});
