// When the figures mean less than they seem to. Each warning says what was seen and what that does to the figures.

import fs from 'node:fs';
import { readText } from '../lib/topology/sysfs.js';
import type { Environment } from './environment.js';
import type { Plan } from './plan.js';
import type { Result } from './results.js';
import { isInMemory } from './target.js';

const SPREAD_LIMIT = 0.2;
const LOAD_LIMIT_PER_CPU = 0.5;
const LEAST_ROUNDS = 3;
const SHORT_SECONDS = 1;
const ALLOCATION_UNIT_BYTES = 512;

/** Of the machine and the target, known before the first measurement. */
export function warnAboutEnvironment(
  { target, nativeBuild, loadAverage, cpusAllowed, secondsPerMeasurement }: Environment,
  file: string,
  remarks: string,
): readonly string[] {
  const warnings: string[] = [];
  if (!nativeBuild.optimized) {
    warnings.push('The addon is a debug build: ringbolt is slower than it would be.');
  }
  if (nativeBuild.sanitizer !== '') {
    warnings.push(`The addon runs under ${nativeBuild.sanitizer}: its figures mean nothing.`);
  }
  if (isInMemory(target.fileSystem ?? undefined)) {
    warnings.push(`The target is in memory (${String(target.fileSystem)}): no disk was measured.`);
  }
  if (!target.direct) {
    const why = remarks === '' ? '' : ` (${remarks})`;
    warnings.push(`Without O_DIRECT${why}, the page cache was measured more than the disk.`);
  }
  if (isSparse(file)) {
    warnings.push('The target has holes: reading them does not reach the disk.');
  }
  if (loadAverage > LOAD_LIMIT_PER_CPU * cpusAllowed) {
    warnings.push(
      `The load average was ${loadAverage.toFixed(2)} at the start: ` +
        'something else was using this machine.',
    );
  }
  if (secondsPerMeasurement < SHORT_SECONDS) {
    warnings.push(
      `Each measurement took ${secondsPerMeasurement} s only: ` +
        'rare slow operations may not have come up, and p99.9 is made of few.',
    );
  }
  if (governor() === 'powersave') {
    warnings.push("The CPU frequency governor is 'powersave': CPU time per operation may be high.");
  }
  return warnings;
}

/** Of what came out. */
export function warnAboutResults(plan: Plan, results: readonly Result[]): readonly string[] {
  const warnings: string[] = [];
  for (const { workload, depth } of plan.comparisons) {
    if (depth === workload.depth) continue;
    warnings.push(
      `${workload.name} ran with ${depth} operations in flight, whatever its name says.`,
    );
  }
  for (const result of results) {
    const name = `${result.workload} with ${result.peer}`;
    const failed = result.rounds.filter((round) => round.status === 'failed');
    const left = result.rounds.length - failed.length;
    if (failed[0] !== undefined && left > 0) {
      warnings.push(`${name}: ${failed.length} rounds failed: ${failed[0].error}`);
    }
    if (left > 0 && left < LEAST_ROUNDS) {
      warnings.push(`${name}: a median of ${left} rounds says little.`);
    }
    if (result.status === 'ok' && result.spread > SPREAD_LIMIT) {
      const percent = (result.spread * 100).toFixed(0);
      warnings.push(`${name}: rounds differ by ${percent} %; trust ratios more than figures.`);
    }
  }
  return warnings;
}

function isSparse(file: string): boolean {
  const stat = fs.statSync(file);
  return stat.isFile() && stat.blocks * ALLOCATION_UNIT_BYTES < stat.size;
}

function governor(): string | undefined {
  return readText('/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor');
}
