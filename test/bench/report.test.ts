// Shows the table that people read: numbers lined up, losses marked, failures shown.

import { describe, expect, it } from 'vitest';
import { columns, shortNumber } from '../../dist/bench/columns.js';
import type { Environment } from '../../dist/bench/environment.js';
import { formatReport, formatTable } from '../../dist/bench/report.js';
import type { BenchReport, MeasuredResult } from '../../dist/bench/results.js';

const environment: Environment = {
  date: '2026-01-02T03:04:05.000Z',
  ringboltVersion: '1.2.3',
  gitCommit: '0123456789abcdef0123456789abcdef01234567',
  gitDirty: true,
  nativeBuild: { optimized: true, sanitizer: '' },
  nodeVersion: 'v20.0.0',
  fioVersion: 'fio-3.33',
  kernel: '6.1.0',
  cpuModel: 'A processor',
  cpuCount: 8,
  cpusAllowed: 4,
  memoryBytes: 16 * 2 ** 30,
  loadAverage: 0.1,
  target: {
    kind: 'temporary',
    path: null,
    sizeBytes: 2 ** 30,
    direct: true,
    device: 'nvme0n1',
    fileSystem: 'xfs',
    scheduler: 'none',
    rotational: false,
  },
  secondsPerMeasurement: 1.5,
  warmUpSeconds: 0.3,
  rounds: 3,
  seed: 77,
};

function measured(peer: string, iops: number): MeasuredResult {
  return {
    status: 'ok',
    workload: 'rand-read-4k-qd128',
    peer,
    depth: 128,
    blockBytes: 4096,
    opsPerSample: 8,
    rounds: [],
    iops,
    bytesPerSecond: iops * 4096,
    latencyUs: { p50: 903.4, p99: 3129, p999: 12345, max: 99999 },
    cpuUsPerOp: 1.957,
    gc: { msPerSecond: 1.25, longestMs: 0.7, count: 40, majorCount: 0 },
    rssMaxBytes: 1e8,
    spread: 0.05,
  };
}

const report: BenchReport = {
  schema: 3,
  environment,
  engine: { backend: 'io_uring', queues: [{}] },
  results: [
    measured('ringbolt', 144_946),
    { ...measured('fio', 157_038), latencyUs: null, gc: null, opsPerSample: null },
    {
      status: 'failed',
      workload: 'rand-read-4k-qd128',
      peer: 'node-fs',
      depth: 128,
      blockBytes: 4096,
      opsPerSample: 8,
      rounds: [],
      error: 'EACCES: not allowed',
    },
  ],
  ratios: [
    {
      workload: 'rand-read-4k-qd128',
      peer: 'fio',
      pairs: 3,
      iops: 0.923,
      iopsInterval: [0.9, 0.95],
      cpu: 0.88,
      cpuInterval: [0.8, 0.9],
    },
  ],
  skipped: [{ workload: 'rand-read-4k-qd1', peer: 'fio-tuned', reason: 'fio is not installed' }],
  commands: [{ workload: 'rand-read-4k-qd128', peer: 'fio', command: 'fio --name=x' }],
  warnings: ['Something to know.'],
};

describe('columns', () => {
  it('aligns to the left, numbers to the right, and leaves no blanks at the end', () => {
    const rows = [
      ['name', 'count', 'note'],
      ['a', '1000', 'x'],
      ['longer', '5'],
    ];
    expect(columns(rows, { right: [1] })).toBe(
      ['name    count  note', 'a        1000  x', 'longer      5'].join('\n'),
    );
  });

  it('makes nothing of nothing', () => {
    expect(columns([])).toBe('');
  });
});

describe('shortNumber', () => {
  it.each([
    [1234.5, '1235'],
    [99.96, '100.0'],
    [12.34, '12.3'],
    [1.957, '1.96'],
    [0.0123, '0.012'],
    [0, '0'],
    [NaN, '-'],
  ])('%d is %s', (value, text) => {
    expect(shortNumber(value)).toBe(text);
  });
});

describe('formatTable', () => {
  it('shows every row, marks where ringbolt does worse, and names a workload once', () => {
    const [, ours, fio, failed] = formatTable(report).split('\n');
    expect(ours).toMatch(
      /^rand-read-4k-qd128 +ringbolt +594 +144,946 +903 +3129 +12345 +1\.96 +1\.25 +0\.70$/,
    );
    expect(fio).toMatch(/^ +fio +643 +157,038 +- +- +- +1\.96 +- +- +0\.92 ▼ +0\.88$/);
    expect(failed).toMatch(/^ +node-fs +failed$/);
  });
});

describe('formatReport', () => {
  it('says below the table what one must know to believe it', () => {
    const text = formatReport(report);
    for (const fact of [
      'A processor, 4 of 8 CPUs',
      'Linux 6.1.0, Node v20.0.0, fio-3.33',
      '1.2.3, commit 0123456789ab with changes, io_uring, 1 queue',
      'temporary file, 1,024 MiB, O_DIRECT',
      'nvme0n1, xfs, scheduler none, not rotational',
      '3 rounds of 1.5 s after 0.3 s, seed 77',
      'rand-read-4k-qd128, node-fs: EACCES: not allowed',
      'rand-read-4k-qd1, fio-tuned: fio is not installed',
      'fio --name=x',
      'Something to know.',
      'with 64 or more in flight: ringbolt and node:fs time one operation of 8; fio times all.',
    ]) {
      expect(text).toContain(fact);
    }
  });

  it('names the peers that had major garbage collections, and says nothing where none had', () => {
    expect(formatReport(report)).not.toContain('Major');
    const gc = { msPerSecond: 120, longestMs: 9, count: 80, majorCount: 12 };
    const results = [{ ...measured('ringbolt-buffers', 1), gc }, ...report.results];
    expect(formatReport({ ...report, results })).toMatch(
      /\nMajor garbage collections in a round\n {2}rand-read-4k-qd128, ringbolt-buffers: 12\.0 of 80\.0\n\n/,
    );
  });

  it('says nothing of samples where every operation was timed', () => {
    const results = report.results.map((result) => ({ ...result, opsPerSample: 1 }));
    expect(formatReport({ ...report, results })).not.toContain('in flight:');
  });
});
