// Shows that a device or file system that does not answer cannot keep a worker or an engine from ending, nor take the process
// along: what waits is left behind, and ends itself when the answer comes after all.

import type { ChildProcess } from 'node:child_process';
import { expect, it } from 'vitest';
import { BACKENDS, needBackend } from '../support/backends.js';
import { freezer } from '../support/freezer.js';
import { ext4Folder } from '../support/loop-device.js';
import { runProgram } from './run-program.js';

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

it.for(BACKENDS)(
  'close({ timeoutMs }) gives up: everything settles, and says on what: %s',
  { timeout: 30_000 },
  async (backend, { skip }) => {
    await needBackend(backend, skip);
    const folder = ext4Folder(skip, 32 * 2 ** 20);
    const { freeze, thaw } = freezer(folder);
    const end = await runProgram('lifecycle/programs/giving-up.cjs', {
      args: [folder],
      env: { RINGBOLT_BACKEND: backend },
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
    const [write, copied, split, opening, trim] = outcome['settled'] as string[];
    expect(write).toBe('ERR_RINGBOLT_TIMEOUT The operation took longer than 20 ms');
    for (const other of [copied, split, opening, trim]) expect(other).toContain(gaveUp);
    expect(outcome['memory']).toBe(0);
    expect(outcome['again']).toMatch(/^ERR_RINGBOLT_CLOSED/);
  },
);
