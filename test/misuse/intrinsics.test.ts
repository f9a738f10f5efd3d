// Shows that an engine does its work in a process where JavaScript's own methods were replaced, as tracing and test tools do;
// and that it does no harm where the replacements throw.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { BLOCK, numbered } from '../lifecycle/numbered-file.js';
import { runProgram } from '../lifecycle/run-program.js';

const METHODS = [
  'Array.prototype.push',
  'Array.prototype.pop',
  'Array.prototype.map',
  'Array.prototype.@@iterator',
  'Array.isArray',
  'Promise.prototype.then',
  'Promise.prototype.finally',
  'Promise.all',
  'Map.prototype.get',
  'Set.prototype.add',
  'Object.keys',
  'Object.entries',
  'Math.min',
  'Number.isInteger',
  'Uint8Array.prototype.set',
  'Uint8Array.prototype.subarray',
  'Function.prototype.call',
  'process.nextTick',
  'setImmediate',
];

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'ringbolt-test-'));
  writeFileSync(path.join(folder, 'data'), numbered(256), { flush: true });
});
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

function run(method: string, how: string) {
  return runProgram('misuse/programs/patched-intrinsics.cjs', {
    args: [path.join(folder, 'data'), method, how],
    limitMs: 10_000,
  });
}

describe.concurrent('patched intrinsics', { timeout: 30_000 }, () => {
  it.for(METHODS)('an engine works where %s passes calls on', async (method, { expect }) => {
    const end = await run(method, 'passes calls on');
    const stdout = String(66 * BLOCK);
    expect(end).toEqual({ code: 0, signal: null, hung: false, stdout, stderr: '' });
  });

  // It may fail, as anything would: by an exception or a rejection, not by a crash or for ever.
  it.for(METHODS)('a process ends where %s throws', async (method, { expect }) => {
    const { signal, hung } = await run(method, 'throws');
    expect({ signal, hung }).toEqual({ signal: null, hung: false });
  });
});
