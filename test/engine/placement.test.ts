// Shows that queues' threads run where `engine.info` says: on this machine, and on machines of two nodes that are made up of
// its CPUs.

import path from 'node:path';
import { Engine, type EngineOptions, type QueueInfo } from 'ringbolt';
import { describe, expect, it, onTestFinished } from 'vitest';
import { withRoots } from '../../dist/lib/engine/roots.js';
import { formatCpuList } from '../../dist/lib/topology/cpu-list.js';
import { BLOCK, numberedFile } from '../lifecycle/numbered-file.js';
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

describe('a file goes to the queues of the node that its device is on', () => {
  /** Two queues on each of two nodes, and a file that lies on an NVMe disk of the second. */
  async function startBeside(
    file: string,
    facts: Partial<Pick<MachineDescription, 'paths'>> = {},
  ): Promise<Engine> {
    const machine: MachineDescription = {
      ...TWO_NODES,
      disks: [{ name: 'nvme1n1', number: '259:1', hardware: 'nvme', node: 1 }],
      paths: { [file]: { kind: 'file', deviceNumber: '259:1' } },
      ...facts,
    };
    return start(machine, { queues: 4 });
  }

  /** Reads of each queue. */
  const reads = (engine: Engine) =>
    engine.stats().queues.map(({ classes }) => classes.foreground.readsTotal);

  async function readMany(engine: Engine, file: Awaited<ReturnType<Engine['open']>>) {
    for (let round = 0; round < 8; round++) {
      const leases = Array.from({ length: 8 }, () => file.acquire(BLOCK));
      await file.readBatch(leases.map((buffer, index) => ({ offset: index * BLOCK, buffer })));
      for (const lease of leases) lease.release();
    }
    expect(reads(engine).reduce((sum, each) => sum + each)).toBe(64);
  }

  it('of several, to those with the least in flight', async ({ skip }) => {
    if (FIRST === LAST) return skip(TOO_FEW);
    const name = numberedFile(8);
    const engine = await startBeside(name);
    expect(engine.info.queues.map(({ node }) => node)).toEqual([0, 1, 0, 1]);
    const file = await engine.open(name);
    expect(file.node).toBe(1);
    await readMany(engine, file);
    expect(reads(engine)).toMatchObject([0, expect.any(Number), 0, expect.any(Number)]);
  });

  it('also if it is named from the working directory', async ({ skip }) => {
    if (FIRST === LAST) return skip(TOO_FEW);
    const name = numberedFile(8);
    const engine = await startBeside(name);
    expect((await engine.open(path.relative(process.cwd(), name))).node).toBe(1);
  });

  it('and is opened all the same if nobody knows which', async ({ skip }) => {
    if (FIRST === LAST) return skip(TOO_FEW);
    const name = numberedFile(8);
    const engine = await startBeside(name, { paths: {} });
    const file = await engine.open(name);
    expect(file.node).toBeUndefined();
    await readMany(engine, file);
  });

  it('or if what it lies on never answers', async ({ skip }) => {
    if (FIRST === LAST) return skip(TOO_FEW);
    const name = numberedFile(8);
    const lookUp = () => new Promise<never>(() => undefined);
    const roots = { ...buildMachine(TWO_NODES), lookUp };
    const engine = await startEngine(withRoots({ queues: 2 }, roots));
    // The timer alone keeps no process alive, and neither does a promise.
    const alive = setInterval(() => undefined, 1000);
    onTestFinished(() => {
      clearInterval(alive);
    });
    expect((await engine.open(name)).node).toBeUndefined();
  });

  it('on one node nobody is asked', async () => {
    const lookUp = () => Promise.reject(new Error('asked'));
    const machine: MachineDescription = {
      nodes: [{ node: 0, cpus: formatCpuList(CPUS), memoryGiB: 1 }],
      allowed: formatCpuList(CPUS),
    };
    let asked = 0;
    const counted = () => {
      asked++;
      return lookUp();
    };
    const roots = { ...buildMachine(machine), lookUp: counted };
    const engine = await startEngine(withRoots({ queues: 2 }, roots));
    expect((await engine.open(numberedFile(8))).node).toBeUndefined();
    expect(asked).toBe(0);
  });
});

describe('file.acquire', () => {
  it("leases memory of the engine's pool", async () => {
    const engine = await startEngine();
    const file = await engine.open(numberedFile(8));
    using lease = file.acquire(BLOCK);
    expect(lease.buffer).toHaveLength(BLOCK);
    expect(engine.pool.stats().bytesInUse).toBe(BLOCK);
    expect(await file.read(BLOCK, lease)).toBe(BLOCK);
  });

  it('refuses what the pool refuses, and once the file is closed', async () => {
    const engine = await startEngine();
    const file = await engine.open(numberedFile(8));
    expect(() => file.acquire(0)).toThrow(expect.objectContaining({ code: 'ERR_OUT_OF_RANGE' }));
    await file.close();
    expect(() => file.acquire(BLOCK)).toThrow(
      expect.objectContaining({ code: 'ERR_RINGBOLT_CLOSED' }),
    );
  });
});
