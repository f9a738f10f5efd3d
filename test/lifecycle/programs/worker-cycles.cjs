// Starts and ends workers one after the other: first so many that do nothing, then so many with an engine each, of which every
// second one is terminated in the middle of its reads. Prints what the process held around both. Run with --expose-gc.
// Arguments: the package, a data file, how many of each.
'use strict';

const { readdirSync } = require('node:fs');
const { isMainThread, parentPort, Worker } = require('node:worker_threads');
const { setImmediate } = require('node:timers/promises');
const { collectUntil, descriptors, mappingCount, readForEver } = require('./support.cjs');

const [packagePath, dataFile, rounds] = process.argv.slice(2);
const WARM_UP = 5;

const KINDS = {
  bare() {
    parentPort.postMessage('now');
  },
  async ended() {
    const { engine, chains } = await reading();
    chains.end();
    await chains.ended;
    await engine.close();
    parentPort.postMessage('now');
  },
  async terminated() {
    await reading();
    parentPort.postMessage('now');
  },
};

/** An engine with 64 reads in flight, after some thousand of them. */
async function reading() {
  const { Engine } = require(packagePath);
  const engine = await Engine.start({ pool: { bytes: 2 ** 20 } });
  const chains = readForEver(engine, await engine.open(dataFile), 64);
  while (engine.stats().classes.foreground.readsTotal < 1000) await setImmediate();
  return { engine, chains };
}

async function cycle(kind) {
  const worker = new Worker(__filename, { argv: [...process.argv.slice(2), kind] });
  const failed = new Promise((_, reject) => worker.once('error', reject));
  const exited = new Promise((resolve) => worker.once('exit', resolve));
  await Promise.race([new Promise((resolve) => worker.once('message', resolve)), failed]);
  if (kind === 'terminated') await worker.terminate();
  await exited;
}

const threads = () => readdirSync('/proc/self/task').length;

async function held(threadsAtMost = Infinity) {
  // The kernel takes a joined thread off its list a moment later, finalizers run a turn after the collection.
  let collections = 0;
  await collectUntil(() => ++collections >= 10 && threads() <= threadsAtMost);
  return {
    threads: threads(),
    descriptors: descriptors(),
    mappings: mappingCount(),
    rssBytes: process.memoryUsage().rss,
  };
}

async function main() {
  for (let i = 0; i < WARM_UP; i++) for (const kind of Object.keys(KINDS)) await cycle(kind);
  const before = await held();
  for (let i = 0; i < Number(rounds); i++) await cycle('bare');
  const between = await held(before.threads);
  for (let i = 0; i < Number(rounds); i++) await cycle(i % 2 === 0 ? 'ended' : 'terminated');
  const after = await held(before.threads);
  process.stdout.write(JSON.stringify({ before, between, after }));
}

void (isMainThread ? main() : KINDS[process.argv[5]]());
