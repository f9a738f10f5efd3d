// Shows that queues' threads run where `engine.info` says: on this machine, and on machines of two nodes that are made up of
// its CPUs.

import { Engine, type EngineOptions, type QueueInfo } from 'ringbolt';
import { describe, expect, it, onTestFinished } from 'vitest';
import { withRoots } from '../../dist/lib/engine/roots.js';
import { formatCpuList } from '../../dist/lib/topology/cpu-list.js';
import { startEngine } from '../support/engine.js';
import { allowedCpus, cpusOfThreads } from '../support/threads.js';
import { buildMachine, type MachineDescription } from '../topology/fixtures/build.js';

const CPUS = allowedCpus();
const [FIRST, LAST] = [CPUS[0]!, CPUS.at(-1)!];
const TOO_FEW = 'one CPU makes no two nodes';

/** The first CPU is one node, the last another. */
const TWO_NODES: MachineDescription = {
  nodes: [
    { node: 0, cpus: `${FIRST}`, memoryGiB: 1 },
    { node: 1, cpus: `${LAST}`, memoryGiB: 1 },
  ],
  allowed: formatCpuList([...new Set([FIRST, LAST])]),
};

const start = (machine: MachineDescription, options: EngineOptions) =>
  startEngine(withRoots(options, buildMachine(machine)));

/** Each thread is where its queue is said to be. */
function expectThere(queues: readonly QueueInfo[]): void {
  for (const { index, cpus } of queues) {
    expect(cpus.length).toBeGreaterThan(0);
    expect(cpusOfThreads(`ringbolt-q${index}`)).toContainEqual(cpus);
  }
}

describe('queues run where they are said to', () => {
  it.each([
    ['auto', { queues: 3 }],
    ['none', { queues: 2, affinity: 'none' }],
    ['lists', { affinity: [[FIRST], [...CPUS]] }],
  ] satisfies [string, EngineOptions][])('%s', async (_, options) => {
    const { queues } = (await startEngine(options)).info;
    expectThere(queues);
    expect(queues.map(({ remarks }) => remarks)).toEqual(queues.map(() => ''));
  });

  it('on two nodes, in turn', async ({ skip }) => {
    if (FIRST === LAST) return skip(TOO_FEW);
    const { queues } = (await start(TWO_NODES, { queues: 3 })).info;
    expect(queues.map(({ node, cpus }) => ({ node, cpus }))).toEqual([
      { node: 0, cpus: [FIRST] },
      { node: 1, cpus: [LAST] },
      { node: 0, cpus: [FIRST] },
    ]);
    expectThere(queues);
  });

  it('not on isolated CPUs', async ({ skip }) => {
    if (FIRST === LAST) return skip(TOO_FEW);
    const { queues } = (await start({ ...TWO_NODES, isolated: `${FIRST}` }, { queues: 2 })).info;
    expect(queues.map(({ node, cpus }) => ({ node, cpus }))).toEqual([
      { node: 1, cpus: [LAST] },
      { node: 1, cpus: [LAST] },
    ]);
    expectThere(queues);
  });

  it("on no node with affinity 'none', where there are several", async ({ skip }) => {
    if (FIRST === LAST) return skip(TOO_FEW);
    const { queues } = (await start(TWO_NODES, { affinity: 'none' })).info;
    expect(queues).toMatchObject([{ node: undefined, cpusAsked: [], remarks: '' }]);
    expect(queues[0]!.cpus).toEqual(CPUS);
  });
});

describe('CPUs that cannot be had are left out, and said', () => {
  it('some that went after the machine was looked at', async () => {
    const machine: MachineDescription = {
      nodes: [{ node: 0, cpus: `${FIRST},8000-8001`, memoryGiB: 1 }],
      allowed: `${FIRST},8000-8001`,
    };
    const { queues } = (await start(machine, {})).info;
    expect(queues).toMatchObject([{ node: 0, cpusAsked: [FIRST, 8000, 8001], cpus: [FIRST] }]);
    expect(queues[0]!.remarks).toBe('CPUs 8000-8001 may not be used');
    expectThere(queues);
  });

  it('all of them: then it runs where it likes, and is on no one node', async ({ skip }) => {
    if (FIRST === LAST) return skip(TOO_FEW);
    const { queues } = (await start(TWO_NODES, { affinity: [[8000], [LAST]] })).info;
    expect(queues[0]).toMatchObject({ node: undefined, cpusAsked: [8000], cpus: CPUS });
    expect(queues[0]!.remarks).toBe('not bound to CPUs 8000: none of them may be used');
    expect(queues[1]).toMatchObject({ node: 1, cpus: [LAST], remarks: '' });
    expectThere(queues);
  });

  it('an engine that lost some does its work', async () => {
    const engine = await Engine.start({ affinity: [[FIRST, 8000], [8001]] });
    onTestFinished(() => engine.close());
    await engine.noopBatch(100);
    const done = engine.stats().queues.map(({ classes }) => classes.foreground.noopsTotal);
    expect(done.reduce((sum, each) => sum + each)).toBe(100);
  });
});
