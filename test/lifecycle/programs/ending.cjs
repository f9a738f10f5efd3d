// Ends the process, or lets it end, in one of many ways. Arguments: the package, a data file, the way.
'use strict';

const { BLOCK, readForEver } = require('./support.cjs');

const [packagePath, dataFile, way] = process.argv.slice(2);
const { Engine } = require(packagePath);

function read128(engine, file) {
  for (let i = 0; i < 128; i++) void file.read(i * BLOCK, engine.pool.acquire(BLOCK));
}

const WAYS = {
  /** In the same turn: all have been handed over, none has come back. */
  exit(engine, file) {
    read128(engine, file);
    process.exit(42);
  },
  async exitInContinuation(engine, file) {
    read128(engine, file);
    await file.read(0, engine.pool.acquire(BLOCK));
    process.exit(42);
  },
  exitWhileCopying(engine, file) {
    for (let i = 0; i < 128; i++) void file.read(0, new Uint8Array(64 * BLOCK));
    setImmediate(() => process.exit(42));
  },
  exitWhileClosing(engine, file) {
    read128(engine, file);
    void engine.close();
    setImmediate(() => process.exit(42));
  },
  throw(engine, file) {
    read128(engine, file);
    process.nextTick(() => {
      throw new Error('as asked');
    });
  },
  reject(engine, file) {
    read128(engine, file);
    throw new Error('as asked');
  },
  async throwInContinuation(engine, file) {
    read128(engine, file);
    await file.read(0, engine.pool.acquire(BLOCK));
    throw new Error('as asked');
  },
  /** Until somebody else ends it. */
  async run(engine, file) {
    const reads = readForEver(engine, file, 128);
    process.stdout.write('running\n');
    await reads.ended;
  },
  /** Nothing but the read keeps the process alive. */
  read(engine, file) {
    file.read(0, engine.pool.acquire(64 * BLOCK)).then((bytes) => process.stdout.write(`${bytes}`));
  },
  copiedRead(engine, file) {
    const read = file.read(0, new Uint8Array(file.size));
    read.then((bytes) => process.stdout.write(`${bytes}`));
  },
  waitingReads(engine, file) {
    let bytesTotal = 0;
    for (let i = 0; i < 1000; i++) {
      file.read((i % 128) * BLOCK, new Uint8Array(BLOCK)).then((bytes) => (bytesTotal += bytes));
    }
    process.on('exit', () => process.stdout.write(`${bytesTotal}`));
  },
  flush(engine, file) {
    file.flush().then(() => process.stdout.write('flushed'));
  },
  close(engine, file) {
    read128(engine, file);
    engine.close().then(() => process.stdout.write('closed'));
  },
  open(engine) {
    engine.open(dataFile).then((file) => process.stdout.write(`${file.size}`));
  },
  start() {
    Engine.start().then(() => process.stdout.write('started'));
  },
  /** Nothing to do, everything open. */
  idle(engine, file) {
    globalThis.kept = [engine, file, engine.pool.acquire(BLOCK)];
  },
  async watch(engine) {
    const samples = engine.watch({ intervalMs: 3_600_000 })[Symbol.asyncIterator]();
    await samples.next();
    process.stdout.write('sample');
  },
};

async function main() {
  const engine = await Engine.start({ pool: { bytes: 8 * 2 ** 20 } });
  const file = await engine.open(dataFile, { access: 'read-write' });
  await WAYS[way](engine, file);
}

void main();
