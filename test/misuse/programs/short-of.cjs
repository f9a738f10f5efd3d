// Starts an engine where the process is short of something, then another where it is not.
// Arguments: the package, a data file, what is short.
'use strict';

const { execFileSync } = require('node:child_process');
const { closeSync, openSync, readFileSync } = require('node:fs');
const { BLOCK, engineThreads, until } = require('../../lifecycle/programs/support.cjs');

const [packagePath, dataFile, what] = process.argv.slice(2);
const { Engine } = require(packagePath);

/** Each takes something away, and says how to start an engine that needs it and how to give it back. */
const SHORT_OF = {
  memory() {
    const pages = Number(readFileSync('/proc/self/statm', 'utf8').split(' ')[0]);
    setAddressSpace(`${pages * 4096 + 2 ** 30}:`);
    return {
      options: { pool: { bytes: 2 ** 33 } },
      giveBack: () => setAddressSpace('unlimited:'),
    };
  },
  descriptors() {
    const taken = [];
    try {
      for (;;) taken.push(openSync('/dev/null'));
    } catch {
      // Now there is none left.
    }
    return { options: {}, giveBack: () => taken.forEach((descriptor) => closeSync(descriptor)) };
  },
};

function setAddressSpace(limit) {
  execFileSync('prlimit', ['--pid', String(process.pid), `--as=${limit}`]);
}

async function main() {
  const { options, giveBack } = SHORT_OF[what]();
  const { code, message } = await Engine.start(options).then(
    () => ({ code: 'started', message: '' }),
    (reason) => reason,
  );
  giveBack();
  await until(() => engineThreads().length === 0);
  const threads = engineThreads();
  const engine = await Engine.start({ pool: { bytes: 2 ** 20 } });
  const file = await engine.open(dataFile);
  const bytes = await file.read(0, engine.pool.acquire(BLOCK));
  await engine.close();
  process.stdout.write(JSON.stringify({ code, message, bytes, threads }));
}

void main();
