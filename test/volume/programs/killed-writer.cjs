// Writes to a volume until it is killed, and says in a log what it does, each line before or after it is done:
//
//   w 5 2 17     begins to write blocks 5 and 6 as version 17          W 17     that has resolved
//   f 3          asks for a flush                                      F 3      that has resolved
//
// Arguments: the package, the data file, the log, the version to begin with, a seed. Prints a dot now and then.
'use strict';

const { openSync, writeSync } = require('node:fs');

const [packagePath, name, log, begin, seed] = process.argv.slice(2);
const { Engine, Volume } = require(packagePath);

const BLOCK = 4096;
const WRITERS = 16;
const file = openSync(log, 'a');
const say = (line) => writeSync(file, `${line}\n`);

let state = Number(seed);
/** xorshift32 */
function below(limit) {
  state ^= state << 13;
  state ^= state >>> 17;
  state ^= state << 5;
  return (state >>> 0) % limit;
}

/** As test/volume/simulated-volume.ts has them. */
function blocksOf(first, count, version) {
  const words = new Uint32Array((count * BLOCK) / 4);
  for (let i = 0; i < words.length; i += 2) {
    words[i] = first + Math.floor((i * 4) / BLOCK) + 1;
    words[i + 1] = version;
  }
  return new Uint8Array(words.buffer);
}

async function main() {
  const engine = await Engine.start({ pool: { bytes: 4 * 2 ** 20 } });
  const volume = await Volume.open(engine, name, { epochMs: 20 });
  const blocks = volume.size / BLOCK;
  let version = Number(begin);
  let done = 0;
  const write = async () => {
    for (;;) {
      const count = 1 + below(4);
      const first = below(blocks - count + 1);
      const mine = ++version;
      say(`w ${first} ${count} ${mine}`);
      await volume.write(first * BLOCK, blocksOf(first, count, mine), { durable: below(8) === 0 });
      say(`W ${mine}`);
      if (++done % 10 === 0) process.stdout.write('.');
    }
  };
  const flush = async () => {
    for (let number = 1; ; number++) {
      say(`f ${number}`);
      await volume.flush();
      say(`F ${number}`);
    }
  };
  await Promise.all([flush(), ...Array.from({ length: WRITERS }, write)]);
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
