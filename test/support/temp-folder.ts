// A folder of its own for each test, on a real file system unless another is named, gone when the test is.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { onTestFinished } from 'vitest';

export function tempFolder(parent = tmpdir()): string {
  const folder = mkdtempSync(path.join(parent, 'ringbolt-test-'));
  onTestFinished(() => {
    rmSync(folder, { recursive: true, force: true });
  });
  return folder;
}
