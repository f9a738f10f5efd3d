// Shows `ringbolt bench` from end to end: what it refuses before anything happens, a small run with valid JSON, and that it
// leaves nothing behind.

import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import type { BenchReport, MeasuredResult } from '../../dist/bench/results.js';
import { tempFolder } from '../support/temp-folder.js';
import { runCli } from './run-cli.js';

const MIB = 2 ** 20;

function existingFile(): string {
  const file = path.join(tempFolder(), 'mine');
  writeFileSync(file, randomBytes(2 * MIB));
  return file;
}

describe('what bench refuses', () => {
  it.each([
    [['--seconds', '0'], /number of seconds from 0.1/],
    [['--rounds', '2'], /whole number from 3/],
    [['--queues', 'all'], /whole number from 1/],
    [['--depth', '0'], /whole number from 1/],
    [['--direct', 'maybe'], /Allowed choices are on, off, auto/],
    [['--size', '12'], /a size such as 64M/],
    [['--workload', 'rand-raed*'], /No workload is named 'rand-raed\*'/],
    [['--peer', 'dd'], /No peer is named 'dd'; there are ringbolt, .*node-fs, /],
    [['--peer', 'node-fs', '--workload', 'noop*'], /no-ops are for ringbolt alone/],
    [['--json', '/no/such/folder/file'], /Cannot write/],
    [['/no/such/folder/file'], /no folder/],
    [['/dev/null'], /neither a file nor a block device/],
    [['one', 'two'], /too many arguments/],
  ])('%j', (args, message) => {
    const { exitCode, stdout, stderr } = runCli('bench', ...args);
    expect(stderr).toMatch(message);
    expect(exitCode).toBe(1);
    expect(stdout).toBe('');
  });

  it('writing to an existing target without --allow-write leaves it as it is', () => {
    const file = existingFile();
    const before = readFileSync(file);
    const { exitCode, stderr } = runCli('bench', file, '--workload', '*write*');
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(/would destroy its contents/);
    expect(readFileSync(file).equals(before)).toBe(true);
  });

  it('JSON into the target itself', () => {
    const file = existingFile();
    const { exitCode, stderr } = runCli('bench', file, '--workload', '*read*', '--json', file);
    expect(stderr).toMatch(/--json names the target/);
    expect(exitCode).toBe(1);
  });
});

/** Dozens of processes, one after the other. */
const timeout = 60_000;

describe('what bench reports', { timeout }, () => {
  const short = ['--workload', 'rand-read-4k-qd128', '--seconds', '0.2', '--seed', '7'];

  it('is JSON of schema 3, and the target that it made is gone', () => {
    const target = path.join(tempFolder(), 'new');
    const peers = ['--peer', 'ringbolt', '--peer', 'node-fs'];
    const run = runCli('bench', target, ...short, ...peers, '--size', '16M', '--json', '-');
    expect(run.stderr).toMatch(/\[6\/6\] round 3/);
    expect(run.exitCode).toBe(0);
    expect(existsSync(target)).toBe(false);

    const report = JSON.parse(run.stdout) as BenchReport;
    expect(report).toMatchObject({
      schema: 3,
      environment: {
        nodeVersion: process.version,
        nativeBuild: { optimized: true, sanitizer: '' },
        secondsPerMeasurement: 0.2,
        rounds: 3,
        seed: 7,
        target: { kind: 'created', path: target, sizeBytes: 16 * MIB },
      },
      skipped: [],
      commands: [],
    });
    expect(report.environment.date).toMatch(/^\d{4}-\d\d-\d\dT/);
    expect(report.engine).toHaveProperty('backend');
    expect(report.warnings.join()).toMatch(/took 0\.2 s only/);
    expectResults(report);
  });

  it('has the garbage collections of reads into new Buffers', () => {
    const peers = ['--peer', 'ringbolt', '--peer', 'ringbolt-buffers', '--size', '16M'];
    const run = runCli('bench', '--workload', 'rand-read-128k-qd32', ...peers, '--json', '-');
    expect(run.exitCode).toBe(0);
    const { results } = JSON.parse(run.stdout) as BenchReport;
    const { gc } = results.find(({ peer }) => peer === 'ringbolt-buffers') as MeasuredResult;
    expect(gc!.count).toBeGreaterThan(0);
    expect(gc!.msPerSecond).toBeGreaterThan(0);
  });

  it('covers reads, writes, both and no-ops, on two queues', () => {
    const globs = ['--workload', 'rand-*', '--workload', 'noop-*', '--workload', 'seq-write*'];
    const options = ['--peer', 'ringbolt', '--seconds', '0.1', '--size', '16M', '--json', '-'];
    const run = runCli('bench', ...globs, ...options, '--queues', '2');
    expect(run.exitCode).toBe(0);
    const { results, engine } = JSON.parse(run.stdout) as BenchReport;
    expect(results.map(({ workload, status }) => `${workload} ${status}`)).toEqual([
      'seq-write-1m-qd16 ok',
      'rand-read-4k-qd1 ok',
      'rand-read-4k-qd128 ok',
      'rand-read-128k-qd32 ok',
      'rand-write-4k-qd1 ok',
      'rand-write-4k-qd128 ok',
      'rand-mix-16k-qd32 ok',
      'noop-promises-qd128 ok',
      'noop-batches-qd128 ok',
    ]);
    expect(engine).toHaveProperty('queues.length', 2);
  });

  it('is a table, and JSON in a file beside it', () => {
    const file = existingFile();
    const before = readFileSync(file);
    const json = path.join(tempFolder(), 'results.json');
    const run = runCli('bench', file, ...short, '--peer', 'ringbolt', '--json', json);
    expect(run.exitCode).toBe(0);
    expect(run.stdout).toMatch(/^workload +peer +MB\/s +IOPS/);
    expect(run.stdout).toMatch(/^rand-read-4k-qd128 +ringbolt +\d/m);
    expect(JSON.parse(readFileSync(json, 'utf8'))).toHaveProperty('schema', 3);
    expect(readFileSync(file).equals(before)).toBe(true);
  });

  it('goes on without fio where there is none, and says so', () => {
    const run = runWithPath(tempFolder(), [...short, '--size', '16M', '--json', '-']);
    expect(run.exitCode).toBe(0);
    const { skipped, results } = JSON.parse(run.stdout) as BenchReport;
    expect(skipped).toEqual([
      { workload: 'rand-read-4k-qd128', peer: 'fio', reason: 'fio is not installed' },
    ]);
    expect(results.map(({ peer }) => peer)).toEqual(['ringbolt', 'node-fs']);
  });

  it('is a list, when that is asked for', () => {
    const { exitCode, stdout } = runCli('bench', '--list');
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/rand-mix-16k-qd32 +random reads \(70 %\) and writes of 16 KiB/);
    expect(stdout).toMatch(/node-fs-128/);
  });
});

