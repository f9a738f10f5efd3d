// Runs the checksum tests for arm64 on another machine: cross-compiled, under qemu-user. What they
// cannot show is speed, and the kernel's side of anything.
//
//   node scripts/test-arm64.mjs
//
// Needs g++-aarch64-linux-gnu, qemu-user-static, doctest-dev and libxxhash-dev; says so and skips
// where the first two are missing.
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root, run, which } from './setup.mjs';

const COMPILER = 'aarch64-linux-gnu-g++';
const EMULATOR = 'qemu-aarch64-static';
const TREE = join(root, 'build-cmake/arm64');

const COMMON = [
  ...['-std=c++20', '-O2', '-fno-rtti', '-fno-omit-frame-pointer', '-Wall', '-Wextra', '-Werror'],
  ...['-I', 'native', '-I', 'test/native', '-DRINGBOLT_HAVE_XXHASH=1', '-DRINGBOLT_HAVE_ISAL=0'],
  // Header-only libraries of the host's; its C library's headers come too late to be seen.
  ...['-idirafter', '/usr/include'],
];
// As in binding.gyp and CMakeLists.txt.
const ARMV8 = ['-march=armv8-a+crc+crypto'];

const sources = (list) => readFileSync(join(root, list), 'utf8').split('\n').filter(Boolean);
const checksum = (name) => name.includes('/checksum/');

function compile(source, flags) {
  const object = join(TREE, `${source.replaceAll('/', '.')}.o`);
  const code = run(COMPILER, [...COMMON, ...flags, '-c', source, '-o', object]);
  if (code !== 0) process.exit(code);
  return object;
}

const missing = [COMPILER, EMULATOR].filter((program) => !which(program));
if (missing.length > 0) {
  console.log(
    `SKIPPED: ${missing.join(' and ')} not found (g++-aarch64-linux-gnu, qemu-user-static)`,
  );
  process.exit(0);
}

mkdirSync(TREE, { recursive: true });
const tests = ['test/native/main.cc', ...sources('test/native/sources.txt').filter(checksum)];
const objects = [
  ...sources('native/sources.txt')
    .filter(checksum)
    .map((source) => compile(source, ['-fno-exceptions', '-O3'])),
  ...sources('native/sources-armv8.txt').map((source) =>
    compile(source, ['-fno-exceptions', '-O3', ...ARMV8]),
  ),
  ...tests.map((source) => compile(source, ['-fexceptions'])),
];
const binary = join(TREE, 'checksum-tests');
const code =
  run(COMPILER, ['-static', ...objects, '-o', binary]) ||
  // With the best kernel chosen, and with the one that needs nothing.
  run(EMULATOR, ['-cpu', 'max', binary]) ||
  run(EMULATOR, ['-cpu', 'max', binary], { env: { RINGBOLT_SIMD: 'portable' } });
process.exitCode = code;
