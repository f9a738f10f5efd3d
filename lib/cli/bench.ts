// `ringbolt bench`: reads the command line, runs the benchmark (bench/), writes the report.

import fs from 'node:fs';
import path from 'node:path';
import { Command, Option } from 'commander';
import { Children } from '../../bench/children.js';
import { fioVersion } from '../../bench/fio.js';
import { formatList } from '../../bench/list.js';
import { BenchError, type BenchOptions } from '../../bench/options.js';
import { PEER_NAMES, PEERS, type Peer } from '../../bench/peers.js';
import { Progress } from '../../bench/progress.js';
import { formatReport } from '../../bench/report.js';
import type { BenchReport } from '../../bench/results.js';
import { runBench } from '../../bench/run.js';
import { chooseWorkloads, type Workload } from '../../bench/workloads.js';
import { collect, parseBytes, parseInteger, parseSeconds } from './arguments.js';
import { onSignals } from './signals.js';

const MIB = 2 ** 20;
const MAX_SEED = 2 ** 30;
const DIRECT = { on: true, off: false, auto: 'auto' } as const;

/** As commander hands them over: values are checked, names are not. */
interface Flags {
  readonly workload?: readonly string[];
  readonly peer?: readonly string[];
  readonly full?: boolean;
  readonly seconds?: number;
  readonly rounds: number;
  readonly depth?: number;
  readonly queues?: number;
  readonly direct: keyof typeof DIRECT;
  readonly size?: number;
  readonly allowWrite?: boolean;
  readonly seed?: number;
  readonly json?: string;
  readonly list?: boolean;
}

export function benchCommand(): Command {
  return new Command('bench')
    .description('Measure what a disk and the engine can do, beside node:fs and fio')
    .argument('[target]', 'file or block device; made and removed again if there is none')
    .option('--workload <name>', 'only workloads that match; * and ? allowed, repeatable', collect)
    .option('--peer <name>', 'these peers on every chosen workload; repeatable', collect)
    .option('--full', 'all peers on all workloads, for longer')
    .option('--seconds <n>', 'length of each measurement', parseSeconds(0.1, 3600))
    .option('--rounds <n>', 'measurements of each kind', parseInteger(3, 1000), 3)
    .option(
      '--depth <n>',
      "operations in flight, in place of the workload's",
      parseInteger(1, 4096),
    )
    .option('--queues <n>', 'queues of ringbolt', parseInteger(1, 256))
    .addOption(
      new Option('--direct <when>', 'bypass the page cache')
        .choices(['on', 'off', 'auto'])
        .default('auto'),
    )
    .option('--size <bytes>', 'how much of the target to use, e.g. 4G', parseBytes(MIB))
    .option('--allow-write', "destroy an existing target's contents with workloads that write")
    .option(
      '--seed <n>',
      'of the offsets; default: another one each time',
      parseInteger(1, MAX_SEED),
    )
    .option('--json <file>', 'write the results there as JSON; - is stdout, in place of the table')
    .option('--list', 'list workloads and peers')
    .addHelpText('after', HELP)
    .action(async (target: string | undefined, flags: Flags) => {
      process.exitCode = await bench(target, flags);
    });
}

const HELP = `
Without a target, a temporary file of 1 GiB is measured. Without --peer and --full, every workload is
run by ringbolt, and the main ones by node-fs and fio as well; that takes less than two minutes.

Examples:
  ringbolt bench
  ringbolt bench --workload 'rand-read-*' --peer ringbolt --peer fio-tuned --seconds 5
  ringbolt bench /dev/nvme1n1 --workload '*read*' --json results.json

Exit codes: 0 fine, 1 could not run, 130 interrupted.`;

async function bench(target: string | undefined, flags: Flags): Promise<number> {
  const children = new Children();
  try {
    if (flags.list === true) {
      process.stdout.write(formatList(await fioVersion(children)));
      return 0;
    }
    const options = toOptions(target, flags);
    checkJsonFile(flags.json, target);
    const progress = new Progress();
    onSignals((code) => {
      progress.end();
      children.killAll();
      process.exit(code); // which removes the target
    });
    const report = await runBench(options, children, progress);
    write(report, flags.json);
    return failed(report) ? 1 : 0;
  } catch (error) {
    if (!(error instanceof BenchError)) throw error;
    process.stderr.write(`error: ${error.message}\n`);
    return 1;
  }
}

function toOptions(target: string | undefined, flags: Flags): BenchOptions {
  return {
    target,
    sizeBytes: flags.size,
    allowWrite: flags.allowWrite ?? false,
    direct: DIRECT[flags.direct],
    workloads: toWorkloads(flags.workload ?? []),
    peers: flags.peer && toPeers(flags.peer),
    full: flags.full ?? false,
    seconds: flags.seconds,
    rounds: flags.rounds,
    depth: flags.depth,
    queues: flags.queues,
    seed: flags.seed ?? 1 + Math.floor(Math.random() * MAX_SEED),
  };
}

function toWorkloads(globs: readonly string[]): readonly Workload[] {
  const choice = chooseWorkloads(globs);
  if (choice.status === 'ok') return choice.workloads;
  throw new BenchError(`No workload is named '${choice.glob}'; --list shows them`);
}

function toPeers(names: readonly string[]): readonly Peer[] {
  const unknown = names.find((name) => !PEERS.some((peer) => peer.name === name));
  if (unknown !== undefined) {
    throw new BenchError(`No peer is named '${unknown}'; there are ${PEER_NAMES.join(', ')}`);
  }
  return PEERS.filter(({ name }) => names.includes(name));
}

/** Minutes of measuring must not end with a file that cannot be written. */
function checkJsonFile(file: string | undefined, target: string | undefined): void {
  if (file === undefined || file === '-') return;
  if (target !== undefined && realPath(file) === realPath(target)) {
    throw new BenchError('--json names the target itself');
  }
  try {
    if (fs.existsSync(file)) fs.accessSync(file, fs.constants.W_OK);
    else fs.accessSync(path.dirname(file), fs.constants.W_OK);
  } catch {
    throw new BenchError(`Cannot write ${file}`);
  }
}

function realPath(file: string): string {
  return fs.existsSync(file) ? fs.realpathSync(file) : path.resolve(file);
}

function write(report: BenchReport, json: string | undefined): void {
  const text = `${JSON.stringify(report, null, 2)}\n`;
  if (json === '-') {
    process.stdout.write(text);
    return;
  }
  if (json !== undefined) fs.writeFileSync(json, text);
  process.stdout.write(formatReport(report));
}

/** Without ringbolt's figures there is no result; a peer that failed is shown, and that is all. */
function failed({ results }: BenchReport): boolean {
  return (
    results.every(({ status }) => status === 'failed') ||
    results.some(({ peer, status }) => peer === 'ringbolt' && status === 'failed')
  );
}
