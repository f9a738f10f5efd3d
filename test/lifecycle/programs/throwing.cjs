// Throws wherever a user's code is called back, with a handler that goes on regardless; then shows that the engine still
// works. Arguments: the package, a data file.
'use strict';

const { BLOCK, isNumbered } = require('./support.cjs');

const [packagePath, dataFile] = process.argv.slice(2);
const { Engine } = require(packagePath);

const caught = { exceptions: 0, rejections: 0 };
process.on('uncaughtException', () => caught.exceptions++);
process.on('unhandledRejection', () => caught.rejections++);

const fail = () => {
  throw new Error('as asked');
};

async function main() {
  const engine = await Engine.start({ pool: { bytes: 8 * 2 ** 20 } });
  const file = await engine.open(dataFile);
  const leases = Array.from({ length: 128 }, () => engine.pool.acquire(BLOCK));
  const read = (lease, block) => file.read(block * BLOCK, lease);

  const reads = leases.map(read);
  for (const one of reads) void one.then(fail);
  await Promise.all(reads);

  // Around the tick in which operations are handed over.
  process.nextTick(fail);
  const around = leases.map(read);
  process.nextTick(fail);
  queueMicrotask(fail);
  setImmediate(fail);
  await Promise.all(around);

  // In the tick in which completions are delivered.
  const later = leases.map(read);
  for (const one of later) void one.then(() => process.nextTick(fail));
  await Promise.all(later);

  await Promise.all(leases.map(read));
  const whole = leases.every((lease, block) => isNumbered(lease.buffer, block));
  await engine.close();
  process.stdout.write(JSON.stringify({ ...caught, whole }));
}

main().catch((error) => {
  process.stderr.write(`${error.stack}\n`);
  process.exit(1);
});
