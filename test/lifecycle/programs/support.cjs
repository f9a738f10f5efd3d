// What the programs share: a data file whose blocks say which they are, and what the process holds.
'use strict';

const { readdirSync, readFileSync, readlinkSync, writeFileSync } = require('node:fs');
const { setImmediate } = require('node:timers/promises');

const BLOCK = 4096;

/** Names of the engines' threads in this process. */
function engineThreads() {
  return readdirSync('/proc/self/task')
    .map((task) => {
      try {
        return readFileSync(`/proc/self/task/${task}/comm`, 'utf8').trim();
      } catch {
        return ''; // it ended meanwhile
      }
    })
    .filter((name) => name.startsWith('ringbolt'));
}

/** Whether a thread of this process waits uninterruptibly: the operation has reached the file system. */
function hangs() {
  return readdirSync('/proc/self/task').some((task) => {
    try {
      return / D /.test(readFileSync(`/proc/self/task/${task}/stat`, 'utf8'));
    } catch {
      return false;
    }
  });
}

/** What the open descriptors lead to, sorted, without what Node itself opens when it likes. */
function descriptors() {
  return readdirSync('/proc/self/fd')
    .map((descriptor) => {
      try {
        return readlinkSync(`/proc/self/fd/${descriptor}`);
      } catch {
        return '/proc/self/fd'; // that of this very listing
      }
    })
    .filter((target) => !/^(pipe:|socket:|\/dev\/null$|\/proc\/(self|\d+)\/fd$)/.test(target))
    .sort();
}

function mappingCount() {
  return readFileSync('/proc/self/maps', 'utf8').split('\n').length - 1;
}

/** Turns the event loop until `check` is true: the kernel takes a joined thread off its list a moment later. */
async function until(check) {
  const deadline = Date.now() + 10_000;
  while (!check() && Date.now() < deadline) await setImmediate();
  return check();
}

/** Collects garbage, and lets what waits for that happen, until `check` is true. */
function collectUntil(check) {
  return until(() => {
    globalThis.gc();
    return check();
  });
}

/** A file of `blocks` blocks, each filled with its own number. */
function writeNumbered(name, blocks) {
  const data = Buffer.alloc(blocks * BLOCK);
  for (let at = 0; at < data.length; at += 4) data.writeUInt32LE(Math.floor(at / BLOCK), at);
  writeFileSync(name, data, { flush: true });
}

function isNumbered(buffer, block) {
  for (let at = 0; at < buffer.length; at += 4) {
    if (buffer.readUInt32LE(at) !== block + Math.floor(at / BLOCK)) return false;
  }
  return true;
}

/** Starts `depth` chains of reads, each of which begins the next; returns how to end them, and a promise of that. */
function readForEver(engine, file, depth) {
  let ending = false;
  const blocks = file.size / BLOCK;
  const chains = Array.from({ length: depth }, async (_, chain) => {
    const lease = engine.pool.acquire(BLOCK);
    for (let turn = 0; !ending; turn++) {
      const block = (chain * 7 + turn) % blocks;
      await file.read(block * BLOCK, lease);
      if (!isNumbered(lease.buffer, block)) throw new Error(`block ${block} is not itself`);
    }
    lease.release();
  });
  return {
    ended: Promise.all(chains),
    end() {
      ending = true;
    },
  };
}

module.exports = {
  BLOCK,
  collectUntil,
  descriptors,
  engineThreads,
  hangs,
  isNumbered,
  mappingCount,
  readForEver,
  until,
  writeNumbered,
};
