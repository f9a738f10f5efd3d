// Opens files as whoever runs it; prints what came of each as JSON.
// Arguments: the package, then pairs of a path and how to open it.
'use strict';

const [packagePath, ...pairs] = process.argv.slice(2);
const { Engine } = require(packagePath);

const OPTIONS = {
  read: { access: 'read' },
  write: { access: 'write' },
  create: { access: 'write', create: true },
};

async function main() {
  const engine = await Engine.start({ pool: { bytes: 2 ** 20 } });
  const outcomes = [];
  for (let i = 0; i < pairs.length; i += 2) {
    const outcome = engine.open(pairs[i], OPTIONS[pairs[i + 1]]).then(
      () => 'opened',
      (error) => error.code,
    );
    outcomes.push(await outcome);
  }
  await engine.close();
  process.stdout.write(JSON.stringify(outcomes));
}

void main();
