// Measures what a volume costs beside the bare file: the same operations on both, on one engine, in turns of a fraction of a second.
//
//   npm run bench:volume -- [--bytes N] [--rounds N] [--ms N] [--only TEXT] [--json] [folder]
//
// Warm: the regions are dirty and all tags are in memory. Cold: the tag cache has room for an eighth of them. A ratio is that of two
// measurements shortly after one another; docs/bench.md says how to read the figures.
import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism, cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { setup } from '../../scripts/setup.mjs';

const KIB = 1024;
const EVER_MS = 2 ** 31 - 1;

const { values: given, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    bytes: { type: 'string', default: String(2 ** 30) },
    rounds: { type: 'string', default: '11' },
    ms: { type: 'string', default: '400' },
    only: { type: 'string', default: '' },
    json: { type: 'boolean', default: false },
  },
});
const BYTES = Number(given.bytes);
const ROUNDS = Math.max(3, Number(given.rounds));
const MS = Number(given.ms);

setup('build');
const require = createRequire(import.meta.url);
const { Engine } = require('../../dist/lib/index.js');
const { median } = require('../../dist/bench/statistics.js');
const { Random } = require('../../dist/bench/random.js');
const { HashedFile, VolumeFiles } = await import('./files.mjs');
const { run } = await import('./load.mjs');

const read = (bytes, depth, more) => ({ kind: 'read', bytes, depth, ...more });
const write = (bytes, depth, more) => ({ kind: 'write', bytes, depth, ...more });

/**
 * `options`: of opening. `atLeast`: the share of the bare file's rate that a volume is to have; `p50AtMost`: times its latency.
 * `before`: what comes before each turn of the volume. `places`: of the writes, where they are not random.
 */
function phases({ pageCount, regionCount, blocksPerRegion }) {
  const whole = { maxDirtyBytes: Infinity, tagPages: pageCount + 16 };
  const cold = { tagPages: Math.floor(pageCount / 8) };
  const regions = {
    ...write(4 * KIB, 128),
    before: (volume) => volume.settle(),
    places: () => {
      let region = 0;
      const stride = 7 * 31; // not one after the other: a sequential writer's are marked ahead
      return () =>
        region === regionCount
          ? undefined
          : ((region++ * stride) % regionCount) * blocksPerRegion * 4 * KIB;
    },
  };
  return [
    {
      name: 'warm',
      options: { ...whole, epochMs: EVER_MS },
      workloads: [
        { name: '4 KiB random reads, QD128', atLeast: 0.95, ...read(4 * KIB, 128) },
        { name: '4 KiB random reads, QD1', ...read(4 * KIB, 1) },
        { name: '4 KiB random reads, 4 batches of 32', ...read(4 * KIB, 4, { batch: 32 }) },
        { name: '128 KiB random reads, QD32', atLeast: 0.97, ...read(128 * KIB, 32) },
        { name: '4 KiB random writes, QD128', atLeast: 0.85, ...write(4 * KIB, 128) },
        { name: '4 KiB random writes, 4 batches of 32', ...write(4 * KIB, 4, { batch: 32 }) },
        { name: '128 KiB random writes, QD32', atLeast: 0.95, ...write(128 * KIB, 32) },
      ],
    },
    {
      name: 'cold',
      options: cold,
      workloads: [
        { name: '4 KiB random reads, QD128', atLeast: 0.45, ...read(4 * KIB, 128) },
        { name: '4 KiB random reads, QD1', p50AtMost: 1.25, ...read(4 * KIB, 1) },
        { name: '4 KiB random writes, QD128', atLeast: 0.25, ...write(4 * KIB, 128) },
      ],
    },
    {
      name: 'first touch',
      options: { ...whole, epochMs: EVER_MS },
      workloads: [{ name: 'a 4 KiB write in each region, QD128', ...regions }],
    },
    {
      name: '2 ms for each flush and durable write of the sidecar',
      options: { ...cold, delayMs: 2 },
      workloads: [
        { name: 'cold 4 KiB random writes, QD128', ...write(4 * KIB, 128) },
        { name: 'a 4 KiB write in each region, QD128', ...regions },
      ],
    },
  ];
}

/** One with QD1 is timed. */
const isTimed = ({ depth, batch = 1 }) => depth === 1 && batch === 1;

function bytesWritten(engine) {
  const { foreground, background } = engine.stats().classes;
  return foreground.writtenBytes + background.writtenBytes;
}

class Measurement {
  #engine;
  #bare;
  #hashed;
  #seed = 1;

  constructor(engine, bare) {
    this.#engine = engine;
    this.#bare = bare;
    this.#hashed = new HashedFile(bare);
  }

