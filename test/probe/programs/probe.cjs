// Probes some times; prints the last report, and what the process held after the first and after the last.
// Arguments: the package, how often, perhaps a path.
'use strict';

const { descriptors, until } = require('../../lifecycle/programs/support.cjs');
const { readdirSync, readFileSync } = require('node:fs');

const [packagePath, times, path] = process.argv.slice(2);
const { probe } = require(packagePath);

/** All of them: the probe's own, the engine's, and Node's. */
function threads() {
  return readdirSync('/proc/self/task')
    .flatMap((task) => {
      try {
        return [readFileSync(`/proc/self/task/${task}/comm`, 'utf8').trim()];
      } catch {
        return []; // it ended meanwhile
      }
    })
    .sort();
}

async function left() {
  await until(() => !threads().some((name) => name.startsWith('ringbolt')));
  return { threads: threads(), descriptors: descriptors() };
}

async function main() {
  const options = path === undefined ? {} : { path };
  // The first one has libuv start its threads: as many at once as those are.
  await Promise.all(Array.from({ length: 8 }, () => probe(options)));
  const before = await left();
  let report;
  for (let i = 0; i < Number(times); i++) report = await probe(options);
  process.stdout.write(JSON.stringify({ report, before, after: await left() }));
}

void main();
