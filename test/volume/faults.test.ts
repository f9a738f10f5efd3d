// Shows that each single fault (faults.ts) is found and called what it is, and that nothing else is: other blocks are read as they are.
//
// RINGBOLT_VOLUME_FAULTS: how many. Default 3000.

import { expect, it } from 'vitest';
import type { Volume } from '../../dist/lib/volume/volume.js';
import { Random } from '../support/random.js';
import {
  BLOCKS,
  FAULTS,
  identityOf,
  writeTwice,
  type Bench,
  type Fault,
  type Named,
} from './faults.js';
import { BLOCK, SimulatedVolume, versionsOf } from './simulated-volume.js';

const FAULTS_ASKED = Number(process.env['RINGBOLT_VOLUME_FAULTS'] ?? 3000);
const REWRITTEN = Array.from({ length: 30 }, (_, i) => 30 + 5 * i);

type Template = Awaited<ReturnType<typeof makeTemplate>>;

async function makeTemplate(random: Random) {
  const make = async () => {
    const simulated = new SimulatedVolume(random, BLOCKS * BLOCK);
    const older = await writeTwice(simulated, REWRITTEN);
    const data = simulated.data.medium.visible().slice();
    return { older, data, sidecar: simulated.sidecar.medium.visible().slice() };
  };
  const [one, other] = [await make(), await make()];
  // Other data in the same blocks.
  const otherData = other.data.map((byte) => (byte === 0 ? 0 : byte ^ 0x80));
  return { ...one, otherData, otherSidecar: other.sidecar };
}

function newBench(template: Template, random: Random): Bench {
  const simulated = new SimulatedVolume(random, BLOCKS * BLOCK);
  simulated.data.medium.overwrite(0, template.data);
  simulated.sidecar.medium.overwrite(0, template.sidecar);
  const versions = Array.from({ length: BLOCKS }, (_, block): number => (block < 200 ? 1 : 0));
  for (const block of REWRITTEN) versions[block] = 2;
  return {
    simulated,
    random,
    versions,
    data: simulated.data.medium,
    sidecar: simulated.sidecar.medium,
    olderData: template.older.data,
    olderSidecar: template.older.sidecar,
    otherData: template.otherData,
    otherSidecar: template.otherSidecar,
    rewritten: REWRITTEN,
  };
}

async function readOne(volume: Volume, block: number): Promise<number | string> {
  const into = new Uint8Array(BLOCK);
  try {
    await volume.read(block * BLOCK, into);
  } catch (error) {
    const { code, blocks } = error as { code: string; blocks?: readonly number[] };
    return code === 'ERR_RINGBOLT_CORRUPT' && String(blocks) !== String([block])
      ? 'other blocks'
      : code;
  }
  const versions = versionsOf(block, into);
  return versions.every((version) => version === versions[0]) ? versions[0]! : -1;
}

/** What is not as it should be. */
async function compare(bench: Bench, volume: Volume, named: Named): Promise<string[]> {
  const refused = new Set(named.blocks ?? []);
  const wrong: string[] = [];
  // With what is refused, its neighbours, and some others; all of them now and then.
  const step = bench.random.below(20) === 0 ? 1 : 7;
  for (let block = 0; block < BLOCKS; block++) {
    const isNear = [block - 1, block, block + 1].some((one) => refused.has(one));
    if (!isNear && block % step !== 0) continue;
    const found = await readOne(volume, block);
    const isGood = found === bench.versions[block];
    const isRight = refused.has(block)
      ? found === named.code || (named.mayBeGood === true && isGood)
      : isGood;
    if (!isRight) wrong.push(`block ${block}: ${found}`);
  }
  return wrong;
}

async function check(bench: Bench, fault: Fault): Promise<string[]> {
  const { simulated, random } = bench;
  const isOpen = fault.when === 'open' || (fault.when === 'either' && random.below(2) === 0);
  let volume = isOpen ? await simulated.open() : undefined;
  if (volume !== undefined) {
    // Something is in memory, or nothing is.
    for (let i = random.below(3); i > 0; i--) await readOne(volume, random.below(BLOCKS));
  }
  const named = fault.apply(bench, volume);
  try {
    volume ??= await simulated.open({ identify: identityOf(simulated, 2n) });
  } catch (error) {
    const { code } = error as { code: string };
    return code === named.open ? [] : [`opening: ${code}`];
  }
  if (named.open !== undefined) return ['it was opened'];
  const wrong = await compare(bench, volume, named);
  const status = volume.status();
  for (const [key, value] of Object.entries(named.status ?? {})) {
    const found = status[key as keyof typeof status];
    if (found !== value) wrong.push(`${key}: ${String(found)}`);
  }
  if (!isOpen && status.state === 'open' && status.recovery!.regions !== (named.regions ?? 0))
    wrong.push(`${status.recovery!.regions} regions were recovered`);
  if (named.mended === true) wrong.push(...unmended(bench));
  if (named.settle !== undefined) {
    const code = await volume.settle().then(
      () => 'nothing',
      (error: unknown) => (error as { code: string }).code,
    );
    if (code !== named.settle || volume.status().state !== 'failed') wrong.push(`settle: ${code}`);
  }
  return wrong;
}

function unmended({ sidecar }: Bench): string[] {
  const copies = [0, 1, 2, 3].map((index) => Buffer.from(sidecar.visible(index * 4096, 512)));
  return copies.every((copy) => copy.equals(copies[0]!)) ? [] : ['the superblock was not mended'];
}

it(
  `each of ${FAULTS_ASKED} single faults is called what it is`,
  { timeout: 36_000_000 },
  async () => {
    const seeds = new Random();
    const template = await makeTemplate(seeds);
    const found: string[] = [];
    for (let i = 0; i < FAULTS_ASKED && found.length < 20; i++) {
      const random = seeds.fork();
      const fault = FAULTS[i % FAULTS.length]!;
      for (const what of await check(newBench(template, random), fault))
        found.push(`${fault.name}: ${what}`);
    }
    console.log(`seed ${seeds.seed}: ${FAULTS_ASKED} faults of ${FAULTS.length} kinds`);
    expect(found).toEqual([]);
  },
);
