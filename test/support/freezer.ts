// A file system that does not answer, for as long as a test wants.

import { onTestFinished } from 'vitest';
import { run } from './loop-device.js';

/** How long a frozen file system may stay so if a test does not get on: what waits for it cannot even be killed meanwhile. */
const THAW_MS = 20_000;

export interface Freezer {
  readonly freeze: () => void;
  readonly thaw: () => void;
}

/** Freezes the file system of a folder, until it is told otherwise or the test ends. */
export function freezer(folder: string): Freezer {
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
