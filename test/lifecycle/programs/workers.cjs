// Starts workers one after the other and ends each in the middle of something. Prints what is left behind.
// Arguments: the package, a data file, how many workers, and what they are in the middle of.
'use strict';

const { isMainThread, parentPort, Worker } = require('node:worker_threads');
const { setImmediate } = require('node:timers/promises');
const { BLOCK, descriptors, engineThreads, mappingCount, until } = require('./support.cjs');

const [packagePath, dataFile, rounds, mode] = process.argv.slice(2);
const POOL = { bytes: 2 ** 20 };

const IN_THE_MIDDLE_OF = {
  /** 128 reads in flight at any time. */
  async reads(Engine) {
    const { file, buffers } = await prepare(Engine, (engine) => engine.pool.acquire(BLOCK));
    readAll(file, buffers);
  },
  /** One read at a time, which the worker's own loop polls for, from the device and from the page cache. */
  async single(Engine) {
    const engine = await Engine.start({ pool: POOL });
    for (const direct of ['auto', false]) {
      const file = await engine.open(dataFile, { direct });
      const lease = engine.pool.acquire(BLOCK);
      for (let i = 0; i < 100; i++) await file.read((i % 128) * BLOCK, lease);
      if (direct === false) continue;
      readAll(file, [lease]);
      await setImmediate();
    }
  },
  async copies(Engine) {
    const { file, buffers } = await prepare(Engine, () => new Uint8Array(BLOCK));
    readAll(file, buffers);
  },
  async batches(Engine) {
    const { file, buffers } = await prepare(Engine, (engine) => engine.pool.acquire(BLOCK));
    parentPort.postMessage('now');
    for (;;) await file.readBatch(buffers.map((buffer, i) => ({ offset: i * BLOCK, buffer })));
  },
  /** Reads and writes with checksums, leased and copied, and hashing beside them. */
  async checksums(Engine) {
    const engine = await Engine.start({ pool: { bytes: 2 ** 22 }, depth: 64 });
    const file = await engine.open(dataFile, { access: 'read-write' });
    const large = engine.pool.acquire(2 ** 19);
    parentPort.postMessage('now');
    const options = (algorithm) => ({
      checksum: { algorithm, blockSize: 512, firstBlock: 0, out: new BigUint64Array(16 * 8) },
    });
    for (const algorithm of ['crc32c', 'crc64nvme', 'xxh3']) {
      (async () => {
        for (;;) await engine.checksum(large, { algorithm: 'crc32c' }).catch(() => setImmediate());
      })();
      for (const buffer of [engine.pool.acquire(16 * BLOCK), new Uint8Array(16 * BLOCK)]) {
        (async () => {
          for (;;) {
            await file.read(0, buffer, options(algorithm));
            await file.write(0, buffer, options(algorithm));
          }
        })();
      }
    }
  },
  /** Ended by itself, in the same turn in which 128 reads were submitted. */
  async exit(Engine) {
    const { file, buffers } = await prepare(Engine, (engine) => engine.pool.acquire(BLOCK));
    readAll(file, buffers);
    process.exit();
  },
  async throw(Engine) {
    const { file, buffers } = await prepare(Engine, (engine) => engine.pool.acquire(BLOCK));
    readAll(file, buffers);
    throw new Error('as asked');
  },
  /** Ended by itself because it has nothing to do, with everything open. */
  async nothing(Engine) {
    const { file, buffers } = await prepare(Engine, (engine) => engine.pool.acquire(BLOCK));
    await file.read(0, buffers[0]);
    parentPort.postMessage('now');
  },
  async starting(Engine) {
    parentPort.postMessage('now');
    for (;;) await (await Engine.start({ pool: POOL })).close();
  },
  async opening(Engine) {
    const engine = await Engine.start({ pool: POOL });
    parentPort.postMessage('now');
    // Many at once, so that the end comes while one is being handed over.
    const openAndClose = async () => (await engine.open(dataFile)).close();
    for (;;) await Promise.all(Array.from({ length: 32 }, openAndClose));
  },
  async closing(Engine) {
    const engines = await Promise.all([1, 2, 3].map(() => Engine.start({ pool: POOL })));
    for (const engine of engines) {
      const file = await engine.open(dataFile);
      for (let i = 0; i < 128; i++) void file.read(i * BLOCK, engine.pool.acquire(BLOCK));
      void engine.close();
    }
    parentPort.postMessage('now');
  },
  /** A worker in a worker: the inner one is ended by the end of the outer. */
  async nested() {
    const inner = new Worker(__filename, { argv: [packagePath, dataFile, '1', 'reads'] });
    inner.on('message', (message) => parentPort.postMessage(message));
    inner.on('error', (error) => {
      throw error;
    });
  },
};

async function prepare(Engine, makeBuffer) {
  const engine = await Engine.start({ pool: POOL, depth: 128 });
  const file = await engine.open(dataFile);
  return { engine, file, buffers: Array.from({ length: 128 }, () => makeBuffer(engine)) };
}

function readAll(file, buffers) {
  parentPort.postMessage('now');
  buffers.forEach(async (buffer, i) => {
    for (;;) await file.read(i * BLOCK, buffer);
  });
}

async function endOne(round) {
  const worker = new Worker(__filename, { argv: process.argv.slice(2) });
  const errors = [];
  worker.on('error', (error) => errors.push(error.message));
  const exited = new Promise((resolve) => worker.once('exit', resolve));
  await Promise.race([new Promise((resolve) => worker.once('message', resolve)), exited]);
  // Those that end by themselves do; the others at another moment each time.
  if (!['exit', 'nothing', 'throw'].includes(mode)) {
    for (let turn = 0; turn < round % 16; turn++) await setImmediate();
    await worker.terminate();
  }
  await exited;
  return errors;
}

async function main() {
  const held = () => ({ descriptors: descriptors(), mappings: mappingCount() });
  const errors = new Set();
  let before;
  for (let round = 0; round < Number(rounds); round++) {
    for (const error of await endOne(round)) errors.add(error);
    if (round === 2) before = held(); // what the first workers make for good is there
  }
  await until(() => engineThreads().length === 0);
  const left = { threads: engineThreads(), before, after: held(), errors: [...errors] };
  process.stdout.write(JSON.stringify(left));
}

if (isMainThread) void main();
else void IN_THE_MIDDLE_OF[mode](require(packagePath).Engine);