  /** Each round begins with another target. */
  async measure(volume, workload) {
    const targets = Object.entries({ bare: this.#bare, hashed: this.#hashed, volume });
    for (const [, target] of targets) await this.#turn(target, workload);
    const rounds = [];
    for (let round = 0; round < ROUNDS; round++) {
      const seed = this.#seed++;
      const result = {};
      for (let i = 0; i < targets.length; i++) {
        const [name, target] = targets[(i + round) % targets.length];
        if (target === volume) await workload.before?.(volume);
        result[name] = await this.#turn(target, workload, seed);
      }
      rounds.push(result);
    }
    const written = workload.kind === 'write' ? await this.#amplify(volume, workload) : undefined;
    return { rounds, written };
  }

  #turn(target, workload, seed = 0) {
    const random = new Random(seed);
    const places = BYTES / workload.bytes;
    const next = workload.places?.() ?? (() => random.below(places) * workload.bytes);
    const what = { next, ms: MS, timed: isTimed(workload) };
    return run(target, this.#engine.pool, workload, what);
  }

  /** Bytes written for each that was to be. It ends with an epoch: all that it has caused is written. */
  async #amplify(volume, workload) {
    await volume.settle();
    const before = bytesWritten(this.#engine);
    const { count } = await this.#turn(volume, workload);
    await volume.settle();
    return (bytesWritten(this.#engine) - before) / (count * workload.bytes);
  }
}

function summarize({ name, atLeast, p50AtMost, ...workload }, { rounds, written }) {
  const timed = isTimed(workload);
  const value = (result) => (timed ? result.p50Us : result.perSecond);
  const ratiosOf = (target) => rounds.map((round) => value(round[target]) / value(round.bare));
  const ratios = ratiosOf('volume');
  const ratio = median(ratios);
  const of = (target, what) => median(rounds.map((round) => round[target][what]));
  const figures = (target) => ({
    perSecond: of(target, 'perSecond'),
    cpuUs: of(target, 'cpuUs'),
    loopBusy: of(target, 'loopBusy'),
    ...(timed && { p50Us: of(target, 'p50Us') }),
  });
  const wanted = atLeast ?? p50AtMost;
  return {
    name,
    of: timed ? 'median latency' : 'rate',
    bare: figures('bare'),
    hashed: figures('hashed'),
    volume: figures('volume'),
    hashedRatio: median(ratiosOf('hashed')),
    ratio,
    lowest: Math.min(...ratios),
    highest: Math.max(...ratios),
    wanted,
    met: wanted === undefined ? undefined : timed ? ratio <= wanted : ratio >= wanted,
    written,
    ratios,
  };
}

function print({ name, of, bare, hashed, volume, hashedRatio, ratio, lowest, highest, ...rest }) {
  const { wanted, met, written } = rest;
  const timed = of !== 'rate';
  const each = (format) => [bare, hashed, volume].map(format).join(' ');
  const columns = [
    `  ${name.padEnd(37)}`,
    (timed ? `${bare.p50Us.toFixed(0)} us` : `${bare.perSecond.toFixed(0)}/s`).padStart(9),
    hashedRatio.toFixed(3).padStart(6),
    ratio.toFixed(3).padStart(7),
    `${lowest.toFixed(2)} .. ${highest.toFixed(2)}`.padStart(13),
    each(({ cpuUs }) => cpuUs.toFixed(1).padStart(5)).padStart(19),
    each(({ loopBusy }) => (100 * loopBusy).toFixed(0).padStart(3)).padStart(12),
    (written?.toFixed(3) ?? '').padStart(7),
  ];
  const target = `  ${timed ? 'at most' : 'at least'} ${wanted}: ${met ? 'met' : 'MISSED'}`;
  console.log(columns.join(' ') + (wanted === undefined ? '' : target));
}

const folder = mkdtempSync(join(positionals[0] ?? tmpdir(), 'ringbolt-volume-'));
const engine = await Engine.start({ pool: { bytes: 64 * KIB * KIB } });
const files = new VolumeFiles(engine, folder, BYTES);
const report = {
  cpu: cpus()[0]?.model.trim(),
  cpus: availableParallelism(),
  node: process.versions.node,
  date: new Date().toISOString(),
  load: loadavg()[0],
  backend: engine.info.backend,
  folder,
  bytes: BYTES,
  rounds: ROUNDS,
  ms: MS,
  phases: [],
};
try {
  await files.make();
  const bare = await files.openBare();
  const measurement = new Measurement(engine, bare);
  if (!given.json) {
    console.log(
      `${report.cpu}, ${report.cpus} CPUs, load ${report.load.toFixed(2)}, Node ${report.node}, ${report.date}; ` +
        `${report.backend}, direct: ${bare.direct}; ${ROUNDS} rounds of ${MS} ms, ${BYTES / 2 ** 20} MiB\n\n` +
        'rate (QD1: median latency) of the bare file; ratio with its blocks hashed, and of the volume, with its spread; CPU time of an\n' +
        'operation in us, and event loop busy in %: bare, hashed, volume; bytes written per byte',
    );
  }
  for (const { name, options, workloads } of phases(files.geometry)) {
    const chosen = workloads.filter((workload) => `${name}: ${workload.name}`.includes(given.only));
    if (chosen.length === 0) continue;
    const volume = await files.openVolume(options);
    const phase = { name, results: [] };
    report.phases.push(phase);
    if (!given.json) console.log(`\n${name}`);
    for (const workload of chosen) {
      const result = summarize(workload, await measurement.measure(volume, workload));
      phase.results.push(result);
      if (!given.json) print(result);
    }
    await volume.close();
  }
  report.loadAfter = loadavg()[0];
  if (given.json) console.log(JSON.stringify(report, undefined, 2));
  else console.log(`\nload afterwards ${report.loadAfter.toFixed(2)}`);
} finally {
  await engine.close();
  files.remove();
  rmSync(folder, { recursive: true });
}
