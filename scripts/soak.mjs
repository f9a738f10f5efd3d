// The tests whose worth grows with the number of operations, with many: `npm run soak`. Nothing is skipped silently: the
// reasons stand in the output, as in `npm test`.
//
//   npm run soak                                   100,000 operations with faults on each backend
//   RINGBOLT_FAULT_OPERATIONS=1000000 npm run soak
import { join } from 'node:path';
import { root, run, setup } from './setup.mjs';

const DEFAULTS = { RINGBOLT_FAULT_OPERATIONS: '100000' };

setup('bench');
const env = Object.fromEntries(
  Object.entries(DEFAULTS).map(([name, value]) => [name, process.env[name] ?? value]),
);
console.log(
  `soak: ${Object.entries(env)
    .map((entry) => entry.join('='))
    .join(' ')}`,
);
const vitest = join(root, 'node_modules/vitest/vitest.mjs');
process.exitCode = run(process.execPath, [vitest, 'run', 'test/fault', ...process.argv.slice(2)], {
  minutes: 600,
  env,
});
