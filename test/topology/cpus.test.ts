// Shows how CPU lists are read, and what of a machine placing queues takes.

import { describe, expect, it } from 'vitest';
import { parseCpuList } from '../../dist/lib/topology/cpu-list.js';
import { readCpuTopology } from '../../dist/lib/topology/cpus.js';
import { buildMachine, type MachineDescription } from './fixtures/build.js';
import { CXL, HALF_OFFLINE, SOCKET_OFFLINE } from './fixtures/machines.js';

const read = (machine: MachineDescription) =>
  readCpuTopology(buildMachine({ ...machine, withoutCores: true }));

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

describe('what placing queues takes', () => {
  it('nodes that have CPUs, with the nearest memory', async () => {
    const { nodes } = await read(CXL);
    expect(nodes).toEqual([
      { node: 0, cpus: [0, 1, 2, 3], memoryNode: 0 },
      // Node 0 is nearer than the memory behind CXL.
      { node: 1, cpus: [4, 5, 6, 7], memoryNode: 0 },
    ]);
  });

  it('memory that the process may not use is none', async () => {
    const memoryNode = async (machine: MachineDescription) =>
      (await read(machine)).nodes.map((node) => node.memoryNode);
    expect(await memoryNode({ ...CXL, memoryAllowed: '2' })).toEqual([2, 2]);
    expect(await memoryNode({ ...CXL, memoryAllowed: '' })).toEqual([undefined, undefined]);
  });

  it('where the kernel does not say which nodes have memory, each is taken to have some', async () => {
    const files = { 'sys/devices/system/node/has_memory': 'x' };
    const { nodes } = await read({ ...CXL, memoryAllowed: '0-2', files });
    expect(nodes.map(({ memoryNode }) => memoryNode)).toEqual([0, 1]);
  });

  it('CPUs that are offline are of no node', async () => {
    expect((await read(HALF_OFFLINE)).nodes.map(({ cpus }) => cpus)).toEqual([
      [0, 1, 2],
      [4, 5, 6, 7],
    ]);
    expect((await read(SOCKET_OFFLINE)).nodes.map(({ node }) => node)).toEqual([0]);
  });

  it('a kernel without NUMA is one node, of what is allowed and online', async () => {
    const one = (cpus: readonly number[]) => [{ node: 0, cpus, memoryNode: undefined }];
    expect((await read({ allowed: '0-1' })).nodes).toEqual(one([0, 1]));
    expect((await read({ allowed: '0-7', online: '0-3' })).nodes).toEqual(one([0, 1, 2, 3]));
  });

  it('nothing, where nothing is known', async () => {
    expect(await read({})).toEqual({
      nodes: [{ node: 0, cpus: [], memoryNode: undefined }],
      allowed: undefined,
      isolated: [],
    });
  });
});
