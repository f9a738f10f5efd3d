// fio as a peer: its command line, and its figures out of its JSON.
//
// The command is fixed, and printed with the report: a comparison with "fio" says nothing unless one knows which. What
// differs from fio's defaults makes both do the same work:
//
//   --randrepeat=0 --norandommap     uniformly random offsets with repetitions, as ours; a map would exclude them
//   --scramble_buffers=0             a write sends its buffer as it is, as ours
//   --allow_file_create=0 --overwrite=1 --fallocate=none    fio must not lay out or change the file
//   --unified_rw_reporting=mixed     one set of figures for reads and writes together
//   --lat_percentiles=1              latencies from submission to completion (clat, the default, begins after it)

import { lastWords, type Children } from './children.js';
import type { FioPeer } from './peers.js';
import { errorText, type LatencyUs, type Measurement, type Outcome } from './protocol.js';
import type { IoWorkload } from './workloads.js';

const NS_PER_US = 1000;
const MS_PER_S = 1000;
const VERSION_TIMEOUT_SECONDS = 10;

export interface FioTask {
  readonly peer: FioPeer;
  readonly workload: IoWorkload;
  readonly path: string;
  readonly sizeBytes: number;
  readonly direct: boolean;
  readonly depth: number;
  readonly seconds: number;
  readonly warmUpSeconds: number;
  readonly seed: number;
}

export function fioArgs(task: FioTask): readonly string[] {
  const { workload } = task;
  const ms = (seconds: number) => `${Math.round(seconds * MS_PER_S)}ms`;
  return [
    `--name=${workload.name}`,
    `--filename=${escapeFilename(task.path)}`,
    `--size=${task.sizeBytes - (task.sizeBytes % workload.blockBytes)}`,
    '--ioengine=io_uring',
    `--direct=${task.direct ? 1 : 0}`,
    `--rw=${fioPattern(workload)}`,
    ...(isMixed(workload) ? [`--rwmixread=${workload.readPercent}`] : []),
    `--bs=${workload.blockBytes}`,
    `--iodepth=${task.depth}`,
    '--time_based',
    `--runtime=${ms(task.seconds)}`,
    `--ramp_time=${ms(task.warmUpSeconds)}`,
    '--randrepeat=0',
    `--randseed=${task.seed}`,
    '--norandommap',
    '--scramble_buffers=0',
    '--allow_file_create=0',
    '--overwrite=1',
    '--fallocate=none',
    '--group_reporting',
    '--unified_rw_reporting=mixed',
    '--clat_percentiles=0',
    '--lat_percentiles=1',
    '--percentile_list=50:99:99.9',
    '--eta=never',
    '--output-format=json',
    ...task.peer.extraArgs,
  ];
}

function isMixed({ readPercent }: IoWorkload): boolean {
  return readPercent > 0 && readPercent < 100;
}

function fioPattern(workload: IoWorkload): string {
  const kind = isMixed(workload) ? 'rw' : workload.readPercent === 100 ? 'read' : 'write';
  return workload.pattern === 'random' ? `rand${kind}` : kind;
}

/** A colon separates file names. */
function escapeFilename(path: string): string {
  return path.replaceAll(/[:\\]/g, '\\$&');
}

/** fio's version, or why there is none. */
export async function fioVersion(children: Children): Promise<Outcome<string>> {
  const run = await children.runProgram('fio', ['--version'], VERSION_TIMEOUT_SECONDS);
  if (run.status === 'failed') return { status: 'failed', error: 'fio is not installed' };
  if (run.value.exitCode !== 0) {
    return { status: 'failed', error: `fio --version: ${lastWords(run.value.stderr)}` };
  }
  return { status: 'ok', value: run.value.stdout.trim() };
}

export async function measureFio(
  children: Children,
  task: FioTask,
  timeoutSeconds: number,
): Promise<Outcome<Measurement>> {
  const run = await children.runProgram('fio', fioArgs(task), timeoutSeconds);
  if (run.status === 'failed') return run;
  const { exitCode, stdout, stderr } = run.value;
  if (exitCode !== 0) {
    // What a job died of stands on stdout, before the report.
    const said = lastWords(`${stdout.split('{', 1)[0] ?? ''}\n${stderr}`);
    return { status: 'failed', error: `fio ended with code ${exitCode}: ${said}` };
  }
  return parseFio(stdout, task.peer.latencies);
}

/** The part of fio's report that is used. Times: runtimes in ms, latencies in ns, CPU in percent of job_runtime. */
interface FioReport {
  readonly jobs: readonly [
    {
      readonly error: number;
      readonly job_runtime: number;
      readonly usr_cpu: number;
      readonly sys_cpu: number;
      readonly mixed: {
        readonly io_bytes: number;
        readonly total_ios: number;
        readonly runtime: number;
        readonly lat_ns: {
          readonly max: number;
          readonly percentile?: Readonly<Record<string, number>>;
        };
      };
    },
  ];
}

export function parseFio(stdout: string, latencies: boolean): Outcome<Measurement> {
  try {
    // Notes and warnings may stand before the report.
    const report = JSON.parse(stdout.slice(stdout.indexOf('{'))) as FioReport;
    const [job] = report.jobs;
    const { mixed } = job;
    if (job.error !== 0) return { status: 'failed', error: `fio: error ${job.error}` };
    if (mixed.total_ios === 0) return { status: 'failed', error: 'fio: no operation completed' };
    return {
      status: 'ok',
      value: {
        ops: mixed.total_ios,
        bytes: mixed.io_bytes,
        seconds: mixed.runtime / MS_PER_S,
        cpuSeconds: ((job.usr_cpu + job.sys_cpu) / 100) * (job.job_runtime / MS_PER_S),
        latencyUs: latencies ? fioLatencies(mixed.lat_ns) : undefined,
        gc: undefined,
        rssMaxBytes: undefined,
        engine: undefined,
      },
    };
  } catch (error) {
    return { status: 'failed', error: `fio's report cannot be read: ${errorText(error)}` };
  }
}

function fioLatencies({
  max,
  percentile = {},
}: FioReport['jobs'][0]['mixed']['lat_ns']): LatencyUs | undefined {
  const p50 = percentile['50.000000'];
  const p99 = percentile['99.000000'];
  const p999 = percentile['99.900000'];
  if (p50 === undefined || p99 === undefined || p999 === undefined) return undefined;
  return {
    p50: p50 / NS_PER_US,
    p99: p99 / NS_PER_US,
    p999: p999 / NS_PER_US,
    max: max / NS_PER_US,
  };
}
