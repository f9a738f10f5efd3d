// Stops engines of the addon and starts them afterwards. Prints the threads that are left. Arguments: the package.
'use strict';

const path = require('node:path');
const { engineThreads, until } = require('../../lifecycle/programs/support.cjs');

const [packagePath] = process.argv.slice(2);
const { NativeEngine } = require(path.join(path.dirname(packagePath), 'native.js'));

const OPTIONS = {
  queueCpus: [[]],
  depth: 8,
  maxFiles: 1,
  poolParts: [{ node: -1, bytes: 4096 }],
  largeBytes: 0,
  hugePages: 0,
  slabClasses: [4096],
  backend: 0,
  without: [],
};

async function main() {
  for (let i = 0; i < 20; i++) {
    const engine = new NativeEngine(OPTIONS, () => {});
    const stopped = engine.stop();
    try {
      void engine.start().catch(() => {});
    } catch {
      // Good: it says so.
    }
    await stopped;
  }
  await until(() => engineThreads().length === 0);
  process.stdout.write(JSON.stringify({ threads: engineThreads() }));
}

void main();