describe('an interrupted bench', { timeout }, () => {
  it('removes its file, ends its processes and exits as shells expect', async () => {
    const folder = tempFolder();
    const main = path.join(import.meta.dirname, '..', '..', 'dist', 'lib', 'cli', 'main.js');
    const target = path.join(folder, 'new');
    const args = ['bench', target, '--size', '16M', '--seconds', '60', '--peer', 'ringbolt'];
    const child = spawn(process.execPath, [main, ...args], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      // The first measurement has begun: interrupt it.
      if (text.includes('[1/')) child.kill('SIGINT');
    });
    const exitCode = await new Promise((resolve) => child.once('exit', resolve));
    expect(exitCode).toBe(130);
    expect(readdirSync(folder)).toEqual([]);
  });
});

function runWithPath(searchPath: string, args: readonly string[]) {
  const before = process.env['PATH'];
  process.env['PATH'] = searchPath;
  try {
    return runCli('bench', ...args);
  } finally {
    process.env['PATH'] = before;
  }
}

function expectResults({ results, ratios }: BenchReport): void {
  expect(results.map(({ peer }) => peer)).toEqual(['ringbolt', 'node-fs']);
  for (const result of results) {
    expect(result).toMatchObject({ status: 'ok', depth: 128, blockBytes: 4096, opsPerSample: 8 });
    expect(result.rounds).toHaveLength(3);
    if (result.status === 'failed') continue;
    const { latencyUs, iops, bytesPerSecond, cpuUsPerOp } = result;
    expect(iops).toBeGreaterThan(0);
    expect(bytesPerSecond / iops).toBeCloseTo(4096);
    expect(cpuUsPerOp).toBeGreaterThan(0);
    expect(latencyUs!.p50).toBeGreaterThan(0);
    expect(latencyUs!.p99).toBeGreaterThanOrEqual(latencyUs!.p50);
    expect(latencyUs!.p999).toBeGreaterThanOrEqual(latencyUs!.p99);
    expect(result.rssMaxBytes).toBeGreaterThan(MIB);
    expect(result.gc!.longestMs).toBeLessThanOrEqual(1000 * result.gc!.msPerSecond);
  }
  expect(ratios).toMatchObject([{ workload: 'rand-read-4k-qd128', peer: 'node-fs', pairs: 3 }]);
  const [ratio] = ratios;
  for (const [low, value, high] of [
    [ratio!.iopsInterval[0], ratio!.iops, ratio!.iopsInterval[1]],
    [ratio!.cpuInterval[0], ratio!.cpu, ratio!.cpuInterval[1]],
  ]) {
    expect(low).toBeGreaterThan(0);
    expect(low).toBeLessThanOrEqual(value!);
    expect(value).toBeLessThanOrEqual(high!);
  }
}
