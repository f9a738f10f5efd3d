// Fuzzes the checksum kernels with libFuzzer, under AddressSanitizer and UBSan.
//
//   node scripts/fuzz-checksum.mjs [seconds]      default: 30
//
// Inputs that were worth keeping stay in build-cmake/fuzz/corpus, and one that failed in
// build-cmake/fuzz/crash-…; give its path instead of the seconds to run it again.
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { root, run, which } from './setup.mjs';

const TREE = join(root, 'build-cmake/fuzz');
const TARGET = 'ringbolt_checksum_fuzz';

const compiler = ['clang++-19', 'clang++'].find((name) => which(name));
if (!compiler) {
  console.log('SKIPPED: clang++ was not found (clang-19, libclang-rt-19-dev)');
  process.exit(0);
}

const argument = process.argv[2] ?? '30';
const corpus = join(TREE, 'corpus');
// Long enough for every size class of a kernel and several blocks. The dictionary of comparisons
// that libFuzzer keeps is of no use against checksums.
const fuzz = [
  ...[`-max_total_time=${argument}`, '-max_len=10000', '-len_control=0', '-use_cmp=0'],
  ...['-print_final_stats=1', `-artifact_prefix=${TREE}/`, corpus],
];
mkdirSync(corpus, { recursive: true });

process.exitCode =
  run('cmake', [
    ...['-S', '.', '-B', TREE, '--log-level=warning', '-DCMAKE_BUILD_TYPE=RelWithDebInfo'],
    ...[`-DCMAKE_CXX_COMPILER=${compiler}`, '-DRINGBOLT_SANITIZE=fuzzer'],
    ...['-DRINGBOLT_BUILD_ADDON=OFF', `-DNODE=${process.execPath}`],
  ]) ||
  run('cmake', ['--build', TREE, '--target', TARGET]) ||
  run(join(TREE, TARGET), existsSync(argument) ? [argument] : fuzz, {
    minutes: 10 + (Number(argument) || 0) / 60,
    env: { UBSAN_OPTIONS: 'print_stacktrace=1:halt_on_error=1' },
  });
