// Gives the addon a callback that misbehaves. Prints what came of it. Arguments: the package, in which way it misbehaves.
'use strict';

const path = require('node:path');
const { engineThreads, until } = require('../../lifecycle/programs/support.cjs');

const [packagePath, way] = process.argv.slice(2);
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
const KICKS = 200;

let engine;
let delivered = 0;
let uncaught = 0;
process.on('uncaughtException', () => uncaught++);

const WAYS = {
  throws() {
    throw new Error('as asked');
  },
  kicks() {
    if (delivered < KICKS) engine.kick(0, 1);
  },
  stops() {
    void engine.stop();
  },
  'stops and forgets'() {
    void engine.stop();
    engine = undefined;
    globalThis.gc();
  },
  'starts again'() {
    void engine.start();
  },
  'closes what is not open'() {
    void engine.closeFile(0, 0);
  },
};

async function main() {
  engine = new NativeEngine(OPTIONS, (_, count) => {
    delivered += count;
    WAYS[way]();
  });
  await engine.start();
  // One at a time, so that the callback is called for each. An engine that was stopped takes none.
  for (let i = 0; i < KICKS && engine?.kick(0, 1); i++) await until(() => delivered > i);
  if (!way.startsWith('stops')) await engine.stop();
  await until(() => engineThreads().length === 0);
  process.stdout.write(JSON.stringify({ uncaught: uncaught > 0, threads: engineThreads() }));
}

void main();
