// The cpuset of this process's cgroup: why it may use fewer CPUs than there are.

import path from 'node:path';
import { tryParseCpuList } from './cpu-list.js';
import { procPath, readText, sysPath, type TopologyRoots } from './sysfs.js';

export interface Cpuset {
  readonly version: 1 | 2;
  /** The cgroup whose list holds, as this process sees it. */
  readonly group: string;
  readonly cpus: readonly number[];
  /** Nodes that memory may come from; undefined where it is not said. */
  readonly memoryNodes: readonly number[] | undefined;
}

/** Deeper than systemd and container engines nest together. */
const MAX_DEPTH = 64;

interface Hierarchy {
  readonly version: 1 | 2;
  readonly mountPoint: readonly string[];
  /** The first that is there is what holds: `effective` takes ancestors and hot-plug into account. */
  readonly cpus: readonly string[];
  readonly nodes: readonly string[];
}

const HIERARCHIES: readonly Hierarchy[] = [
  {
    version: 1,
    mountPoint: ['fs', 'cgroup', 'cpuset'],
    cpus: ['cpuset.effective_cpus', 'cpuset.cpus'],
    nodes: ['cpuset.effective_mems', 'cpuset.mems'],
  },
  {
    version: 2,
    mountPoint: ['fs', 'cgroup'],
    cpus: ['cpuset.cpus.effective'],
    nodes: ['cpuset.mems.effective'],
  },
];

/** Undefined where no cgroup says anything about CPUs. */
export function readCpuset(roots: TopologyRoots): Cpuset | undefined {
  const lines = (readText(procPath(roots, 'self', 'cgroup')) ?? '').split('\n');
  for (const hierarchy of HIERARCHIES) {
    for (const line of lines) {
      const [, , controllers, group] = /^(\d+):([^:]*):(.*)$/.exec(line) ?? [];
      if (controllers === undefined || group === undefined) continue;
      const ours =
        hierarchy.version === 2 ? controllers === '' : controllers.split(',').includes('cpuset');
      const cpuset = ours ? readGroup(roots, hierarchy, group) : undefined;
      if (cpuset !== undefined) return cpuset;
    }
  }
  return undefined;
}

/**
 * The group itself, or the nearest above it that has the files: in version 2 a group without the controller has none, and
 * in a container the path may lead outside what is mounted, where the mount's root is the container's own group.
 */
function readGroup(
  roots: TopologyRoots,
  { version, mountPoint, cpus, nodes }: Hierarchy,
  group: string,
): Cpuset | undefined {
  let at = path.join('/', group); // which also takes every ".." out of it
  for (let depth = 0; depth < MAX_DEPTH; depth++) {
    const folder = sysPath(roots, ...mountPoint, at);
    const first = (names: readonly string[]) =>
      names
        .map((name) => tryParseCpuList(readText(path.join(folder, name))))
        .find((list) => list !== undefined && list.length > 0);
    const list = first(cpus);
    if (list !== undefined) return { version, group: at, cpus: list, memoryNodes: first(nodes) };
    if (at === '/') return undefined;
    at = path.dirname(at);
  }
  return undefined;
}
