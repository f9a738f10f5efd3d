// Takes a lease's memory away with ArrayBuffer.prototype.transfer() and forgets it, though the lease is still held. Prints
// how many slabs had two holders in the end. Run with --expose-gc, and --harmony-rab-gsab-transfer where that is not on.
// Arguments: the package, a data file, whether the lease is in flight.
'use strict';

const { setImmediate } = require('node:timers/promises');
const { BLOCK } = require('../../lifecycle/programs/support.cjs');

const [packagePath, dataFile, when] = process.argv.slice(2);
const { Engine } = require(packagePath);

async function main() {
  const engine = await Engine.start({ pool: { bytes: 2 ** 20, classes: [BLOCK] } });
  const file = await engine.open(dataFile);
  const held = engine.pool.acquire(BLOCK);
  const read = when === 'in flight' ? file.read(0, held) : undefined;
  (() => held.buffer.buffer.transfer())();
  for (let i = 0; i < 10; i++) {
    globalThis.gc();
    if (read === undefined) await setImmediate();
  }
  await read;

  const next = engine.pool.acquire(BLOCK);
  held.release(); // must not free what is somebody else's by now
  const rest = [next];
  while (engine.pool.stats().bytesInUse < 2 ** 20) rest.push(engine.pool.acquire(BLOCK));
  rest.forEach((lease, i) => lease.buffer.writeUInt32LE(i));
  const heldByTwo = rest.filter((lease, i) => lease.buffer.readUInt32LE() !== i).length;
  for (const lease of rest) lease.release();
  const { bytesInUse } = engine.pool.stats();
  await engine.close();
  process.stdout.write(JSON.stringify({ heldByTwo, bytesInUse }));
}

void main();
