// Shows when the report warns that its figures mean less than they seem to.

import { closeSync, ftruncateSync, openSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Environment } from '../../dist/bench/environment.js';
import type { MeasuredResult } from '../../dist/bench/results.js';
import { warnAboutEnvironment, warnAboutResults } from '../../dist/bench/warnings.js';
import { tempFolder } from '../support/temp-folder.js';

interface Circumstances {
  readonly fileSystem?: string;
  readonly direct?: boolean;
  readonly loadAverage?: number;
  readonly seconds?: number;
  readonly optimized?: boolean;
  readonly sanitizer?: string;
}

/** What is said on top of what this machine always says, such as its governor. */
function warningsOf(circumstances: Circumstances, file: string): string {
  const { fileSystem = 'ext4', direct = true, loadAverage = 0, seconds = 5 } = circumstances;
  const { optimized = true, sanitizer = '' } = circumstances;
  const environment = {
    target: { fileSystem, direct },
    nativeBuild: { optimized, sanitizer },
    cpusAllowed: 4,
    loadAverage,
    secondsPerMeasurement: seconds,
  } as Environment;
  return warnAboutEnvironment(environment, file, 'not that file system').join('\n');
}

function fullFile(): string {
  const file = path.join(tempFolder(), 'full');
  writeFileSync(file, Buffer.alloc(65536, 'x'), { flush: true });
  return file;
}

const result: MeasuredResult = {
  status: 'ok',
  workload: 'w',
  peer: 'p',
  depth: 1,
  blockBytes: 1,
  opsPerSample: 1,
  rounds: [],
  iops: 1,
  bytesPerSecond: 1,
  latencyUs: null,
  cpuUsPerOp: 1,
  gc: null,
  rssMaxBytes: null,
  spread: 0.1,
};
const round = {
  status: 'ok',
  round: 0,
  ops: 1,
  seconds: 1,
  iops: 1,
  bytesPerSecond: 1,
  latencyUs: null,
  cpuUsPerOp: 1,
  gc: null,
  rssMaxBytes: null,
} as const;
const noPlan = { comparisons: [], skipped: [], steps: [] };

describe('warnAboutEnvironment', () => {
  it('is silent about an idle machine and a full file on a disk', () => {
    expect(warningsOf({}, fullFile())).not.toMatch(/addon|tmpfs|O_DIRECT|holes|load|only/);
  });

  it.each([
    [{ fileSystem: 'tmpfs' }, /in memory \(tmpfs\)/],
    [{ direct: false }, /O_DIRECT \(not that file system\)/],
    [{ loadAverage: 2.1 }, /load average was 2\.10/],
    [{ seconds: 0.2 }, /took 0\.2 s only/],
    [{ optimized: false }, /debug build/],
    [{ sanitizer: 'AddressSanitizer' }, /under AddressSanitizer/],
  ])('warns of %j', (circumstances, expected) => {
    expect(warningsOf(circumstances, fullFile())).toMatch(expected);
  });

  it('warns of a file with holes', () => {
    const file = path.join(tempFolder(), 'holes');
    const fd = openSync(file, 'w');
    ftruncateSync(fd, 2 ** 24);
    closeSync(fd);
    expect(warningsOf({}, file)).toMatch(/holes/);
  });
});

describe('warnAboutResults', () => {
  it('is silent about three rounds that agree', () => {
    expect(warnAboutResults(noPlan, [{ ...result, rounds: [round, round, round] }])).toEqual([]);
  });

  it('warns of rounds that differ, of failed ones and of too few', () => {
    const failed = { status: 'failed', round: 2, error: 'EIO' } as const;
    const results = [{ ...result, spread: 0.4, rounds: [round, round, failed] }];
    expect(warnAboutResults(noPlan, results)).toEqual([
      'w with p: 1 rounds failed: EIO',
      'w with p: a median of 2 rounds says little.',
      'w with p: rounds differ by 40 %; trust ratios more than figures.',
    ]);
  });
});
