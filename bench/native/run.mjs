// Builds a native benchmark as the native tests are built, without sanitizers, and runs it.
//
//   node bench/native/run.mjs checksum [rounds] [milliseconds] [text]
//   node bench/native/run.mjs pool [rounds] [milliseconds]
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { configure } from '../../scripts/native-tests.mjs';
import { root, run } from '../../scripts/setup.mjs';

const TREE = 'build-cmake/plain';
const TARGETS = { checksum: 'ringbolt_checksum_bench', pool: 'ringbolt_pool_bench' };
const JOBS = String(availableParallelism());

function main([name = '', ...args]) {
  if (!Object.hasOwn(TARGETS, name)) {
    console.error(`'${name}' is none of ${Object.keys(TARGETS).join(', ')}`);
    return 1;
  }
  const target = TARGETS[name];
  return (
    configure('plain') ||
    run('cmake', ['--build', TREE, '--target', target, '--parallel', JOBS]) ||
    run(join(root, TREE, target), args)
  );
}

process.exitCode = main(process.argv.slice(2));
