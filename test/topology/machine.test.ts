// Shows that machines of all shapes are described as they are: nodes, cores, caches, and what a process may use of them.

import { execFileSync } from 'node:child_process';
import { describe, expect, it, vi } from 'vitest';
import { formatCpuList, parseCpuList } from '../../dist/lib/topology/cpu-list.js';
import { readCpuTopology } from '../../dist/lib/topology/cpus.js';
import { readMachine } from '../../dist/lib/topology/machine.js';
import { buildMachine, type MachineDescription } from './fixtures/build.js';
import {
  container,
  EIGHT_NODES,
  FOUR_NODES,
  HALF_OFFLINE,
  SMALL,
  TWO_SOCKETS,
} from './fixtures/machines.js';

// A machine is hundreds of small files, on whatever disk there is.
vi.setConfig({ testTimeout: 30_000 });

const read = (machine: MachineDescription) => readMachine(buildMachine(machine));

describe('nodes', () => {
  it.each([
    ['one', SMALL, ['0: 0-1']],
    ['two', TWO_SOCKETS, ['0: 0-3,8-11', '1: 4-7,12-15']],
    ['four', FOUR_NODES, ['0: 0-3', '1: 4-7', '2: 8-11', '3: 12-15']],
  ])('%s of them', (_, machine, nodes) => {
    const got = read(machine).nodes.map(({ node, cpus }) => `${node}: ${formatCpuList(cpus)}`);
    expect(got).toEqual(nodes);
  });

  it('eight, in numerical order, some without memory or without CPUs', () => {
    const { nodes } = read(EIGHT_NODES);
    expect(nodes.map(({ node }) => node)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 10]);
    expect(nodes.filter(({ memoryBytes }) => memoryBytes === 0)).toMatchObject([{ node: 3 }]);
    expect(nodes.filter(({ cpus }) => cpus.length === 0)).toMatchObject([
      { node: 8, memoryBytes: 256 * 2 ** 30 },
      { node: 10 },
    ]);
    expect(nodes[0]!.distances).toEqual([10, ...Array.from({ length: 9 }, () => 20)]);
  });

  it('one of all CPUs, where the kernel knows none', () => {
    expect(read({ online: '0-3', allowed: '1' }).nodes).toEqual([
      { node: 0, cpus: [0, 1, 2, 3], memoryBytes: undefined, distances: [] },
    ]);
  });
});

describe('cores and caches', () => {
  it('siblings are one core with SMT, and each CPU is one without', () => {
    const { cores } = read(TWO_SOCKETS);
    expect(cores).toHaveLength(8);
    expect(cores[1]).toEqual({ package: 0, cpus: [1, 9] });
    expect(cores[4]).toEqual({ package: 1, cpus: [4, 12] });
    expect(read(FOUR_NODES).cores).toHaveLength(16);
  });

  it('each cache is there once, with all who share it', () => {
    const { caches } = read(TWO_SOCKETS);
    expect(caches.filter(({ level }) => level === 1)).toHaveLength(16);
    expect(caches.filter(({ level }) => level === 3)).toEqual([
      { level: 3, type: 'unified', bytes: 2 ** 25, cpus: parseCpuList('0-3,8-11') },
      { level: 3, type: 'unified', bytes: 2 ** 25, cpus: parseCpuList('4-7,12-15') },
    ]);
  });
});

