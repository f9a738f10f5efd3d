// Shows that arguments which change while they are looked at, lie about themselves, or do something when they are touched
// cannot get round the checks: the call settles, nothing is thrown where nobody can catch it, and the engine goes on,
// with every slab in one place.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { numbered } from '../lifecycle/numbered-file.js';
import { packagePath, runProgram } from '../lifecycle/run-program.js';

const program = path.join(import.meta.dirname, 'programs', 'hostile.cjs');
/** The program's own table: without a case it prints what it has. */
const cases = JSON.parse(
  execFileSync(process.execPath, [program, packagePath], { encoding: 'utf8' }),
) as string[];

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'ringbolt-test-'));
  writeFileSync(path.join(folder, 'data'), numbered(256), { flush: true });
});
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

const UNHARMED = {
  settled: true,
  uncaught: [],
  whole: true,
  bystandersIntact: true,
  sharedSlabs: 0,
  closed: true,
};

// Concurrently, as each is a process of its own, and so that one that hangs does not hold up the others.
describe.concurrent('an engine withstands', { timeout: 30_000 }, () => {
  it.for(cases)('%s', async (name, { expect }) => {
    const end = await runProgram('misuse/programs/hostile.cjs', {
      args: [path.join(folder, 'data'), name],
      limitMs: 10_000,
    });
    expect(end).toMatchObject({ code: 0, signal: null, hung: false, stderr: '' });
    expect(JSON.parse(end.stdout)).toEqual(UNHARMED);
  });
});
