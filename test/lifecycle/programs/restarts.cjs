// Starts and closes an engine many times; prints what the process holds early and at the end. Run with --expose-gc.
// Arguments: the package, a data file, how often.
'use strict';

const { BLOCK, collectUntil, descriptors, engineThreads, mappingCount } = require('./support.cjs');

const [packagePath, dataFile, rounds] = process.argv.slice(2);
const { Engine } = require(packagePath);

async function once() {
  const engine = await Engine.start({ queues: 2, pool: { bytes: 2 ** 20 } });
  const file = await engine.open(dataFile);
  const lease = engine.pool.acquire(BLOCK);
  await file.read(0, lease);
  lease.release();
  await engine.close();
}

async function held() {
  // Finalizers run a turn after the collection, and what they free may need another.
  let collections = 0;
  await collectUntil(() => engineThreads().length === 0 && ++collections >= 10);
  return {
    threads: engineThreads().length,
    descriptors: descriptors(),
    mappings: mappingCount(),
    externalBytes: process.memoryUsage().arrayBuffers,
  };
}

async function main() {
  for (let i = 0; i < 10; i++) await once();
  const before = await held();
  for (let i = 0; i < Number(rounds); i++) await once();
  process.stdout.write(JSON.stringify({ before, after: await held() }));
}

void main();
