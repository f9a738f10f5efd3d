// Measures `checksum` against zlib.crc32 and packages from npm, in calls a second and bytes a second.
//
//   node bench/checksum/run.mjs [rounds] [milliseconds] [folder]      default: 11 rounds of 20 ms each
//
// `folder` is one in whose node_modules the packages are looked for. They are no dependencies: what is not there is
// named, and left out. docs/bench.md says how to read the figures.
import { createRequire } from 'node:module';
import { availableParallelism, cpus, loadavg } from 'node:os';
import { join, resolve } from 'node:path';
import process from 'node:process';
import zlib from 'node:zlib';
import { root, setup } from '../../scripts/setup.mjs';
import { makeLoop, measure, median } from '../calls.mjs';
import { contenders } from './contenders.mjs';

const ROUNDS = Math.max(3, Number(process.argv[2] ?? 11) || 11);
const MILLISECONDS = Math.max(1, Number(process.argv[3] ?? 20) || 20);
const FOLDER = resolve(process.argv[4] ?? root);

const SIZES = [
  { name: '64 B', bytes: 64 },
  { name: '4 KiB', bytes: 4096 },
  { name: '1 MiB', bytes: 1 << 20 },
];

/** What ringbolt has to reach: calls a second, or times as many calls as another. */
const CALLS_TARGETS = { crc32c: 20e6, crc64nvme: 12e6, xxh3: 12e6 };
const RATIO_TARGET = { size: '4 KiB', algorithm: 'crc32c', atLeast: 4 };

function print(title, bytes, entries) {
  const [ours] = entries;
  console.log(
    `\n${title.padEnd(44)} ${'M calls/s'.padStart(9)} ${'GB/s'.padStart(7)} ${'ns'.padStart(9)}   ringbolt is`,
  );
  for (const { name, ns } of entries) {
    const typical = median(ns);
    const ratio = median(ns.map((value, round) => value / ours.ns[round]));
    const columns = [
      (1e3 / typical).toFixed(2).padStart(9),
      (bytes / typical).toFixed(1).padStart(7),
      typical.toFixed(1).padStart(9),
    ];
    const times = name === ours.name ? '' : `   ${ratio.toFixed(2)} times as fast`;
    console.log(`  ${name.padEnd(42)} ${columns.join(' ')}${times}`);
  }
}

function targets(size, algorithm, entries) {
  const [ours, ...others] = entries;
  const found = [];
  const say = (what, value, atLeast, unit) =>
    found.push(
      `${size.name} ${algorithm}: ${what} ${value.toFixed(2)}${unit} (at least ${atLeast}) ` +
        (value >= atLeast ? 'met' : 'MISSED'),
    );
  if (size.bytes === 64)
    say('calls', 1e3 / median(ours.ns), CALLS_TARGETS[algorithm] / 1e6, ' M/s');
  if (size.name === RATIO_TARGET.size && algorithm === RATIO_TARGET.algorithm) {
    for (const { name, ns } of others) {
      if (name.startsWith('ringbolt')) continue;
      say(
        `${name}:`,
        median(ns.map((value, i) => value / ours.ns[i])),
        RATIO_TARGET.atLeast,
        ' times',
      );
    }
  }
  return found;
}

setup('build');
const require = createRequire(join(FOLDER, 'package.json'));
const { checksum } = createRequire(import.meta.url)('../../dist/lib/index.js');
const { tables, missing } = await contenders(checksum, zlib, require);

console.log(
  `${cpus()[0]?.model.trim()}, ${availableParallelism()} CPUs, load ${loadavg()[0].toFixed(2)}, Node ${process.versions.node}, ` +
    `${new Date().toISOString()}; level ${checksum.level()}; ${ROUNDS} rounds of ${MILLISECONDS} ms CPU time`,
);
for (const { name, reason } of missing) console.log(`not measured: ${name}: ${reason}`);

const results = [];
for (const { algorithm, calls } of tables) {
  for (const size of SIZES) {
    const data = Buffer.alloc(size.bytes, 'ringbolt');
    const entries = [];
    for (const { name, call, convert = BigInt, same = true } of calls) {
      // One that computes something else would win easily.
      const result = BigInt(await convert(call(data)));
      if (same && result !== BigInt(calls[0].call(data)))
        throw new Error(`${name}: another result`);
      entries.push({ name, loop: makeLoop(call, data), ns: [] });
    }
    measure(entries, ROUNDS, MILLISECONDS);
    print(`${algorithm}, ${size.name}`, size.bytes, entries);
    results.push(...targets(size, algorithm, entries));
  }
}
console.log(`\n${results.join('\n')}`);
