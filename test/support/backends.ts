// What engines can be made of, for tests that run once over each; and how a machine without one of them is made.

import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { Engine } from 'ringbolt';
import type { TestContext } from 'vitest';
import { tempFolder } from './temp-folder.js';

export const BACKENDS = ['io_uring', 'aio', 'threads'] as const;
export type Backend = (typeof BACKENDS)[number];

/** Skips a test where the machine has no such backend, with the reason. */
export async function needBackend(backend: Backend, skip: TestContext['skip']): Promise<void> {
  try {
    const engine = await Engine.start({ backend, pool: { bytes: 2 ** 20 } });
    await engine.close();
  } catch (error) {
    skip((error as Error).message);
  }
}

/** The command that runs another one without system calls; its first arguments are the errno and which (forbid.c). */
export function forbidCommand(skip: TestContext['skip']): string {
  const source = path.join(import.meta.dirname, '..', 'engine', 'programs', 'forbid.c');
  const program = path.join(tempFolder(), 'forbid');
  try {
    execFileSync('gcc', ['-o', program, source], { stdio: 'pipe' });
    execFileSync(program, ['EPERM', 'io_uring', 'true'], { stdio: 'pipe' });
  } catch (error) {
    skip(`no seccomp filter can be made here: ${(error as Error).message.trim()}`);
  }
  return program;
}
