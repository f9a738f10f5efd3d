// Builds the native checksum benchmark as the native tests are built, without sanitizers, and runs it.
//
//   node bench/native/run.mjs [rounds] [milliseconds] [text]
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { configure } from '../../scripts/native-tests.mjs';
import { root, run } from '../../scripts/setup.mjs';

const TREE = 'build-cmake/plain';
const TARGET = 'ringbolt_checksum_bench';
const JOBS = String(availableParallelism());

process.exitCode =
  configure('plain') ||
  run('cmake', ['--build', TREE, '--target', TARGET, '--parallel', JOBS]) ||
  run(join(root, TREE, TARGET), process.argv.slice(2));
