// Shows that the crashes of volume-crash.test.ts notice what they are to notice: a volume without any one of the things that keep its rules is
// found out. Prints after how many crashes.
//
// RINGBOLT_VOLUME_MUTANT_ROUNDS: how often each is found out. Default 1.

import { afterAll, describe, expect, it } from 'vitest';
import { CompiledTests } from '../support/compiled.js';
import { Random } from '../support/random.js';
import { newSeen } from './crash/model.js';
import { runCrashProgram } from './crash/run-crashes.js';
import { MUTANTS, type Mutant } from './mutants.js';

const ROUNDS = Number(process.env['RINGBOLT_VOLUME_MUTANT_ROUNDS'] ?? 1);
/** How long is too long: many times what the most crashes take. A volume that hangs, its operations or the process, is noticed by that. */
const LIMIT_MS = 300_000;

const lines: string[] = [];

async function find({ name, changes, crashes }: Mutant, seed: number): Promise<void> {
  const compiled = new CompiledTests('volume', changes);
  try {
    const { seen, errors } = await runCrashProgram(compiled, [seed, crashes], LIMIT_MS).catch(
      (error: unknown) => {
        if (!(error as Error).message.includes(': hung')) throw error;
        return { seen: newSeen(), errors: [`hung for ${LIMIT_MS} ms`] };
      },
    );
    const what = errors.find((error) => !error.startsWith('machine'))?.split('\n')[0];
    lines.push(`${name}: ${seen.crashes} crashes, seed ${seed}: ${what?.slice(0, 90)}`);
    expect(errors.length, `seed ${seed}: not noticed in ${seen.crashes} crashes`).toBeGreaterThan(
      0,
    );
  } finally {
    compiled.remove();
  }
}

describe.concurrent(
  'a volume that lacks one thing is noticed',
  { timeout: 2 * ROUNDS * LIMIT_MS },
  () => {
    it.each(MUTANTS)('$name', async (mutant) => {
      const random = new Random(undefined);
      for (let round = 0; round < ROUNDS; round++) await find(mutant, random.fork().seed);
    });
  },
);

afterAll(() => {
  console.log(lines.join('\n'));
});
