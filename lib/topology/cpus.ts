// Which CPUs there are, on which NUMA nodes, and which of them this process may use: as much as placing queues takes.
// machine.ts says more.

import { intersectCpus, parseCpuList, tryParseCpuList } from './cpu-list.js';
import { listFolder, procPath, readText, sysPath, type TopologyRoots } from './sysfs.js';

export { parseCpuList, type TopologyRoots };

export interface CpuTopology {
  /** NUMA nodes that have CPUs, ascending; one node 0 where the kernel knows none. */
  readonly nodes: readonly { readonly node: number; readonly cpus: readonly number[] }[];
  /** CPUs that the process's affinity and cpuset allow; `undefined` where the kernel would not say. */
  readonly allowed: readonly number[] | undefined;
}

/** More nodes than the largest kernel configuration has. */
const MAX_NODES = 1024;

/** A line of this process's status file. */
export function readStatus(roots: TopologyRoots, field: string): string | undefined {
  const status = readText(procPath(roots, 'self', 'status')) ?? '';
  const line = status.split('\n').find((each) => each.startsWith(`${field}:`));
  return line?.slice(field.length + 1).trim();
}

/** CPUs that the process's affinity allows, which never exceeds its cpuset. */
export function readAffinity(roots: TopologyRoots): readonly number[] | undefined {
  return tryParseCpuList(readStatus(roots, 'Cpus_allowed_list'));
}

/** Every NUMA node's folder, ascending; none where the kernel knows no nodes. */
export function listNodes(
  roots: TopologyRoots,
): readonly { readonly node: number; readonly folder: string }[] {
  const folder = sysPath(roots, 'devices', 'system', 'node');
  return listFolder(folder)
    .flatMap((name) => {
      const match = /^node(\d{1,4})$/.exec(name);
      return match === null ? [] : [{ node: Number(match[1]), folder: `${folder}/${name}` }];
    })
    .sort((a, b) => a.node - b.node)
    .slice(0, MAX_NODES);
}

// eslint-disable-next-line @typescript-eslint/require-await -- a promise, so that its callers need not know how it reads
export async function readCpuTopology(roots: TopologyRoots = {}): Promise<CpuTopology> {
  const allowed = readAffinity(roots);
  const nodes = listNodes(roots)
    .map(({ node, folder }) => ({
      node,
      cpus: tryParseCpuList(readText(`${folder}/cpulist`)) ?? [],
    }))
    .filter(({ cpus }) => cpus.length > 0);
  // A kernel without NUMA has no node folder: then all there is lies together.
  return { nodes: nodes.length > 0 ? nodes : [{ node: 0, cpus: [...(allowed ?? [])] }], allowed };
}

/**
 * The CPU lists of `queues` queues, spread over the nodes in turn, each bound to those CPUs of its node that the process may
 * use. An empty list binds nothing. Never to single CPUs: two processes that both chose so would choose the same.
 */
export function spreadOverNodes(
  topology: CpuTopology,
  queues: number,
): { readonly node: number | undefined; readonly cpus: readonly number[] }[] {
  const { allowed } = topology;
  const usable = topology.nodes
    .map(({ node, cpus }) => ({
      node,
      cpus: allowed === undefined ? cpus : intersectCpus(cpus, allowed),
    }))
    .filter(({ cpus }) => cpus.length > 0);
  return Array.from(
    { length: queues },
    (_, queue) => usable[queue % usable.length] ?? { node: undefined, cpus: [] },
  );
}