describe('what may be used', () => {
  it('leaves out what is offline, whatever the mask says', () => {
    const machine = read(HALF_OFFLINE);
    expect(formatCpuList(machine.offline)).toBe('3,8-15');
    expect(formatCpuList(machine.allowed)).toBe('0-2,4-7');
    expect(formatCpuList(machine.isolated)).toBe('6-7');
    expect(machine.cores).toHaveLength(7);
  });

  it.each([1, 2] as const)(
    'is three CPUs in a container with a cpuset of version %i',
    (version) => {
      const machine = read(container(version));
      expect(machine.allowed).toEqual([2, 3, 4]);
      expect(machine.cpuset).toEqual({ version, group: '/', cpus: [2, 3, 4], memoryNodes: [0] });
      expect(machine.memoryNodes).toEqual([0]);
    },
  );

  it("is the nearest group's list, where the process's own has none", () => {
    const machine = read({
      ...SMALL,
      files: {
        'proc/self/cgroup': '0::/system.slice/a.service/worker',
        'sys/fs/cgroup/system.slice/cpuset.cpus.effective': '1',
        'sys/fs/cgroup/cpuset.cpus.effective': '0-1',
      },
    });
    expect(machine.cpuset).toMatchObject({ group: '/system.slice', cpus: [1] });
  });

  it('is everything online, where the kernel says nothing', () => {
    const machine = read({ online: '0-3' });
    expect(machine).toMatchObject({ allowed: [0, 1, 2, 3], cpuset: undefined });
  });
});

describe('what is missing, odd or hostile', () => {
  it('a folder with nothing in it is a machine of which nothing is known', () => {
    expect(read({})).toEqual({
      nodes: [{ node: 0, cpus: [], memoryBytes: undefined, distances: [] }],
      online: [],
      offline: [],
      isolated: [],
      cores: [],
      caches: [],
      allowed: [],
      memoryNodes: undefined,
      cpuset: undefined,
    });
  });

  it.each(['x', '3-1', '5,5', '5,4', '-1', '1-', '1e3', '0-1-2', '0 1', '\0'])(
    'the list %j is none',
    (text) => {
      expect(() => parseCpuList(text)).toThrow('not a CPU list');
      const cpu = 'sys/devices/system/cpu';
      const files = {
        [`${cpu}/online`]: text,
        [`${cpu}/cpu0/topology/thread_siblings_list`]: text,
        'sys/devices/system/node/node0/cpulist': text,
        'proc/self/status': `Cpus_allowed_list:\t${text}`,
        'proc/self/cgroup': '0::/',
        'sys/fs/cgroup/cpuset.cpus.effective': text,
      };
      const machine = read({ ...SMALL, files });
      expect(machine.nodes).toHaveLength(1);
      expect(machine.allowed).toEqual([]);
      expect(machine.cpuset).toBeUndefined();
    },
  );

  it('an endless list ends', () => {
    expect(parseCpuList('0-999999999999')).toHaveLength(8192);
    const long = Array.from({ length: 100_000 }, (_, cpu) => 2 * cpu).join();
    expect(
      read({ ...SMALL, files: { 'proc/self/status': `Cpus_allowed_list:\t${long}` } }),
    ).toEqual(read({ ...SMALL, allowed: undefined! }));
  });

  it('siblings and caches of a CPU that are not among them are left to themselves', () => {
    const cpu = 'sys/devices/system/cpu/cpu1';
    const files = {
      [`${cpu}/topology/thread_siblings_list`]: '0',
      [`${cpu}/cache/index0/shared_cpu_list`]: '7-8',
      [`${cpu}/cache/index1/level`]: 'many',
    };
    const machine = read({ ...SMALL, files });
    expect(machine.cores.map(({ cpus }) => cpus)).toEqual([[0], [1]]);
    expect(machine.caches.filter(({ level }) => level === 1)).toHaveLength(3);
  });

  it('a group outside of the hierarchy does not lead out of it', () => {
    const files = { 'proc/self/cgroup': '0::/../../../../etc', 'etc/cpuset.cpus.effective': '0' };
    expect(read({ ...SMALL, files }).cpuset).toBeUndefined();
  });

  it('a FIFO in place of a file is not waited for', async () => {
    const roots = buildMachine({ nodes: SMALL.nodes! });
    execFileSync('mkfifo', [`${roots.proc!}/self/status`]);
    expect(readMachine(roots).allowed).toEqual([0, 1]);
    expect((await readCpuTopology(roots)).allowed).toBeUndefined();
  });
});
