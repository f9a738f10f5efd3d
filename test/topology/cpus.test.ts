// Shows how CPU lists are read and queues are spread, on made-up machines of one, two and four nodes.

import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  parseCpuList,
  readCpuTopology,
  spreadOverNodes,
  type TopologyRoots,
} from '../../dist/lib/topology/cpus.js';
import { tempFolder } from '../support/temp-folder.js';

function machine(nodes: Readonly<Record<string, string>>, allowed?: string): TopologyRoots {
  const root = tempFolder();
  for (const [node, cpus] of Object.entries(nodes)) {
    const folder = path.join(root, 'sys/devices/system/node', node);
    mkdirSync(folder, { recursive: true });
    writeFileSync(path.join(folder, 'cpulist'), `${cpus}\n`);
  }
  if (allowed !== undefined) {
    mkdirSync(path.join(root, 'proc/self'), { recursive: true });
    writeFileSync(
      path.join(root, 'proc/self/status'),
      `Name:\tnode\nCpus_allowed:\tff\nCpus_allowed_list:\t${allowed}\n`,
    );
  }
  return { sys: path.join(root, 'sys'), proc: path.join(root, 'proc') };
}

describe('parseCpuList', () => {
  it.each([
    ['', []],
    ['0', [0]],
    ['0-3,8,10-11\n', [0, 1, 2, 3, 8, 10, 11]],
  ])('reads %j', (text, cpus) => {
    expect(parseCpuList(text)).toEqual(cpus);
  });

  it('refuses what the kernel does not write', () => {
    expect(() => parseCpuList('0-x')).toThrow('not a CPU list');
  });
});

describe('spreadOverNodes', () => {
  it('binds every queue to the only node there is', async () => {
    const topology = await readCpuTopology(machine({ node0: '0-3' }, '0-3'));
    expect(spreadOverNodes(topology, 2)).toEqual([
      { node: 0, cpus: [0, 1, 2, 3] },
      { node: 0, cpus: [0, 1, 2, 3] },
    ]);
  });

  it('takes nodes in turn, in numerical order, leaving out those without CPUs', async () => {
    const roots = machine({ node10: '8-11', node2: '4-7', node0: '0-3', node1: '' }, '0-11');
    const nodes = spreadOverNodes(await readCpuTopology(roots), 4).map(({ node }) => node);
    expect(nodes).toEqual([0, 2, 10, 0]);
  });

  it('uses only CPUs that the process may use, and only nodes that have some', async () => {
    const roots = machine({ node0: '0-3', node1: '4-7' }, '5-6');
    expect(spreadOverNodes(await readCpuTopology(roots), 2)).toEqual([
      { node: 1, cpus: [5, 6] },
      { node: 1, cpus: [5, 6] },
    ]);
  });

  it('takes a kernel without NUMA as one node', async () => {
    const topology = await readCpuTopology(machine({}, '0-1'));
    expect(spreadOverNodes(topology, 1)).toEqual([{ node: 0, cpus: [0, 1] }]);
  });

  it('binds nothing where nothing is known', async () => {
    const topology = await readCpuTopology(machine({}));
    expect(topology.allowed).toBeUndefined();
    expect(spreadOverNodes(topology, 1)).toEqual([{ node: undefined, cpus: [] }]);
  });
});
