// Crashes (crash/rounds.ts) in a process of its own. Arguments: the package; a seed, and how many; or `machine` and the seed of one. Prints what
// was seen and what went wrong, as JSON.

import { newSeen } from '../crash/model.js';
import { runCrashes, runMachine } from '../crash/rounds.js';

const [what, count] = process.argv.slice(3);
const seen = newSeen();

function end(errors: readonly string[]): void {
  console.log(JSON.stringify({ seen, errors }));
  process.exit();
}

process.on('unhandledRejection', (error) => {
  end(['unhandled', error instanceof Error ? error.stack! : String(error)]);
});
process.on('beforeExit', () => {
  end(['nothing happens any more']);
});
if (what === 'machine') {
  void runMachine(Number(count), seen).then(end);
} else {
  Error.stackTraceLimit = 0; // thousands of errors are made, and handled
  void runCrashes({ seed: Number(what), crashes: Number(count), seen }).then(end);
}
