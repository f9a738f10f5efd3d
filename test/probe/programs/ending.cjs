// Ends workers, and then itself, while probes are under way.
'use strict';

const { Worker } = require('node:worker_threads');

const [packagePath] = process.argv.slice(2);

const SOURCE = `
  const { probe } = require(${JSON.stringify(packagePath)});
  const { parentPort } = require('node:worker_threads');
  for (let i = 0; i < 8; i++) probe().catch(() => {});
  parentPort.postMessage('under way');
`;

async function main() {
  for (let i = 0; i < 10; i++) {
    const worker = new Worker(SOURCE, { eval: true });
    await new Promise((resolve) => worker.once('message', resolve));
    await worker.terminate();
  }
  const { probe } = require(packagePath);
  for (let i = 0; i < 8; i++) probe().catch(() => {});
  process.stdout.write('{}', () => process.exit(0));
}

void main();
