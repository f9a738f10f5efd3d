// Several threads compute checksums at the same time: of memory of their own, and of memory that another one writes to.
// Arguments: the package, whether workers are `ended` or `terminated`, and how many rounds each works. Ends well if every checksum of its own memory was right; workers end by themselves or are terminated in the middle.
'use strict';

const { isMainThread, workerData, parentPort, Worker } = require('node:worker_threads');

const [packagePath, how, rounds = '3000'] = process.argv.slice(2);
const { checksum } = require(isMainThread ? packagePath : workerData.packagePath);

const WORKERS = 4;
const ROUNDS = Number(rounds);

let hasXxh3 = true;
try {
  checksum.xxh3(new Uint8Array(1));
} catch {
  hasXxh3 = false;
}

/** All three, by function and by hasher. */
function sums(data, at) {
  const hashers = [checksum.createCrc32c(), checksum.createCrc64nvme()];
  if (hasXxh3) hashers.push(checksum.createXxh3());
  for (const hasher of hashers) hasher.update(data.subarray(0, at)).update(data.subarray(at));
  const own = [checksum.crc32c(data), checksum.crc64nvme(data)];
  if (hasXxh3) own.push(checksum.xxh3(data));
  const parts = hashers.map((hasher) => hasher.digest());
  return { own: own.join(), parts: parts.join() };
}

function work(shared, seed, rounds) {
  const data = new Uint8Array(700 + seed).fill(seed);
  const expected = sums(data, 0).own;
  for (let round = 0; round < rounds; round++) {
    const { own, parts } = sums(data, round % data.length);
    if (own !== expected || parts !== expected) throw new Error(`round ${round}: ${own}, ${parts}`);
    // Of whatever is there: another thread writes it.
    shared[round % shared.length] = seed + round;
    sums(shared, round % 500);
  }
}

function start(shared, seed) {
  return new Promise((resolve, reject) => {
    const worker = new Worker(__filename, { workerData: { packagePath, shared, seed, how } });
    worker.on('error', reject);
    worker.on('exit', resolve);
    if (how === 'terminated') worker.once('message', () => void worker.terminate());
  });
}

async function main() {
  const shared = new Uint8Array(new SharedArrayBuffer(5000));
  for (let generation = 0; generation < 3; generation++) {
    const ends = Array.from({ length: WORKERS }, (_, i) => start(shared, i + 1));
    work(shared, 100, ROUNDS);
    await Promise.all(ends);
  }
  process.stdout.write('"well"');
}

if (isMainThread) {
  void main();
} else {
  parentPort.postMessage('started');
  work(workerData.shared, workerData.seed, workerData.how === 'terminated' ? Infinity : ROUNDS);
}
