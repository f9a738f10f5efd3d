// What this process has in memory that no other shares: bare, and with an engine that does nothing, whose slabs were all leased
// once, and that was trimmed. Run with --expose-gc. Arguments: the package, `bare` or the bytes of the pool.
'use strict';

const { readFileSync } = require('node:fs');
const { setImmediate } = require('node:timers/promises');

const BLOCK = 4096;
const [packagePath, what] = process.argv.slice(2);

/** Pages of files, as of node itself, are mapped by whoever runs it, and come and go. */
async function ownBytes() {
  for (let i = 0; i < 5; i++) {
    globalThis.gc();
    await setImmediate();
  }
  const rollup = readFileSync('/proc/self/smaps_rollup', 'utf8');
  return Number(/^Anonymous:\s+(\d+) kB/m.exec(rollup)[1]) * 1024;
}

async function main() {
  if (what === 'bare') return { bare: await ownBytes() };
  const { Engine } = require(packagePath);
  const engine = await Engine.start({ pool: { bytes: Number(what) } });
  const idle = await ownBytes();
  const slabs = engine.info.memory.poolBytes / BLOCK;
  const leases = Array.from({ length: slabs }, () => engine.pool.acquire(BLOCK));
  for (const lease of leases) lease.release();
  leases.length = 0;
  const leased = await ownBytes();
  const held = Array.from({ length: slabs / 2 }, () => engine.pool.acquire(BLOCK));
  await engine.pool.trim();
  const trimmed = await ownBytes();
  for (const lease of held) lease.release();
  await engine.close();
  return { idle, leased, trimmed, slabs };
}

main().then((result) => process.stdout.write(JSON.stringify(result)));
