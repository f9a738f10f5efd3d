// Which CPUs there are, on which NUMA nodes, and which of them this process may use. Read from sysfs and procfs, the
// roots of which tests replace by folders of their own.

import { readFile, readdir } from 'node:fs/promises';
import path from 'node:path';

export interface TopologyRoots {
  readonly sys?: string;
  readonly proc?: string;
}

export interface CpuTopology {
  /** NUMA nodes that have CPUs, ascending; one node 0 where the kernel knows none. */
  readonly nodes: readonly { readonly node: number; readonly cpus: readonly number[] }[];
  /** CPUs that the process's affinity and cpuset allow; `undefined` where the kernel would not say. */
  readonly allowed: readonly number[] | undefined;
}

const MAX_CPU = 8191;

/** Parses the kernel's lists, such as `0-3,8,10-11`. An empty list is a list. */
export function parseCpuList(text: string): number[] {
  const cpus: number[] = [];
  for (const range of text.trim().split(',')) {
    if (range === '') continue;
    const match = /^(\d+)(?:-(\d+))?$/.exec(range);
    if (match === null) throw new Error(`not a CPU list: ${text}`);
    const first = Number(match[1]);
    const last = Number(match[2] ?? match[1]);
    for (let cpu = first; cpu <= Math.min(last, MAX_CPU); cpu++) cpus.push(cpu);
  }
  return cpus;
}

async function readAllowed(proc: string): Promise<readonly number[] | undefined> {
  try {
    const status = await readFile(path.join(proc, 'self', 'status'), 'utf8');
    const match = /^Cpus_allowed_list:\s*(.*)$/m.exec(status);
    return match?.[1] === undefined ? undefined : parseCpuList(match[1]);
  } catch {
    return undefined;
  }
}

async function readNodes(sys: string): Promise<{ node: number; cpus: number[] }[]> {
  const folder = path.join(sys, 'devices', 'system', 'node');
  const names = await readdir(folder).catch(() => []);
  const found: { node: number; cpus: number[] }[] = [];
  for (const name of names) {
    const match = /^node(\d+)$/.exec(name);
    if (match === null) continue;
    const list = await readFile(path.join(folder, name, 'cpulist'), 'utf8').catch(() => '');
    const cpus = parseCpuList(list);
    if (cpus.length > 0) found.push({ node: Number(match[1]), cpus });
  }
  return found.sort((a, b) => a.node - b.node);
}

export async function readCpuTopology(roots: TopologyRoots = {}): Promise<CpuTopology> {
  const allowed = await readAllowed(roots.proc ?? '/proc');
  const nodes = await readNodes(roots.sys ?? '/sys');
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
      cpus: allowed === undefined ? cpus : cpus.filter((cpu) => allowed.includes(cpu)),
    }))
    .filter(({ cpus }) => cpus.length > 0);
  return Array.from(
    { length: queues },
    (_, queue) => usable[queue % usable.length] ?? { node: undefined, cpus: [] },
  );
}
