// Gives the addon a callback that misbehaves. Prints what came of it. Arguments: the package, in which way it misbehaves.
'use strict';

const path = require('node:path');
const { readdirSync, readFileSync } = require('node:fs');
const { engineThreads, until } = require('../../lifecycle/programs/support.cjs');

const [packagePath, way] = process.argv.slice(2);
const { NativeEngine } = require(path.join(path.dirname(packagePath), 'native.js'));

const OPTIONS = {
  queueCpus: way === 'abandons' ? [[], [], [], []] : [[]],
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
  abandons() {
    engine.abandon();
  },
  'starts again'() {
    void engine.start();
  },
  'closes what is not open'() {
    void engine.closeFile(0, 0);
  },
};

/** Whether all threads of the engine sleep: what they were given has been done. */
function allAsleep() {
  return readdirSync('/proc/self/task').every((task) => {
    try {
      const stat = readFileSync(`/proc/self/task/${task}/stat`, 'utf8');
      return !stat.includes('(ringbolt') || / S /.test(stat);
    } catch {
      return true;
    }
  });
}

async function main() {
  engine = new NativeEngine(OPTIONS, (_, count) => {
    delivered += count;
    WAYS[way]();
  });
  await engine.start();
  if (way === 'abandons') {
    // All queues have something to deliver when the first of them is delivered.
    for (let queue = 0; queue < OPTIONS.queueCpus.length; queue++) engine.kick(queue, 1);
    while (!allAsleep());
    await until(() => delivered > 0);
  }
  // One at a time, so that the callback is called for each. An engine that was stopped takes none.
  for (let i = 0; way !== 'abandons' && i < KICKS && engine?.kick(0, 1); i++)
    await until(() => delivered > i);
  if (!way.startsWith('stops') && way !== 'abandons') await engine.stop();
  await until(() => engineThreads().length === 0);
  process.stdout.write(JSON.stringify({ uncaught: uncaught > 0, threads: engineThreads() }));
}

void main();
