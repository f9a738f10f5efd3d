// Makes engines of the addon of options that throw when they are read, the first time or a later one. Prints what was
// thrown back. Arguments: the package.
'use strict';

const path = require('node:path');

const [packagePath] = process.argv.slice(2);
const { NativeEngine } = require(path.join(path.dirname(packagePath), 'native.js'));

const OPTIONS = {
  queueCpus: [[0]],
  depth: 8,
  maxFiles: 1,
  poolParts: [{ node: -1, bytes: 4096 }],
  largeBytes: 0,
  hugePages: 0,
  slabClasses: [4096],
  backend: 0,
  faults: {
    seed: 1,
    eintr: 0,
    eagain: 0,
    eio: 0,
    enospc: 0,
    erofs: 0,
    shortTransfers: 0,
    delays: 0,
    lostCancels: 0,
  },
  without: ['FIXED_FILES'],
};
const REQUEST = { path: '/', access: 0, create: 0, truncate: false, direct: 0, lock: 0, size: 0 };

const thrown = new Error('as asked');
const fail = () => {
  throw thrown;
};

/** `object` and each of the objects and arrays in it, with one property that throws. */
function* variants(object) {
  for (const key of Object.keys(object)) {
    yield Object.defineProperty({ ...object }, key, { get: fail });
    if (Array.isArray(object[key])) {
      for (const array of arrays(object[key])) yield { ...object, [key]: array };
    } else if (typeof object[key] === 'object') {
      for (const inner of variants(object[key])) yield { ...object, [key]: inner };
    }
  }
  yield new Proxy(object, { get: fail });
}
function* arrays(array) {
  yield Object.defineProperty([...array], 0, { get: fail });
  yield new Proxy(array, { get: fail });
  if (Array.isArray(array[0])) for (const inner of arrays(array[0])) yield [inner];
}

function outcome(call) {
  try {
    call();
    return 'nothing';
  } catch (error) {
    return error === thrown ? 'as asked' : error.message;
  }
}

async function main() {
  const outcomes = [];
  for (const options of variants(OPTIONS)) {
    outcomes.push(outcome(() => new NativeEngine(options, () => {})));
  }
  const engine = new NativeEngine(OPTIONS, () => {});
  await engine.start();
  for (const request of variants(REQUEST)) outcomes.push(outcome(() => engine.openFile(request)));
  await engine.stop();
  process.stdout.write(JSON.stringify([...new Set(outcomes)]));
}

void main();
