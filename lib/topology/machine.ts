// The whole machine as sysfs describes it: nodes, cores, caches, and what of it this process may use. For reports: it reads
// some ten files a core, which is nothing to do at each start of an engine.

import { exceptCpus, formatCpuList, intersectCpus, tryParseCpuList } from './cpu-list.js';
import { listNodes, readAffinity, readCpuSet, readDistances, readMemoryNodes } from './cpus.js';
import { readCpuset, type Cpuset } from './cpuset.js';
import { listFolder, readNumber, readText, sysPath, type TopologyRoots } from './sysfs.js';

export interface NumaNode {
  readonly node: number;
  /** Online; empty where the node is memory alone. */
  readonly cpus: readonly number[];
  /** 0 where the node is CPUs alone; undefined where the kernel does not say. */
  readonly memoryBytes: number | undefined;
  /** To each node, in their order; 10 is to itself. Empty where the kernel does not say. */
  readonly distances: readonly number[];
}

interface Core {
  readonly package: number | undefined;
  /** SMT siblings that are online. */
  readonly cpus: readonly number[];
}

export interface CpuCache {
  readonly level: number;
  readonly type: 'data' | 'instruction' | 'unified';
  readonly bytes: number | undefined;
  /** Who shares it. */
  readonly cpus: readonly number[];
}

export interface Machine {
  /** Ascending; one node 0 where the kernel knows none. */
  readonly nodes: readonly NumaNode[];
  readonly online: readonly number[];
  /** There, but switched off. */
  readonly offline: readonly number[];
  /** Kept free of the scheduler's balancing (`isolcpus=`). */
  readonly isolated: readonly number[];
  readonly cores: readonly Core[];
  /** By level, then by CPU. */
  readonly caches: readonly CpuCache[];
  /** Online CPUs that this process's affinity allows. */
  readonly allowed: readonly number[];
  /** Nodes that this process's memory may come from; undefined where the kernel does not say. */
  readonly memoryNodes: readonly number[] | undefined;
  readonly cpuset: Cpuset | undefined;
}

const CACHE_TYPES: Readonly<Record<string, CpuCache['type']>> = {
  Data: 'data',
  Instruction: 'instruction',
  Unified: 'unified',
};
/** Caches of one CPU. */
const MAX_CACHES = 16;

export function readMachine(roots: TopologyRoots = {}): Machine {
  const affinity = readAffinity(roots);
  const { online, present, isolated } = readCpuSets(roots, affinity ?? []);
  return {
    nodes: readNodes(roots, online),
    online,
    offline: exceptCpus(present, online),
    isolated,
    cores: readCores(roots, online),
    caches: readCaches(roots, online),
    allowed: affinity === undefined ? online : intersectCpus(online, affinity),
    memoryNodes: readMemoryNodes(roots),
    cpuset: readCpuset(roots),
  };
}

function cpuFolder(roots: TopologyRoots, ...parts: readonly string[]): string {
  return sysPath(roots, 'devices', 'system', 'cpu', ...parts);
}

function readCpuSets(roots: TopologyRoots, fallback: readonly number[]) {
  const online = readCpuSet(roots, 'online') ?? fallback;
  const present = readCpuSet(roots, 'present') ?? online;
  const isolated = intersectCpus(readCpuSet(roots, 'isolated') ?? [], present);
  return { online, present, isolated };
}

function readNodes(roots: TopologyRoots, online: readonly number[]): readonly NumaNode[] {
  const nodes = listNodes(roots).map(({ node, folder }) => ({
    node,
    cpus: intersectCpus(tryParseCpuList(readText(`${folder}/cpulist`)) ?? [], online),
    memoryBytes: kibibytes(/MemTotal:\s*(\d+) kB/.exec(readText(`${folder}/meminfo`) ?? '')?.[1]),
    distances: readDistances(folder),
  }));
  if (nodes.length > 0) return nodes;
  return [{ node: 0, cpus: online, memoryBytes: undefined, distances: [] }];
}

function kibibytes(digits: string | undefined): number | undefined {
  const bytes = Number(digits) * 1024;
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}

function readCores(roots: TopologyRoots, online: readonly number[]): readonly Core[] {
  const cores: Core[] = [];
  const seen = new Set<number>();
  for (const cpu of online) {
    if (seen.has(cpu)) continue;
    const folder = cpuFolder(roots, `cpu${cpu}`, 'topology');
    const siblings = readSharers(`${folder}/thread_siblings_list`, cpu, online);
    for (const sibling of siblings) seen.add(sibling);
    cores.push({ package: readNumber(`${folder}/physical_package_id`), cpus: siblings });
  }
  return cores;
}

/** A list of CPUs that includes `cpu`; `cpu` alone where the file says nothing of the kind. */
function readSharers(file: string, cpu: number, online: readonly number[]): readonly number[] {
  const sharers = intersectCpus(tryParseCpuList(readText(file)) ?? [], online);
  return sharers.includes(cpu) ? sharers : [cpu];
}

function readCaches(roots: TopologyRoots, online: readonly number[]): readonly CpuCache[] {
  const caches: CpuCache[] = [];
  const seen = new Set<string>();
  for (const cpu of online) {
    const folder = cpuFolder(roots, `cpu${cpu}`, 'cache');
    const names = listFolder(folder).filter((name) => /^index\d+$/.test(name));
    for (const name of names.slice(0, MAX_CACHES)) {
      const cache = readCache(`${folder}/${name}`, cpu, online);
      if (cache === undefined) continue;
      // Each is in the folders of all who share it.
      const key = `${cache.level} ${cache.type} ${formatCpuList(cache.cpus)}`;
      if (!seen.has(key)) caches.push(cache);
      seen.add(key);
    }
  }
  return caches.sort((a, b) => a.level - b.level || a.cpus[0]! - b.cpus[0]!);
}

function readCache(folder: string, cpu: number, online: readonly number[]): CpuCache | undefined {
  const level = readNumber(`${folder}/level`, 1);
  const type = CACHE_TYPES[readText(`${folder}/type`) ?? ''];
  if (level === undefined || type === undefined) return undefined;
  const bytes = kibibytes(/^(\d+)K$/.exec(readText(`${folder}/size`) ?? '')?.[1]);
  return { level, type, bytes, cpus: readSharers(`${folder}/shared_cpu_list`, cpu, online) };
}
