// Shows what becomes of a volume on a real file whose process is killed, wherever it is: all that had resolved is there, nothing is called damaged,
// and what was under way is old or new, sector by sector.
//
// RINGBOLT_VOLUME_KILLS: how often. Default 20.

import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { Volume, type Engine } from 'ringbolt';
import { expect, it } from 'vitest';
import { runProgram } from '../lifecycle/run-program.js';
import { startEngine } from '../support/engine.js';
import { Random } from '../support/random.js';
import { tempFolder } from '../support/temp-folder.js';
import { BLOCK, versionsOf } from './simulated-volume.js';

const KILLS = Number(process.env['RINGBOLT_VOLUME_KILLS'] ?? 20);
const BLOCKS = 1000;

/** Of a block: the last write that resolved, and all that were begun since. */
interface Known {
  resolved: number;
  begun: Set<number>;
}

/** What the log says, behind what was known before. Returns the highest version. */
function readLog(log: string, known: readonly Known[]): number {
  const writes = new Map<number, { first: number; count: number }>();
  let highest = 0;
  for (const line of readFileSync(log, 'utf8').split('\n').slice(0, -1)) {
    const [what, ...numbers] = line.split(' ');
    const [first = 0, count = 0, version = 0] = numbers.map(Number);
    if (what === 'w') {
      highest = Math.max(highest, version);
      writes.set(version, { first, count });
      for (let i = 0; i < count; i++) known[first + i]!.begun.add(version);
    } else if (what === 'W') {
      const { first: at, count: some } = writes.get(first)!;
      for (let i = 0; i < some; i++)
        known[at + i]!.resolved = Math.max(known[at + i]!.resolved, first);
    }
  }
  return highest;
}

async function examine(
  volume: Volume,
  known: readonly Known[],
): Promise<{ mixed: number; newer: number }> {
  const seen = { mixed: 0, newer: 0 };
  const bytes = new Uint8Array(BLOCK);
  for (const [block, { resolved, begun }] of known.entries()) {
    await volume.read(block * BLOCK, bytes); // verified: none is damaged
    const versions = versionsOf(block, bytes);
    for (const version of versions) {
      const isKnown = version === resolved || (version > resolved && begun.has(version));
      expect(isKnown, `block ${block} has ${String(versions)}, resolved ${resolved}`).toBe(true);
    }
    if (versions.some((version) => version !== versions[0])) seen.mixed++;
    else if (versions[0]! > resolved) seen.newer++;
    // That is what it has from now on; of a mixture the highest, as what is written later is higher.
    known[block]!.resolved = Math.min(...versions);
    known[block]!.begun = new Set(versions);
  }
  return seen;
}

async function killOne(name: string, log: string, random: Random, begin: number): Promise<void> {
  const dots = 1 + random.below(30);
  const end = await runProgram('volume/programs/killed-writer.cjs', {
    args: [name, log, String(begin), String(random.fork().seed)],
    limitMs: 600_000,
    onOutput: (stdout, child) => {
      if (stdout.length >= dots) child.kill('SIGKILL');
    },
  });
  expect({ signal: end.signal, hung: end.hung, stderr: end.stderr }).toEqual({
    signal: 'SIGKILL',
    hung: false,
    stderr: '',
  });
}

/** The kernel lets go of what a process had in flight, and of its locks, some time after its end. */
async function openWhenFree(engine: Engine, name: string): Promise<Volume> {
  const deadline = performance.now() + 60_000;
  for (;;) {
    try {
      return await Volume.open(engine, name);
    } catch (error) {
      const isBusy = (error as { code?: unknown }).code === 'ERR_RINGBOLT_BUSY';
      if (!isBusy || performance.now() > deadline) throw error;
    }
    await setImmediate();
  }
}

async function openAndExamine(engine: Engine, name: string, known: readonly Known[]) {
  const volume = await openWhenFree(engine, name);
  const { recovery } = volume.status();
  const seen = await examine(volume, known);
  await volume.close();
  return { ...seen, recalculated: recovery!.recalculated, regions: recovery!.regions };
}

it(
  `keeps what had resolved, in ${KILLS} processes that are killed`,
  { timeout: 36_000_000 },
  async () => {
    const random = new Random();
    const engine = await startEngine();
    const folder = tempFolder();
    const name = path.join(folder, 'data');
    const log = path.join(folder, 'log');
    await (await Volume.create(engine, name, { size: BLOCKS * BLOCK })).close();
    const known = Array.from({ length: BLOCKS }, (): Known => ({ resolved: 0, begun: new Set() }));
    const total = { mixed: 0, newer: 0, recalculated: 0, regions: 0 };
    let version = 0;
    for (let kill = 0; kill < KILLS; kill++) {
      writeFileSync(log, '');
      await killOne(name, log, random, version);
      version = Math.max(version, readLog(log, known));
      const seen = await openAndExamine(engine, name, known);
      for (const key of Object.keys(total) as (keyof typeof total)[]) total[key] += seen[key];
    }
    console.log(`seed ${random.seed}: ${KILLS} kills, ${version} writes: ${JSON.stringify(total)}`);
    expect(total.regions).toBeGreaterThan(0);
    expect(version).toBeGreaterThan(KILLS);
  },
);
