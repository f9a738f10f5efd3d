// Starts an engine with the options given as JSON, works a little with it, and prints what it was made of.
// Arguments: the package, a file of numbered blocks, options.
'use strict';

const { BLOCK, engineThreads, isNumbered, until } = require('../../lifecycle/programs/support.cjs');

const [packagePath, dataFile, options] = process.argv.slice(2);
const { Engine } = require(packagePath);

async function main() {
  const engine = await Engine.start({ pool: { bytes: 2 ** 21 }, ...JSON.parse(options) });
  const { backend, passedOver } = engine.info;
  let right = 0;
  for (const direct of [true, false]) {
    const file = await engine.open(dataFile, { direct });
    const reads = Array.from({ length: 200 }, async (_, index) => {
      const block = index % (file.size / BLOCK);
      const lease = engine.pool.acquire(BLOCK);
      await file.read(block * BLOCK, lease);
      if (isNumbered(lease.buffer, block)) right++;
      lease.release();
    });
    await Promise.all(reads);
    await file.close();
  }
  const { bytesInUse } = engine.pool.stats();
  await engine.close();
  await until(() => engineThreads().length === 0);
  return { backend, passedOver, right, bytesInUse, threads: engineThreads() };
}

main().then(
  (outcome) => process.stdout.write(JSON.stringify(outcome)),
  ({ code, message, errno, syscall, cause }) =>
    process.stdout.write(
      JSON.stringify({
        code,
        message,
        errno,
        syscall,
        cause: { ...cause, message: cause?.message },
      }),
    ),
);
