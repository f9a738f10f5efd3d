// Reads a million times at a depth of 128; prints the resident memory before and after. Run with --expose-gc.
// Arguments: the package, a data file, reads to warm up with, reads to measure.
'use strict';

const { BLOCK } = require('./support.cjs');

const [packagePath, dataFile, warmUp, measured] = process.argv.slice(2);
const { Engine } = require(packagePath);

async function main() {
  const engine = await Engine.start({ pool: { bytes: 8 * 2 ** 20 } });
  const file = await engine.open(dataFile, { direct: false }); // from the page cache: as fast as can be
  const blocks = file.size / BLOCK;
  const leases = Array.from({ length: 128 }, () => engine.pool.acquire(BLOCK));
  const read = async (count) => {
    let left = count;
    const chain = async (lease) => {
      while (left-- > 0) await file.read((left % blocks) * BLOCK, lease);
    };
    await Promise.all(leases.map(chain));
    globalThis.gc();
    globalThis.gc();
    return process.memoryUsage().rss;
  };
  const before = await read(Number(warmUp));
  const after = await read(Number(measured));
  process.stdout.write(JSON.stringify({ before, after }));
}

void main();
