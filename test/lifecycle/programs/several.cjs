// Engines in two workers and the main thread at once, all reading the same file and checking what they read.
// Arguments: the package, a data file, how many reads each.
'use strict';

const { isMainThread, Worker } = require('node:worker_threads');
const { engineThreads, readForEver, until } = require('./support.cjs');

const [packagePath, dataFile, reads] = process.argv.slice(2);

async function readMany() {
  const { Engine } = require(packagePath);
  const engine = await Engine.start({ queues: 2, pool: { bytes: 2 ** 20 } });
  const file = await engine.open(dataFile);
  const chains = readForEver(engine, file, 64);
  const count = () => engine.stats().classes.foreground.readsTotal;
  while (count() < Number(reads)) await file.read(0, new Uint8Array(4096));
  chains.end();
  await chains.ended;
  const { errorsTotal } = engine.stats().classes.foreground;
  await engine.close();
  if (errorsTotal > 0) throw new Error(`${errorsTotal} reads failed`);
}

async function main() {
  const workers = [1, 2].map(() => new Worker(__filename, { argv: process.argv.slice(2) }));
  const exits = workers.map(
    (worker) => new Promise((resolve, reject) => worker.on('exit', resolve).on('error', reject)),
  );
  await readMany();
  const codes = await Promise.all(exits);
  await until(() => engineThreads().length === 0);
  process.stdout.write(JSON.stringify({ codes, threads: engineThreads() }));
}

void (isMainThread ? main() : readMany());
