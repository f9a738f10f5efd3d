// The command as a user starts it: a process, its output and its exit code.

import { spawnSync } from 'node:child_process';
import path from 'node:path';

export const MAIN = path.join(import.meta.dirname, '..', '..', 'dist', 'lib', 'cli', 'main.js');

export interface CliResult {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export function runCli(...args: readonly string[]): CliResult {
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, ...args], {
    encoding: 'utf8',
    timeout: 120_000,
  });
  return { exitCode: status, stdout, stderr };
}
