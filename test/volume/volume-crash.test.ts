// Shows the three promises of a volume, wherever the power fails or the process ends, also while it is being recovered: an acknowledged
// flush survives; damaged data is never returned as good, but for what happened inside a dirty region before a crash; a crash never looks
// like damage. What happens there is in crash/, and mutants.test.ts shows what it would notice.
//
// RINGBOLT_VOLUME_CRASHES: how many, all together; default 100,000. RINGBOLT_VOLUME_MACHINE: one machine again, by the seed that was printed.

import { availableParallelism } from 'node:os';
import { expect, it, onTestFinished } from 'vitest';
import { CompiledTests } from '../support/compiled.js';
import { Random } from '../support/random.js';
import { newSeen, type CrashSeen } from './crash/model.js';
import { runCrashProgram, type CrashReport } from './crash/run-crashes.js';

const CRASHES = Number(process.env['RINGBOLT_VOLUME_CRASHES'] ?? 100_000);
const MACHINE = process.env['RINGBOLT_VOLUME_MACHINE'];
/** Below, not everything is sure to happen. */
const ENOUGH = 5000;
/** Of one process. How long is too long, not how long it takes. */
const LIMIT_MS = 36_000_000;

function sumOf(reports: readonly CrashReport[]): CrashSeen {
  const sum = newSeen();
  for (const { seen } of reports) {
    for (const key of Object.keys(sum) as (keyof CrashSeen)[]) sum[key] += seen[key];
  }
  return sum;
}

function compile(): CompiledTests {
  const compiled = new CompiledTests();
  onTestFinished(() => {
    compiled.remove();
  });
  return compiled;
}

async function crashes(): Promise<void> {
  const random = new Random();
  const compiled = compile();
  const processes = Math.min(availableParallelism(), Math.ceil(CRASHES / 1000));
  const each = Math.ceil(CRASHES / processes);
  const start = performance.now();
  const reports = await Promise.all(
    Array.from({ length: processes }, () =>
      runCrashProgram(compiled, [random.fork().seed, each], LIMIT_MS),
    ),
  );
  const seconds = (performance.now() - start) / 1000;
  const seen = sumOf(reports);
  const rate = `${(seen.crashes / seconds).toFixed(0)} crashes a second in ${processes} processes`;
  console.log(`seed ${random.seed}: ${JSON.stringify(seen)}: ${rate}`);
  expect(reports.flatMap(({ errors }) => errors)).toEqual([]);
  expect(seen.crashes).toBeGreaterThanOrEqual(CRASHES);
  if (CRASHES < ENOUGH) return;
  for (const [what, count] of Object.entries(seen)) expect(count, what).toBeGreaterThan(5);
}

async function crashesOfMachine(seed: string): Promise<void> {
  const { seen, errors } = await runCrashProgram(compile(), ['machine', seed], LIMIT_MS);
  console.log(JSON.stringify(seen));
  expect(errors).toEqual([]);
}

if (MACHINE === undefined)
  it(`a volume keeps its promises through ${CRASHES} crashes`, crashes, LIMIT_MS);
else
  it(
    `a volume keeps its promises in machine ${MACHINE}`,
    () => crashesOfMachine(MACHINE),
    LIMIT_MS,
  );
