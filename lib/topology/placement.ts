// Where queues go: which NUMA node each belongs to, and the CPUs that its thread is bound to.
//
// Queues are spread over the nodes in turn, each bound to all CPUs of its node that it may use, and never to single ones: two
// processes that both chose so would choose the same. Pure functions of what cpus.ts has read.

import { exceptCpus, intersectCpus } from './cpu-list.js';
import type { CpuTopology } from './cpus.js';

/** Of an engine: spread over the nodes, left to the kernel, or a list of CPUs for each queue. */
export type Affinity = 'auto' | 'none' | readonly (readonly number[])[];

interface CpusOfNode {
  readonly node: number;
  readonly cpus: readonly number[];
}

export interface QueuePlacement {
  /** Undefined where its CPUs lie on several, or nothing is known. */
  readonly node: number | undefined;
  /** To bind it to; empty: any. */
  readonly cpus: readonly number[];
}

export interface NodeInUse {
  readonly node: number;
  /** Where its queues' memory is near: the node itself, or the nearest that has some; undefined: anywhere. */
  readonly memoryNode: number | undefined;
  /** Of the queues that have a node, the part that has this one. All of them together are 1. */
  readonly share: number;
}

export function placeQueues(
  topology: CpuTopology,
  affinity: Affinity,
  queues: number,
): readonly QueuePlacement[] {
  const usable = nodesForQueues(topology);
  return Array.from({ length: queues }, (_, queue) => {
    if (affinity === 'none') return { node: onlyNode(topology), cpus: [] };
    if (affinity === 'auto') {
      return usable[queue % usable.length] ?? { node: onlyNode(topology), cpus: [] };
    }
    const cpus = affinity[queue] ?? [];
    return { node: nodeOfCpus(topology, cpus), cpus };
  });
}

/**
 * The nodes that 'auto' spreads queues over, each with those of its CPUs that the process may use. Isolated CPUs are somebody's who
 * wants them undisturbed, and are taken only if there are no others.
 */
export function nodesForQueues({
  nodes,
  allowed,
  isolated,
}: Pick<CpuTopology, 'allowed' | 'isolated'> & {
  readonly nodes: readonly CpusOfNode[];
}): readonly CpusOfNode[] {
  const usable = nodes
    .map(({ node, cpus }) => ({
      node,
      cpus: allowed === undefined ? cpus : intersectCpus(cpus, allowed),
    }))
    .filter(({ cpus }) => cpus.length > 0);
  const shared = usable
    .map(({ node, cpus }) => ({ node, cpus: exceptCpus(cpus, isolated) }))
    .filter(({ cpus }) => cpus.length > 0);
  return shared.length > 0 ? shared : usable;
}

/**
 * The node that has all of `cpus`. Those that are offline or forbidden do not count, as nothing runs there; if there are no others, a
 * thread runs where it likes.
 */
export function nodeOfCpus(topology: CpuTopology, cpus: readonly number[]): number | undefined {
  const { nodes, allowed } = topology;
  const permitted = allowed === undefined ? cpus : intersectCpus(cpus, allowed);
  const holders = nodes.filter((node) => intersectCpus(permitted, node.cpus).length > 0);
  return holders.length === 1 ? holders[0]!.node : onlyNode(topology);
}

/** That of a machine which has one with CPUs: a thread can be nowhere else. */
function onlyNode({ nodes }: CpuTopology): number | undefined {
  const [first] = nodes;
  return nodes.length === 1 && first!.cpus.length > 0 ? first!.node : undefined;
}

/** The nodes that queues were placed on, ascending: each wants memory near it. Empty where no queue has a node. */
export function nodesInUse(
  placement: readonly Pick<QueuePlacement, 'node'>[],
  topology: CpuTopology,
): readonly NodeInUse[] {
  const placed = placement.filter(({ node }) => node !== undefined);
  return topology.nodes
    .map(({ node, memoryNode }) => ({
      node,
      memoryNode,
      share: placed.filter((queue) => queue.node === node).length / placed.length,
    }))
    .filter(({ share }) => share > 0);
}

/**
 * The queues of each node, for files whose device is on it. Empty where all queues are on one node, or on none that is known: then
 * no queue is nearer than another.
 */
export function queuesByNode(
  nodes: readonly (number | undefined)[],
): ReadonlyMap<number, readonly number[]> {
  const queues = new Map<number, number[]>();
  for (const [queue, node] of nodes.entries()) {
    if (node === undefined) continue;
    const others = queues.get(node);
    if (others === undefined) queues.set(node, [queue]);
    else others.push(queue);
  }
  return queues.size > 1 ? queues : new Map();
}
