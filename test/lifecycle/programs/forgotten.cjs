// Forgets something and collects garbage; prints what became of it. Run with --expose-gc.
// Arguments: the package, a data file, what to forget.
'use strict';

const { setImmediate } = require('node:timers/promises');
const { BLOCK, collectUntil, descriptors, engineThreads, isNumbered } = require('./support.cjs');

const [packagePath, dataFile, what] = process.argv.slice(2);
const { Engine } = require(packagePath);
const POOL = { bytes: 2 ** 20, classes: [BLOCK] };
const SLABS = POOL.bytes / BLOCK;

/** As often as garbage is collected where nothing should come of it. */
async function collectInVain() {
  for (let i = 0; i < 10; i++) {
    globalThis.gc();
    await setImmediate();
  }
}

function forgetAllSlabs(engine) {
  for (let i = 0; i < SLABS; i++) engine.pool.acquire(BLOCK);
}

const FORGET = {
  async engine() {
    const before = descriptors();
    const left = () => descriptors().length - before.length;
    await (async () => {
      const engine = await Engine.start({ queues: 2, pool: POOL });
      const file = await engine.open(dataFile);
      await file.read(0, engine.pool.acquire(BLOCK));
    })();
    await collectUntil(() => engineThreads().length === 0 && left() === 0);
    return { threads: engineThreads(), descriptors: left() };
  },

  /** All that is left of the engine is a read in flight. */
  async engineWithRead() {
    let bytes = 0;
    await (async () => {
      const engine = await Engine.start({ pool: POOL });
      const file = await engine.open(dataFile);
      file.read(0, engine.pool.acquire(BLOCK)).then((count) => (bytes = count));
    })();
    globalThis.gc();
    await collectUntil(() => bytes > 0 && engineThreads().length === 0);
    return { threads: engineThreads(), bytes };
  },

  async engineNeverStarted() {
    const { NativeEngine } = require(require('node:path').join(packagePath, '../native.js'));
    const options = {
      queueCpus: [[]],
      depth: 1,
      maxFiles: 1,
      poolParts: [{ node: -1, bytes: BLOCK }],
      largeBytes: 0,
      hugePages: 0,
      slabClasses: [BLOCK],
      backend: 0,
      faults: {
        seed: 1,
        eintr: 0,
        eagain: 0,
        eio: 0,
        enospc: 0,
        erofs: 0,
        shortTransfers: 0,
        delays: 0,
        lostCancels: 0,
      },
      without: [],
    };
    (() => {
      for (let i = 0; i < 20; i++) new NativeEngine(options, () => {});
    })();
    await collectUntil(() => engineThreads().length === 0);
    return { threads: engineThreads() };
  },

  /** An engine that is in use is not garbage, even if only its file is known. */
  async allButTheFile() {
    const file = await (await Engine.start({ pool: POOL })).open(dataFile);
    await collectInVain();
    return { bytes: await file.read(0, new Uint8Array(BLOCK)) };
  },

  async leases() {
    const engine = await Engine.start({ pool: POOL });
    forgetAllSlabs(engine);
    const exhausted = engine.pool.stats().bytesInUse === POOL.bytes;
    await collectUntil(() => engine.pool.stats().bytesInUse === 0);
    const { leakedTotal, bytesInUse } = engine.pool.stats();
    const file = await engine.open(dataFile);
    const again = Array.from({ length: SLABS }, () => engine.pool.acquire(BLOCK));
    const reads = again.map((lease, block) => file.read(block * BLOCK, lease));
    await Promise.all(reads);
    const whole = again.every((lease, block) => isNumbered(lease.buffer, block));
    return { exhausted, leakedTotal, bytesInUse, whole };
  },

  async leasesTwice() {
    const engine = await Engine.start({ pool: POOL });
    let warnings = 0;
    process.on('warning', () => warnings++);
    for (let round = 0; round < 2; round++) {
      forgetAllSlabs(engine);
      await collectUntil(() => engine.pool.stats().bytesInUse === 0);
    }
    await setImmediate(); // warnings come a tick late
    return { leakedTotal: engine.pool.stats().leakedTotal, warnings };
  },

  /** A view keeps the memory, though nobody knows the lease any more. */
  async leaseButNotItsView() {
    const engine = await Engine.start({ pool: POOL });
    const view = (() => engine.pool.acquire(BLOCK).buffer.subarray(100, 200))();
    view.fill(7);
    await collectInVain();
    const { leakedTotal, bytesInUse } = engine.pool.stats();
    return { leakedTotal, bytesInUse, kept: view.every((byte) => byte === 7) };
  },

  async viewButNotTheLease() {
    const engine = await Engine.start({ pool: POOL });
    const lease = engine.pool.acquire(BLOCK);
    lease.buffer.fill(7);
    await collectInVain();
    const { leakedTotal } = engine.pool.stats();
    return { leakedTotal, kept: lease.buffer.every((byte) => byte === 7) };
  },

  /** The engine holds on to what the kernel writes to; afterwards it is forgotten like any other. */
  async leasesInFlight() {
    const engine = await Engine.start({ pool: POOL, depth: SLABS });
    const file = await engine.open(dataFile);
    let done = 0;
    (() => {
      for (let i = 0; i < SLABS; i++) {
        file.read(i * BLOCK, engine.pool.acquire(BLOCK)).then(() => done++);
      }
    })();
    globalThis.gc(); // in the same turn: nothing has come back
    const inFlight = engine.pool.stats();
    await collectUntil(() => engine.pool.stats().bytesInUse === 0);
    return {
      inUseInFlight: inFlight.bytesInUse,
      leakedInFlight: inFlight.leakedTotal,
      done,
      leakedTotal: engine.pool.stats().leakedTotal,
    };
  },

  /** Larger than every class: its memory goes back to the system. */
  async largeLease() {
    const engine = await Engine.start({ pool: { ...POOL, largeBytes: 2 ** 21 } });
    (() => engine.pool.acquire(2 ** 21).buffer.fill(7))();
    await collectUntil(() => engine.pool.stats().large.bytesInUse === 0);
    const again = engine.pool.acquire(2 ** 21);
    const { leakedTotal } = engine.pool.stats();
    return { leakedTotal, zeros: again.buffer.every((byte) => byte === 0) };
  },

  /** Nobody else asks the pool for anything. */
  async whileSomebodyWaits() {
    const engine = await Engine.start({ pool: POOL });
    forgetAllSlabs(engine);
    let length = 0;
    engine.pool.acquireWhenFree(BLOCK).then((lease) => (length = lease.buffer.length));
    await collectUntil(() => length > 0);
    return { length };
  },

  async inDebugMode() {
    const engine = await Engine.start({ pool: { ...POOL, debug: true } });
    const warned = new Promise((resolve) => process.once('warning', resolve));
    (function forgetful() {
      engine.pool.acquire(BLOCK);
    })();
    await collectUntil(() => engine.pool.stats().bytesInUse === 0);
    return { named: /forgetful.*forgotten\.cjs/.test((await warned).detail) };
  },

  /** Of slabs and of large leases: nothing that is done to the pool afterwards makes them fault. */
  async leasesButNotTheirViews() {
    const engine = await Engine.start({ pool: { ...POOL, largeBytes: 2 ** 21 } });
    const leases = [BLOCK, 2 ** 21].map((bytes) => engine.pool.acquire(bytes));
    const views = leases.map(({ buffer }) => buffer.fill(7));
    for (const lease of leases) lease.release();
    await engine.pool.trim();
    const afterTrim = views.map((view) => view[BLOCK - 1]);
    await engine.close();
    await collectInVain();
    for (const view of views) view.fill(9);
    return { afterTrim, written: views.map((view) => view[BLOCK - 1]) };
  },

  /** Released slabs are not leaked ones, and their cached memory goes with the engine. */
  async nothing() {
    const engine = await Engine.start({ pool: POOL });
    for (let i = 0; i < 10 * SLABS; i++) engine.pool.acquire(BLOCK).release();
    await collectInVain();
    return { leakedTotal: engine.pool.stats().leakedTotal };
  },

  /** The memory outlives everything but its own view. */
  async engineButNotAView() {
    const view = await (async () => {
      const engine = await Engine.start({ pool: POOL });
      const file = await engine.open(dataFile);
      const lease = engine.pool.acquire(BLOCK);
      await file.read(3 * BLOCK, lease);
      return lease.buffer;
    })();
    await collectUntil(() => engineThreads().length === 0);
    return { threads: engineThreads(), whole: isNumbered(view, 3) };
  },
};

async function main() {
  process.stdout.write(JSON.stringify(await FORGET[what]()));
}

void main();
