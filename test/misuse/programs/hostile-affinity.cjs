// Starts an engine with an affinity that is not the same when it is read again. Arguments: the package, in which way.
'use strict';

const [packagePath, way] = process.argv.slice(2);
const { Engine } = require(packagePath);

/** A list whose only element is `first` the first time it is read, and what `then` returns from then on. */
function changing(first, then) {
  let reads = 0;
  return Object.defineProperty([first], 0, {
    enumerable: true,
    get: () => (reads++ === 0 ? first : then()),
  });
}

const fail = () => {
  throw new Error('read again');
};

const AFFINITIES = {
  'a CPU that throws the second time': [changing(0, fail)],
  'a list that throws the second time': changing([0], fail),
  'a CPU that changes': [changing(0, () => 'none')],
};

async function main() {
  const engine = await Engine.start({ affinity: AFFINITIES[way] });
  await engine.close();
  process.stdout.write('started');
}

void main();
