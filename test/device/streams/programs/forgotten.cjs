// Abandons a stream in the middle and collects garbage; prints what became of its slabs. Run with --expose-gc.
// Arguments: the package, a data file, what to forget.
'use strict';

const { setImmediate } = require('node:timers/promises');
const {
  BLOCK,
  collectUntil,
  isNumbered,
  until,
} = require('../../../lifecycle/programs/support.cjs');

const [packagePath, dataFile, what] = process.argv.slice(2);
const { Engine } = require(packagePath);
const OPTIONS = { chunkBytes: 4 * BLOCK, highWaterMark: 32 * BLOCK };

async function abandon(begin) {
  const engine = await Engine.start({ pool: { bytes: 2 ** 20 } });
  const file = await engine.open(dataFile, { access: 'read-write' });
  await begin(engine, file);
  const begun = engine.stats().classes.foreground.readsTotal + engine.pool.stats().bytesInUse > 0;
  await collectUntil(() => engine.pool.stats().bytesInUse === 0);
  return { begun, bytesInUse: engine.pool.stats().bytesInUse };
}

const FORGET = {
  /** It has read ahead, and nobody waits for it. */
  iterator: () =>
    abandon(async (engine, file) => {
      const iterator = file.leases(OPTIONS)[Symbol.asyncIterator]();
      (await iterator.next()).value.release();
      await until(() => engine.stats().queues[0].inFlight === 0);
    }),

  /** Only the engine knows it, until its reads have ended; a signal that lives on does not keep it. */
  iteratorInFlight: () =>
    abandon(async (_, file) => {
      globalThis.controller = new AbortController();
      const options = { ...OPTIONS, signal: globalThis.controller.signal };
      const iterator = file.leases(options)[Symbol.asyncIterator]();
      (await iterator.next()).value.release();
    }),

  readable: () =>
    abandon(async (_, file) => {
      const stream = file.readable(OPTIONS);
      await new Promise((resolve) => stream.once('readable', resolve));
    }),

  writable: () =>
    abandon(async (_, file) => {
      file.writable(OPTIONS).write(Buffer.alloc(100));
    }),

  /** The consumer releases nothing; but neither does it keep anything. */
  async leases() {
    const engine = await Engine.start({ pool: { bytes: 2 ** 20 } });
    const file = await engine.open(dataFile);
    let blocks = 0;
    for await (const lease of file.leases(OPTIONS)) {
      if (!isNumbered(lease.buffer, blocks)) throw new Error(`block ${blocks} is not itself`);
      blocks += lease.buffer.length / BLOCK;
      await setImmediate();
      globalThis.gc();
      await setImmediate();
    }
    return { blocks };
  },
};

async function main() {
  process.stdout.write(JSON.stringify(await FORGET[what]()));
}

void main();
