// Uses an engine after a method of JavaScript's own was replaced. Arguments: the package, a data file, the method, and
// whether it throws or passes calls on.
'use strict';

const { writeSync } = require('node:fs');

const [packagePath, dataFile, name, how] = process.argv.slice(2);
const { Engine } = require(packagePath);
const BLOCK = 4096;

/** An object's own method by a path such as `Array.prototype.push`, or `Map.prototype.@@iterator`. */
function find(path) {
  const parts = path.split('.');
  const last = parts.pop();
  const holder = parts.reduce((at, part) => at[part], globalThis);
  return { holder, key: last.startsWith('@@') ? Symbol[last.slice(2)] : last };
}

function patch() {
  const { holder, key } = find(name);
  const original = holder[key];
  const replacement = function (...args) {
    if (how === 'throws') throw new Error('patched');
    return Reflect.apply(original, this, args);
  };
  Object.defineProperty(holder, key, { value: replacement, configurable: true, writable: true });
}

async function main() {
  const engine = await Engine.start({ pool: { bytes: 8 * 2 ** 20 } });
  const file = await engine.open(dataFile);
  await file.read(0, new Uint8Array(BLOCK));
  patch();
  const lease = engine.pool.acquire(BLOCK);
  let bytes = await file.read(0, lease);
  bytes += await file.read(BLOCK, new Uint8Array(64 * BLOCK));
  bytes += (await file.readBatch([{ offset: 0, buffer: lease }])).bytesTotal;
  engine.stats();
  lease.release();
  await engine.close();
  writeSync(1, `${bytes}`);
}

void main();
