// Runs programs/crashes.ts, in a process that may also hang, or be of a volume that was changed (mutants.ts).

import { runProgram } from '../../lifecycle/run-program.js';
import type { CompiledTests } from '../../support/compiled.js';
import type { CrashSeen } from './model.js';

export interface CrashReport {
  readonly seen: CrashSeen;
  /** What went wrong first; nothing if all went well. */
  readonly errors: readonly string[];
}

/** `args`: of the program. */
export async function runCrashProgram(
  compiled: CompiledTests,
  args: readonly (string | number)[],
  limitMs: number,
): Promise<CrashReport> {
  const end = await runProgram(compiled.add('volume/programs/crashes.ts'), {
    // Most of what is made is gone a moment later.
    node: ['--max-semi-space-size=32'],
    args: args.map(String),
    limitMs,
  });
  const line = end.stdout.split('\n').find((text) => text.startsWith('{'));
  if (line !== undefined) return JSON.parse(line) as CrashReport;
  const how = end.hung ? 'hung' : `ended with ${String(end.signal ?? end.code)}`;
  throw new Error(`${args.join(' ')}: ${how}\n${end.stderr}`);
}
