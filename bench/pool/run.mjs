// Measures what a lease costs JavaScript, beside a Buffer for each use, in CPU time.
//
//   node bench/pool/run.mjs [rounds] [milliseconds]      default: 11 rounds of 50 ms each
import { createRequire } from 'node:module';
import { availableParallelism, cpus, loadavg } from 'node:os';
import process from 'node:process';
import { setup } from '../../scripts/setup.mjs';
import { makeLoop, measure, median } from '../calls.mjs';

const ROUNDS = Math.max(3, Number(process.argv[2] ?? 11) || 11);
const MILLISECONDS = Math.max(1, Number(process.argv[3] ?? 50) || 50);
const BLOCK = 4096;
const AT_ONCE = 32;
const TARGET = 10e6;

setup('build');
const { Engine } = createRequire(import.meta.url)('../../dist/lib/index.js');
const engine = await Engine.start();
const { pool } = engine;
const held = new Array(AT_ONCE);

/** `leases`: in a call. */
const CONTENDERS = [
  { name: 'acquire(4096), release()', leases: 1, call: () => pool.acquire(BLOCK).release() },
  {
    name: `acquire(4096) ${AT_ONCE} times, then release()`,
    leases: AT_ONCE,
    call() {
      for (let i = 0; i < AT_ONCE; i++) held[i] = pool.acquire(BLOCK);
      for (let i = 0; i < AT_ONCE; i++) held[i].release();
    },
  },
  { name: 'acquire(1 MiB), release()', leases: 1, call: () => pool.acquire(2 ** 20).release() },
  { name: 'acquire(4000), release()', leases: 1, call: () => pool.acquire(4000).release() },
  { name: 'Buffer.allocUnsafeSlow(4096)', leases: 1, call: () => Buffer.allocUnsafeSlow(BLOCK) },
];

console.log(
  `${cpus()[0]?.model.trim()}, ${availableParallelism()} CPUs, load ${loadavg()[0].toFixed(2)}, Node ${process.versions.node}, ` +
    `${new Date().toISOString()}; ${ROUNDS} rounds of ${MILLISECONDS} ms CPU time\n`,
);
const entries = CONTENDERS.map(({ call, ...rest }) => ({ ...rest, loop: makeLoop(call), ns: [] }));
measure(entries, ROUNDS, MILLISECONDS);
console.log(`${''.padEnd(42)} ${'M/s'.padStart(7)}   lowest .. highest`);
for (const { name, leases, ns } of entries) {
  const rates = ns.map((each) => (1e3 * leases) / each);
  const [typical, low, high] = [median(rates), Math.min(...rates), Math.max(...rates)];
  const spread = `${low.toFixed(2)} .. ${high.toFixed(2)}`;
  console.log(`${name.padEnd(42)} ${typical.toFixed(2).padStart(7)}   ${spread}`);
}
const [ours] = entries;
const rate = 1e9 / median(ours.ns);
console.log(
  `\n${ours.name}: ${(rate / 1e6).toFixed(1)} M/s (at least ${TARGET / 1e6}) ${rate >= TARGET ? 'met' : 'MISSED'}`,
);
await engine.close();
