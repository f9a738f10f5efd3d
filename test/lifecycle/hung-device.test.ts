// Shows that a device or file system that does not answer cannot keep a worker from ending, nor take the process along:
// what waits is left behind, and ends itself when the answer comes after all.

import { execFileSync, type ChildProcess } from 'node:child_process';
import { mkdirSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, it, onTestFinished, type TestContext } from 'vitest';
import { tempFolder } from '../support/temp-folder.js';
import { runProgram } from './run-program.js';

/** How long a frozen file system may stay so if the program does not get on: it cannot even be killed meanwhile. */
const THAW_MS = 10_000;

function run(command: string, ...args: string[]): void {
  execFileSync(command, args, { stdio: 'pipe' });
}

/** A file system of its own, on a loop device. Skips the test where that cannot be had. */
function mountedFolder(skip: TestContext['skip']): string {
  const folder = tempFolder();
  const image = path.join(folder, 'image');
  const mounted = path.join(folder, 'mounted');
  mkdirSync(mounted);
  writeFileSync(image, '');
  truncateSync(image, 32 * 2 ** 20);
  try {
    run('mkfs.ext4', '-q', image);
    run('mount', '-o', 'loop', image, mounted);
  } catch (error) {
    skip(`no loop device can be mounted here: ${(error as Error).message.trim()}`);
  }
  onTestFinished(() => {
    try {
      run('umount', mounted);
    } catch {
      run('umount', '--lazy', mounted);
    }
  });
  return mounted;
}

it.for(['open', 'write'])(
  'a worker is terminated though its %s is not answered',
  { timeout: 30_000 },
  async (what, { skip }) => {
    const folder = mountedFolder(skip);
    let frozen = false;
    const thaw = () => {
      if (frozen) run('fsfreeze', '--unfreeze', folder);
      frozen = false;
    };
    onTestFinished(thaw);
    const answers: Record<string, (child: ChildProcess) => void> = {
      'ready\n': (child) => {
        run('fsfreeze', '--freeze', folder);
        frozen = true;
        setTimeout(thaw, THAW_MS).unref();
        child.stdin?.write('frozen\n');
      },
      'ready\nended\n': (child) => {
        thaw();
        child.stdin?.write('thawed\n');
      },
    };
    const end = await runProgram('lifecycle/programs/hung.cjs', {
      args: [folder, what],
      onOutput: (stdout, child) => answers[stdout]?.(child),
    });
    const stdout = 'ready\nended\n{"threads":[]}';
    expect(end).toEqual({ code: 0, signal: null, hung: false, stdout, stderr: '' });
  },
);
