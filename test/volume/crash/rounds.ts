// Crashes, one after the other: in the middle of work, in the middle of a recovery, and right behind one. After each the volume is recovered
// and every block that anybody knows is looked at; then its users go on.

import type { Volume } from '../../../dist/lib/volume/volume.js';
import { Seeded } from '../../support/seeded.js';
import { Machine } from './machine.js';
import type { CrashSeen } from './model.js';

/** Of one machine, while users work. */
const CRASHES_EACH = 50;

export interface CrashOptions {
  readonly seed: number;
  /** All of them: while users work, and in recoveries. */
  readonly crashes: number;
  readonly seen: CrashSeen;
}

/** What went wrong first, with the seed of its machine; nothing if all went well. */
export async function runCrashes({ seed, crashes, seen }: CrashOptions): Promise<string[]> {
  const seeds = new Seeded(seed);
  while (seen.crashes < crashes) {
    const machine = seeds.fork().seed;
    const errors = await runMachine(machine, seen);
    if (errors.length > 0) return [`machine ${machine}`, ...errors];
  }
  return [];
}

/** One machine and its crashes; what went wrong. */
export async function runMachine(seed: number, seen: CrashSeen): Promise<readonly string[]> {
  const random = new Seeded(seed);
  const machine = new Machine(random.fork(), seen);
  const failed = (error: unknown) => {
    machine.wrong((error as Error).stack ?? String(error));
  };
  try {
    await machine.create();
    const dirty = new Set<number>();
    for (let crash = 0; crash < CRASHES_EACH && !machine.isWrong; crash++) {
      const volume = await recover(machine, dirty, failed);
      await machine.examine(volume, dirty);
      await volume.settle();
      machine.checkClear();
      await live(machine, volume, failed);
      dirty.clear();
      for (const region of machine.dirty()) dirty.add(region);
    }
  } catch (error) {
    failed(error);
  }
  return machine.errors;
}

/** Perhaps not at the first attempt. `dirty`: regions that were marked at any crash since they were looked at. */
async function recover(
  machine: Machine,
  dirty: Set<number>,
  failed: (error: unknown) => void,
): Promise<Volume> {
  const { random, seen } = machine;
  const { sidecar, geometry } = machine.volume;
  while (random.below(3) === 0) {
    void machine.open().catch(failed);
    await machine.passUntilCrash(random.below(random.below(2) === 0 ? 12 : 120));
    machine.crash();
    seen.crashesInRecovery++;
    for (const region of machine.dirty()) dirty.add(region);
  }
  if (random.below(12) === 0) machine.loseTags();
  let volume = await machine.open();
  seen.recalculated += volume.status().recovery!.recalculated;
  if (random.below(4) === 0) {
    // Idempotent: nothing is left to be done, and nothing changes.
    const { offset } = geometry.layout.tags;
    const before = sidecar.medium.visible(offset).slice();
    machine.crash();
    seen.crashesInRecovery++;
    for (const region of machine.dirty()) machine.wrong(`region ${region} was not recovered`);
    volume = await machine.open();
    if (volume.status().recovery!.regions > 0) machine.wrong('something was left to be recovered');
    if (Buffer.compare(before, sidecar.medium.visible(offset)) !== 0)
      machine.wrong('a second recovery changed tags');
  }
  return volume;
}

/** Until the next crash. */
async function live(
  machine: Machine,
  volume: Volume,
  failed: (error: unknown) => void,
): Promise<void> {
  const { random, seen } = machine;
  const { data, sidecar } = machine.volume;
  machine.plant();
  if (random.below(3) === 0) data.faults.write = 0.02;
  if (random.below(3) === 0) data.faults.interrupt = 0.5;
  if (random.below(6) === 0) data.faults.flush = 0.02;
  if (random.below(6) === 0) sidecar.faults.write = 0.005;
  if (random.below(6) === 0) sidecar.faults.flush = 0.01;
  void machine.work(volume).catch(failed);
  await machine.passUntilCrash(10 + random.below(random.below(4) === 0 ? 400 : 80));
  if (volume.status().state === 'failed') seen.failedVolumes++;
  machine.crash();
}
