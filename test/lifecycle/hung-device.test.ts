// Shows that a device or file system that does not answer cannot keep a worker or an engine from ending, nor take the process
// along: what waits is left behind, and ends itself when the answer comes after all.

import type { ChildProcess } from 'node:child_process';
import { expect, it, onTestFinished } from 'vitest';
import { BACKENDS, needBackend } from '../support/backends.js';
import { ext4Folder, run } from '../support/loop-device.js';
import { runProgram } from './run-program.js';

/** How long a frozen file system may stay so if the program does not get on: it cannot even be killed meanwhile. */
const THAW_MS = 10_000;

/** Freezes the file system of a folder, until it is told otherwise or the test ends. */
function freezer(folder: string): { readonly freeze: () => void; readonly thaw: () => void } {
  let frozen = false;
  const thaw = () => {
    if (frozen) run('fsfreeze', '--unfreeze', folder);
    frozen = false;
  };
  onTestFinished(thaw);
  const freeze = () => {
    run('fsfreeze', '--freeze', folder);
    frozen = true;
    setTimeout(thaw, THAW_MS).unref();
  };
  return { freeze, thaw };
}

it.for([['open', 'io_uring'], ...BACKENDS.map((backend) => ['write', backend] as const)] as const)(
  'a worker is terminated though its %s is not answered: %s',
  { timeout: 30_000 },
  async ([what, backend], { skip }) => {
    await needBackend(backend, skip);
    const folder = ext4Folder(skip, 32 * 2 ** 20);
    const { freeze, thaw } = freezer(folder);
    const answers: Record<string, (child: ChildProcess) => void> = {
      'ready\n': (child) => {
        freeze();
        child.stdin?.write('frozen\n');
      },
      'ready\nended\n': (child) => {
        thaw();
        child.stdin?.write('thawed\n');
      },
    };
    const end = await runProgram('lifecycle/programs/hung.cjs', {
      args: [folder, what],
      env: { RINGBOLT_BACKEND: backend },
      onOutput: (stdout, child) => answers[stdout]?.(child),
    });
    const stdout = 'ready\nended\n{"threads":[]}';
    expect(end).toEqual({ code: 0, signal: null, hung: false, stdout, stderr: '' });
  },
);

it(
  'close({ timeoutMs }) gives up: everything settles, and says on what',
  { timeout: 30_000 },
  async ({ skip }) => {
    const folder = ext4Folder(skip, 32 * 2 ** 20);
    const { freeze, thaw } = freezer(folder);
    const end = await runProgram('lifecycle/programs/giving-up.cjs', {
      args: [folder],
      onOutput: (stdout, child) => {
        if (stdout === 'ready\n') {
          freeze();
          child.stdin?.write('frozen\n');
        } else {
          thaw();
        }
      },
    });
    const [, settled, left] = end.stdout.split('\n');
    const gaveUp = 'ERR_RINGBOLT_TIMEOUT close() gave up after 100 ms on';
    const outcome = JSON.parse(settled ?? '{}') as Record<string, unknown>;
    expect({ ...end, stdout: left }).toEqual({
      code: 0,
      signal: null,
      hung: false,
      stdout: '{"threads":[]}',
      stderr: '',
    });
    expect(outcome['waited']).toBe('ERR_RINGBOLT_TIMEOUT The operation took longer than 20 ms');
    expect(outcome['kept']).toBe(true);
    expect(outcome['closed']).toContain(
      `${gaveUp} 5 operations: write of 4096 bytes at 0 of '/data'`,
    );
    const [write, copied, split, opening] = outcome['settled'] as string[];
    expect(write).toBe('ERR_RINGBOLT_TIMEOUT The operation took longer than 20 ms');
    for (const other of [copied, split, opening]) expect(other).toContain(gaveUp);
    expect(outcome['memory']).toBe(0);
    expect(outcome['again']).toMatch(/^ERR_RINGBOLT_CLOSED/);
  },
);
