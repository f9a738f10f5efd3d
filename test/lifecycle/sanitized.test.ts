// Shows that the programs of these tests, and those that misuse the addon, touch no memory they may not: under the address
// sanitizer and the one for undefined behaviour. Slower than the real thing, so each does less.

import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { expect, it, type TestContext } from 'vitest';
import { Random } from '../support/random.js';
import { tempFolder } from '../support/temp-folder.js';
import { numberedFile } from './numbered-file.js';
import { runProgram } from './run-program.js';

const root = path.join(import.meta.dirname, '..', '..');
const ADDON = path.join(root, 'build-cmake', 'asan', 'ringbolt.node');

function newestSourceMs(): number {
  const folder = path.join(root, 'native');
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  const sources = names.filter((name) => /\.(cc|h)$/.test(name));
  return Math.max(...sources.map((name) => statSync(path.join(folder, name)).mtimeMs));
}

/** What makes a program load the sanitized addon. Skips the test where there is none. */
function sanitizedEnv(skip: TestContext['skip']): NodeJS.ProcessEnv {
  if (!existsSync(ADDON)) skip('there is no sanitized addon: "npm run test:native" builds it');
  if (statSync(ADDON).mtimeMs < newestSourceMs()) {
    skip('the sanitized addon is older than its sources: "npm run test:native" builds it');
  }
  const libasan = execFileSync('g++', ['-print-file-name=libasan.so'], { encoding: 'utf8' }).trim();
  // node-gyp-build looks here instead of into the package.
  const folder = tempFolder();
  mkdirSync(path.join(folder, 'build', 'Release'), { recursive: true });
  copyFileSync(ADDON, path.join(folder, 'build', 'Release', 'ringbolt.node'));
  return {
    RINGBOLT_PREBUILD: folder,
    LD_PRELOAD: libasan,
    // Node itself leaves things behind at its end.
    ASAN_OPTIONS: 'detect_leaks=0',
    UBSAN_OPTIONS: 'halt_on_error=1',
    // Forgotten leases are warned about; only a sanitizer shall be heard here.
    NODE_NO_WARNINGS: '1',
  };
}

const GC = ['--expose-gc'];

it.for<[string, string[], string[]?]>([
  ['lifecycle/programs/workers.cjs', ['FILE', '10', 'reads']],
  ['lifecycle/programs/workers.cjs', ['FILE', '10', 'single']],
  ['lifecycle/programs/workers.cjs', ['FILE', '5', 'copies']],
  ['lifecycle/programs/workers.cjs', ['FILE', '10', 'starting']],
  ['lifecycle/programs/workers.cjs', ['FILE', '10', 'opening']],
  ['lifecycle/programs/workers.cjs', ['FILE', '5', 'closing']],
  ['lifecycle/programs/workers.cjs', ['FILE', '5', 'nested']],
  ['lifecycle/programs/workers.cjs', ['FILE', '5', 'nothing']],
  ['lifecycle/programs/ending.cjs', ['FILE', 'close']],
  ['lifecycle/programs/ending.cjs', ['FILE', 'idle']],
  ['lifecycle/programs/forgotten.cjs', ['FILE', 'engine'], GC],
  ['lifecycle/programs/forgotten.cjs', ['FILE', 'leases'], GC],
  ['lifecycle/programs/forgotten.cjs', ['FILE', 'leasesInFlight'], GC],
  ['lifecycle/programs/forgotten.cjs', ['FILE', 'engineButNotAView'], GC],
  ['lifecycle/programs/forgotten.cjs', ['FILE', 'engineNeverStarted'], GC],
  ['lifecycle/programs/several.cjs', ['FILE', '2000']],
  ['lifecycle/programs/throwing.cjs', ['FILE']],
  ['checksum/programs/levels.cjs', []],
  ['checksum/programs/threads.cjs', ['ended', '200']],
  ['checksum/programs/threads.cjs', ['terminated', '200']],
  ['misuse/programs/addon-checksum.cjs', ['SEED', '3000']],
  ['probe/programs/probe.cjs', ['3', 'FILE']],
  ['probe/programs/ending.cjs', []],
  ['misuse/programs/ring-fuzz.cjs', ['FILE', 'SEED', '200']],
  ['misuse/programs/addon-constructor.cjs', []],
  ['misuse/programs/addon-callbacks.cjs', ['throws'], GC],
  ['misuse/programs/addon-callbacks.cjs', ['stops and forgets'], GC],
])('%s %s', { timeout: 60_000 }, async ([program, args, node = []], { skip }) => {
  const env = sanitizedEnv(skip);
  const given: Record<string, () => string> = {
    FILE: numberedFile,
    SEED: () => String(new Random().seed),
  };
  const end = await runProgram(program, {
    args: args.map((arg) => given[arg]?.() ?? arg),
    node,
    env,
    limitMs: 50_000,
  });
  expect(end).toMatchObject({ code: 0, signal: null, hung: false, stderr: '' });
});
