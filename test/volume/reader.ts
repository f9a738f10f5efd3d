// Runs reader.py, which knows the format from its documentation alone.

import { execFileSync } from 'node:child_process';
import path from 'node:path';
import type { TestContext } from 'vitest';

const program = path.join(import.meta.dirname, 'reader.py');

/** Skips a test where there is no Python, with the reason. */
export function needPython(skip: TestContext['skip']): void {
  try {
    execFileSync('python3', ['-c', 'import json'], { stdio: 'pipe' });
  } catch (error) {
    skip(`no python3 here: ${(error as Error).message.trim()}`);
  }
}

/** What it prints. */
export function runReader(...args: (string | number)[]): unknown {
  const output = execFileSync('python3', [program, ...args.map(String)], { stdio: 'pipe' });
  return JSON.parse(output.toString());
}
