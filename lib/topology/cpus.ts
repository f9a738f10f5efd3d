// Which CPUs there are, on which NUMA nodes, and which of them this process may use: as much as placing queues takes.
// machine.ts says more.

import { intersectCpus, tryParseCpuList } from './cpu-list.js';
import { listFolder, procPath, readText, sysPath, type TopologyRoots } from './sysfs.js';

interface CpuNode {
  readonly node: number;
  /** Online. */
  readonly cpus: readonly number[];
  /** The node itself, or the nearest that has memory which this process may use; `undefined` where there is none. */
  readonly memoryNode: number | undefined;
}

export interface CpuTopology {
  /** NUMA nodes that have CPUs, ascending; one node 0 where the kernel knows none. */
  readonly nodes: readonly CpuNode[];
  /** CPUs that the process's affinity and cpuset allow; `undefined` where the kernel would not say. */
  readonly allowed: readonly number[] | undefined;
  /** Kept free of the scheduler's balancing (`isolcpus=`). */
  readonly isolated: readonly number[];
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

/** Nodes that this process's memory may come from; `undefined` where the kernel does not say. */
export function readMemoryNodes(roots: TopologyRoots): readonly number[] | undefined {
  return tryParseCpuList(readStatus(roots, 'Mems_allowed_list'));
}

/** To each node, in their order; 10 is to itself. Empty where the kernel does not say. */
export function readDistances(folder: string): readonly number[] {
  const distances = (readText(`${folder}/distance`) ?? '').split(/\s+/).map(Number);
  return distances.every((distance) => Number.isInteger(distance) && distance > 0) ? distances : [];
}

/** A file of /sys/devices/system/cpu that is a list. */
export function readCpuSet(roots: TopologyRoots, name: string): readonly number[] | undefined {
  return tryParseCpuList(readText(sysPath(roots, 'devices', 'system', 'cpu', name)));
}

// eslint-disable-next-line @typescript-eslint/require-await -- a promise, so that its callers need not know how it reads
export async function readCpuTopology(roots: TopologyRoots = {}): Promise<CpuTopology> {
  const allowed = readAffinity(roots);
  const isolated = readCpuSet(roots, 'isolated') ?? [];
  const all = listNodes(roots);
  const nearestMemory = memoryFinder(
    roots,
    all.map(({ node }) => node),
  );
  const nodes = all
    .map(({ node, folder }) => ({
      node,
      // Never with those that are offline.
      cpus: tryParseCpuList(readText(`${folder}/cpulist`)) ?? [],
      folder,
    }))
    .filter(({ cpus }) => cpus.length > 0)
    .map(({ node, cpus, folder }) => ({ node, cpus, memoryNode: nearestMemory(node, folder) }));
  if (nodes.length > 0) return { nodes, allowed, isolated };
  // A kernel without NUMA has no node folder: then all there is lies together. A mask may name what is offline.
  const online = readCpuSet(roots, 'online') ?? allowed ?? [];
  const usable = allowed === undefined ? [] : intersectCpus(allowed, online);
  const cpus = usable.length > 0 ? usable : [...(allowed ?? [])];
  return { nodes: [{ node: 0, cpus, memoryNode: undefined }], allowed, isolated };
}

/** Finds the nearest node that has memory which this process may use. */
function memoryFinder(
  roots: TopologyRoots,
  all: readonly number[],
): (node: number, folder: string) => number | undefined {
  const folder = sysPath(roots, 'devices', 'system', 'node');
  const present = tryParseCpuList(readText(`${folder}/has_memory`)) ?? all;
  const usable = intersectCpus(present, readMemoryNodes(roots) ?? present);
  return (node, itsFolder) => {
    if (usable.includes(node)) return node;
    const distances = readDistances(itsFolder);
    const distanceTo = (other: number) => distances[all.indexOf(other)] ?? Infinity;
    return usable.toSorted((a, b) => distanceTo(a) - distanceTo(b))[0];
  };
}
