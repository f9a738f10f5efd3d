// Block devices and file systems of a test's own, gone when the test is. They need root and a kernel that has them: a test that
// cannot have one is skipped, with the reason.

import { execFileSync } from 'node:child_process';
import { mkdirSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { onTestFinished, type TestContext } from 'vitest';
import { tempFolder } from './temp-folder.js';

type Skip = TestContext['skip'];

export function run(command: string, ...args: string[]): string {
  return execFileSync(command, args, { stdio: 'pipe' }).toString().trim();
}

/** Runs `make`, or skips the test with what it says. */
function orSkip<T>(skip: Skip, what: string, make: () => T): T {
  try {
    return make();
  } catch (error) {
    return skip(`no ${what} can be had here: ${(error as Error).message.trim()}`);
  }
}

/** A loop device over a file of these contents. */
export function loopDevice(skip: Skip, contents: Uint8Array): string {
  const image = path.join(tempFolder(), 'image');
  writeFileSync(image, contents, { flush: true });
  return loopDeviceOver(skip, image);
}

/** A loop device over a file that there is. */
export function loopDeviceOver(skip: Skip, image: string): string {
  const device = orSkip(skip, 'loop device', () => run('losetup', '--find', '--show', image));
  onTestFinished(() => {
    run('losetup', '--detach', device);
  });
  return device;
}

/** A folder on a mount of its own: what follows are mount's options and the device. */
export function mountedFolder(skip: Skip, ...args: string[]): string {
  const mounted = path.join(tempFolder(), 'mounted');
  mkdirSync(mounted);
  orSkip(skip, 'mount', () => run('mount', ...args, mounted));
  onTestFinished(() => {
    try {
      run('umount', mounted);
    } catch {
      run('umount', '--lazy', mounted);
    }
  });
  return mounted;
}

/** An ext4 of that size, on a loop device. */
export function ext4Folder(skip: Skip, bytes: number): string {
  const image = path.join(tempFolder(), 'image');
  writeFileSync(image, '');
  truncateSync(image, bytes);
  orSkip(skip, 'ext4', () => run('mkfs.ext4', '-q', image));
  return mountedFolder(skip, '-o', 'loop', image);
}
