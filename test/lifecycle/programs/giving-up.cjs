// Closes an engine whose file system does not answer, with a deadline. The test freezes and thaws that file system, and is told
// when by what this prints: `ready`, then what everything settled with. Ends by itself.
// Arguments: the package, a folder of the file system.
'use strict';

const path = require('node:path');
const { BLOCK, engineThreads, hangs, until } = require('./support.cjs');

const [packagePath, folder] = process.argv.slice(2);
const { Engine } = require(packagePath);

const told = (promise) =>
  promise.then(
    () => 'resolved',
    ({ code, message }) => `${code} ${message.replaceAll(folder, '')}`,
  );

async function main() {
  const engine = await Engine.start({ depth: 4, maxIoBytes: BLOCK, pool: { bytes: 2 ** 20 } });
  const options = { access: 'read-write', create: true, size: 16 * BLOCK };
  const file = await engine.open(path.join(folder, 'data'), options);
  process.stdout.write('ready\n');
  await new Promise((resolve) => process.stdin.once('data', resolve));
  process.stdin.unref();

  let late = true;
  const write = told(file.write(0, engine.pool.acquire(BLOCK), { timeoutMs: 20 }));
  const copied = told(file.write(BLOCK, new Uint8Array(BLOCK)));
  // Two of its parts begin, and two never do.
  const lease = engine.pool.acquire(4 * BLOCK);
  const split = told(file.write(8 * BLOCK, lease));
  const waiting = told(file.write(2 * BLOCK, engine.pool.acquire(BLOCK), { timeoutMs: 20 }));
  const opening = told(engine.open(path.join(folder, 'new'), options));
  const trim = told(engine.pool.trim()); // behind the opening
  void write.then(() => (late = false));
  if (!(await until(hangs))) throw new Error('it does not hang');
  const waited = await waiting;
  const kept = late; // a running write settles with its real outcome only
  const closed = await told(engine.close({ timeoutMs: 100 }));
  const settled = await Promise.all([write, copied, split, opening, trim]);
  const { bytesInUse } = engine.pool.stats();
  lease.release();
  const memory = bytesInUse - engine.pool.stats().bytesInUse; // that the kernel may still look at
  const again = await told(file.write(0, new Uint8Array(BLOCK)));
  process.stdout.write(`${JSON.stringify({ waited, kept, closed, settled, memory, again })}\n`);
  await until(() => engineThreads().length === 0); // once the test has thawed it
  process.stdout.write(JSON.stringify({ threads: engineThreads() }));
}

void main();
