// The report for people: the table, and below it what one must know to believe it.

import { columns, shortNumber, wholeNumber } from './columns.js';
import type { Environment } from './environment.js';
import { NOOPS_A_SAMPLE, OPS_A_SAMPLE, SAMPLED_FROM_DEPTH } from './op-timer.js';
import type { BenchReport, Ratio, Result } from './results.js';

const MB = 1e6;
const GIB = 2 ** 30;
const MIB = 2 ** 20;
const WORSE = '▼';

const HEADER = [
  'workload',
  'peer',
  'MB/s',
  'IOPS',
  'p50 us',
  'p99 us',
  'p99.9 us',
  'CPU us/op',
  'GC ms/s',
  'GC max ms',
  'IOPS ratio',
  'CPU ratio',
];
const NUMBERS = HEADER.map((_, column) => column).slice(2);

export function formatReport(report: BenchReport): string {
  const sections = [
    formatTable(report),
    formatLegend(report),
    formatEnvironment(report),
    formatSkipped(report),
    section('Major garbage collections in a round', majorCollections(report)),
    section(
      'fio, in the first round',
      report.commands.map(({ command }) => command),
    ),
    section('Warnings', report.warnings),
  ];
  return `${sections.filter((text) => text !== '').join('\n\n')}\n`;
}

export function formatTable({ results, ratios }: BenchReport): string {
  const rows = results.map((result, index) => {
    const ratio = ratios.find(
      ({ workload, peer }) => workload === result.workload && peer === result.peer,
    );
    // A name once, where its rows begin.
    const repeated = results[index - 1]?.workload === result.workload;
    return [
      repeated ? '' : result.workload,
      result.peer,
      ...figureCells(result),
      ...ratioCells(ratio),
    ];
  });
  return columns([HEADER, ...rows], { right: NUMBERS });
}

function figureCells(result: Result): readonly string[] {
  if (result.status === 'failed') return ['failed', '', '', '', '', '', '', ''];
  const { latencyUs, gc } = result;
  const known = (value: number | undefined) => (value === undefined ? '-' : shortNumber(value));
  return [
    result.bytesPerSecond === 0 ? '-' : wholeNumber(result.bytesPerSecond / MB),
    wholeNumber(result.iops),
    known(latencyUs?.p50),
    known(latencyUs?.p99),
    known(latencyUs?.p999),
    shortNumber(result.cpuUsPerOp),
    known(gc?.msPerSecond),
    known(gc?.longestMs),
  ];
}

function ratioCells(ratio: Ratio | undefined): readonly string[] {
  if (ratio === undefined) return ['', ''];
  const cell = (value: number, worse: boolean) => `${value.toFixed(2)} ${worse ? WORSE : ' '}`;
  return [cell(ratio.iops, ratio.iops < 1), cell(ratio.cpu, ratio.cpu > 1)];
}

function formatLegend({ results, ratios }: BenchReport): string {
  const lines: string[] = [];
  if (ratios.length > 0) {
    lines.push(
      `Ratios are ringbolt's figure by the peer's, median of pairs; ${WORSE} ringbolt does worse.`,
    );
  }
  if (results.some(({ opsPerSample }) => opsPerSample === OPS_A_SAMPLE)) {
    lines.push(
      `Latencies with ${SAMPLED_FROM_DEPTH} or more in flight: ` +
        `ringbolt and node:fs time one operation of ${OPS_A_SAMPLE}; fio times all.`,
    );
  }
  if (results.some(({ workload }) => workload.startsWith('noop-'))) {
    lines.push(
      `Latencies of no-ops: one of ${NOOPS_A_SAMPLE} is timed; in batches, a whole batch is.`,
    );
  }
  return lines.join('\n');
}

/** Of peers that had any. */
function majorCollections({ results }: BenchReport): readonly string[] {
  return results.flatMap((result) => {
    if (result.status === 'failed' || result.gc === null || result.gc.majorCount === 0) return [];
    const { workload, peer, gc } = result;
    return [`${workload}, ${peer}: ${shortNumber(gc.majorCount)} of ${shortNumber(gc.count)}`];
  });
}

function formatEnvironment({ environment, engine }: BenchReport): string {
  const { target } = environment;
  const known = (text: string | null) => text ?? 'unknown';
  const turns =
    target.rotational === null ? '' : target.rotational ? ', rotational' : ', not rotational';
  return columns([
    ['CPU', `${environment.cpuModel}, ${environment.cpusAllowed} of ${environment.cpuCount} CPUs`],
    ['Memory', `${(environment.memoryBytes / GIB).toFixed(1)} GiB`],
    [
      'System',
      `Linux ${environment.kernel}, Node ${environment.nodeVersion}${fioText(environment)}`,
    ],
    ['ringbolt', `${environment.ringboltVersion}${commitText(environment)}${engineText(engine)}`],
    [
      'Target',
      `${target.path ?? 'temporary file'}, ${wholeNumber(target.sizeBytes / MIB)} MiB, ` +
        (target.direct ? 'O_DIRECT' : 'through the page cache'),
    ],
    [
      'Disk',
      `${known(target.device)}, ${target.fileSystem ?? 'no file system'}, ` +
        `scheduler ${known(target.scheduler)}${turns}`,
    ],
    [
      'Run',
      `${environment.rounds} rounds of ${environment.secondsPerMeasurement} s ` +
        `after ${environment.warmUpSeconds.toFixed(1)} s, seed ${environment.seed}, ${environment.date}`,
    ],
  ]);
}

function fioText({ fioVersion }: Environment): string {
  return fioVersion === null ? '' : `, ${fioVersion}`;
}

function commitText({ gitCommit, gitDirty }: Environment): string {
  if (gitCommit === null) return '';
  return `, commit ${gitCommit.slice(0, 12)}${gitDirty === true ? ' with changes' : ''}`;
}

function engineText(engine: unknown): string {
  if (typeof engine !== 'object' || engine === null) return '';
  const { backend, queues } = engine as { backend?: unknown; queues?: unknown };
  const count = Array.isArray(queues) ? queues.length : undefined;
  const queueText = count === undefined ? '' : `, ${count} ${count === 1 ? 'queue' : 'queues'}`;
  return `${typeof backend === 'string' ? `, ${backend}` : ''}${queueText}`;
}

/** Peers that failed or could not run, and why. */
function formatSkipped({ results, skipped }: BenchReport): string {
  const failed = results.flatMap((result) =>
    result.status === 'failed' ? [`${result.workload}, ${result.peer}: ${result.error}`] : [],
  );
  const notRun = skipped.map(({ workload, peer, reason }) => `${workload}, ${peer}: ${reason}`);
  return [section('Failed', failed), section('Skipped', notRun)]
    .filter((text) => text !== '')
    .join('\n\n');
}

function section(title: string, lines: readonly string[]): string {
  return lines.length === 0 ? '' : [title, ...lines.map((line) => `  ${line}`)].join('\n');
}
