// Terminates a worker whose engine waits for a file system that does not answer. The test freezes and thaws that file system,
// and is told when by what this prints: `ready`, `ended`, and at last what was left.
// Arguments: the package, a folder of the file system, what the engine waits for.
'use strict';

const { isMainThread, parentPort, Worker } = require('node:worker_threads');
const path = require('node:path');
const { BLOCK, engineThreads, hangs, until } = require('./support.cjs');

const [packagePath, folder, what] = process.argv.slice(2);

async function work() {
  const { Engine } = require(packagePath);
  const engine = await Engine.start({ pool: { bytes: 2 ** 20 } });
  const options = { access: 'read-write', create: true, size: 16 * BLOCK };
  const file = await engine.open(path.join(folder, 'open'), options);
  parentPort.once('message', () => {
    if (what === 'open') void engine.open(path.join(folder, 'new'), options);
    if (what === 'write') void file.write(0, engine.pool.acquire(BLOCK));
  });
  parentPort.postMessage('ready');
}

async function main() {
  const told = process.stdin.setEncoding('utf8')[Symbol.asyncIterator]();
  const worker = new Worker(__filename, { argv: process.argv.slice(2) });
  worker.on('error', (error) => {
    throw error;
  });
  await new Promise((resolve) => worker.once('message', resolve));
  process.stdout.write('ready\n');
  await told.next();
  worker.postMessage('go');
  if (!(await until(hangs))) throw new Error('it does not hang');
  await worker.terminate();
  process.stdout.write('ended\n');
  await told.next();
  await until(() => engineThreads().length === 0);
  process.stdout.write(JSON.stringify({ threads: engineThreads() }));
  process.exit();
}

void (isMainThread ? main() : work());
