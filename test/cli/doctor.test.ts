// Shows `ringbolt doctor`: how findings are printed, and the command on this machine, and under limits.

import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import type { ProbeFeature, ProbeReport } from 'ringbolt';
import { formatProbe } from '../../dist/lib/cli/doctor-text.js';
import { wrap } from '../../dist/lib/cli/text.js';
import { tempFolder } from '../support/temp-folder.js';
import { runCli } from './run-cli.js';

function finding(name: string, parts: Partial<ProbeFeature> = {}): ProbeFeature {
  const plain = { available: true, degraded: false, needed: false, detail: '', why: '' };
  return { ...plain, name, ...parts };
}

const REPORT: ProbeReport = {
  ok: true,
  kernel: '6.8.0',
  node: 'v22.1.0',
  arch: 'x64',
  container: undefined,
  path: undefined,
  features: [finding('engine', { detail: 'starts, on io_uring', needed: true })],
};

const print = (parts: Partial<ProbeReport>) => formatProbe({ ...REPORT, ...parts }, '1.2.3');

describe('the table', () => {
  it('of a machine where nothing is wrong', () => {
    expect(print({})).toMatchInlineSnapshot(`
      "ringbolt 1.2.3, Node v22.1.0, Linux 6.8.0 x64

      ✓ engine  starts, on io_uring

      Everything is as it should be.
      "
    `);
  });

  it('has a mark, a reason and a remedy for each', () => {
    const features = [
      finding('engine', { available: false, needed: true, why: 'io_uring cannot be had here' }),
      finding('io_uring', {
        available: false,
        why: 'io_uring_setup: EPERM: operation not permitted: a seccomp filter forbids it, which is the long way to say no',
        remedy: 'docker run --security-opt seccomp=unconfined, or better a profile that allows it',
      }),
      finding('memlock', { degraded: true, detail: '64 KiB', why: 'enough for 3 queues' }),
      finding('node', { detail: 'v22.1.0' }),
    ];
    const report = { ok: false, container: 'Docker', path: '/srv/x', features };
    expect(print(report)).toMatchInlineSnapshot(`
      "ringbolt 1.2.3, Node v22.1.0, Linux 6.8.0 x64, in a container: Docker
      path: /srv/x

      ✗ engine    io_uring cannot be had here
      ✗ io_uring  io_uring_setup: EPERM: operation not permitted: a seccomp filter forbids it, which is
                  the long way to say no
                  → docker run --security-opt seccomp=unconfined, or better a profile that allows it
      ~ memlock   64 KiB: enough for 3 queues
      ✓ node      v22.1.0

      ringbolt cannot work like this: engine.
      "
    `);
  });

  it('counts what could be better', () => {
    const features = [...REPORT.features, finding('aio', { available: false, why: 'no' })];
    expect(print({ features })).toMatch(/Everything that is needed is there; 1 could be better/);
  });

  it('shows no escape sequence that a name may have in it', () => {
    const odd = '\u001b[2J\u0007\u202e';
    const features = [finding('path', { detail: odd, why: odd, remedy: odd })];
    expect(print({ path: odd, features })).not.toMatch(/[^\P{C}\n]/u);
  });
});

describe('wrap', () => {
  it.each([
    ['', 10, ['']],
    ['one two three', 7, ['one two', 'three']],
    ['unbreakable-word x', 5, ['unbreakable-word', 'x']],
  ])('%j to %i', (text, width, lines) => {
    expect(wrap(text, width)).toEqual(lines);
  });
});

describe('ringbolt doctor', () => {
  it('finds that this machine will do, as every test here needs', () => {
    const { exitCode, stdout, stderr } = runCli('doctor');
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
    expect(stdout).toMatch(/^ringbolt [\d.]+, Node v\d+/);
    expect(stdout).toMatch(/^✓ engine +starts, on /m);
    expect(stdout).toMatch(/^[✓~✗] simd /m);
    expect(stdout).not.toMatch(/undefined|NaN|\[object/);
  });

  it('looks at a file', () => {
    const file = path.join(tempFolder(), 'file');
    writeFileSync(file, 'x');
    const { exitCode, stdout } = runCli('doctor', file);
    expect(exitCode).toBe(0);
    expect(stdout).toContain(`path: ${file}\n`);
    expect(stdout).toMatch(/^✓ path +file on /m);
    expect(stdout).toMatch(/^[✓✗] o_direct /m);
  });

  it('is JSON of schema 1, with the same findings', () => {
    const { exitCode, stdout } = runCli('doctor', '--json');
    expect(exitCode).toBe(0);
    const report = JSON.parse(stdout) as ProbeReport;
    expect(report).toMatchObject({ schema: 1, ok: true, node: process.version });
    expect(report.features.find(({ name }) => name === 'engine')).toMatchObject({
      available: true,
      needed: true,
    });
  });

  it('exits with 1 where the path cannot be read, and still says all it found', () => {
    const { exitCode, stdout } = runCli('doctor', '/no/such/path');
    expect(exitCode).toBe(1);
    expect(stdout).toMatch(/^✗ path +ENOENT/m);
    expect(stdout).toMatch(/^✓ engine /m);
    expect(stdout).toMatch(/ringbolt cannot work like this: path\./);
  });

  it.each([
    [[''], /the path is empty/],
    [['--fix'], /unknown option '--fix'/],
    [['/', '/'], /too many arguments/],
  ])('%j is refused', (args, message) => {
    const { exitCode, stdout, stderr } = runCli('doctor', ...args);
    expect(stderr).toMatch(message);
    expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: '' });
  });
});

describe('ringbolt doctor --engine-stats', () => {
  function written(text: string): string {
    const file = path.join(tempFolder(), 'engine.json');
    writeFileSync(file, text);
    return file;
  }

  const SHORT = JSON.stringify({
    info: { maxQueued: 10 },
    stats: { refusedTotal: 7, pool: { leakedTotal: 0 } },
  });

  it('prints advice', () => {
    const { exitCode, stdout, stderr } = runCli('doctor', '--engine-stats', written(SHORT));
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
    expect(stdout).toMatchInlineSnapshot(`
      "✓ leases    none was forgotten
      ~ refusals  7 operations, with ERR_RINGBOLT_OVERLOADED: more than maxQueued (10) would have waited
                  → await engine.whenRoom() before submitting; a larger maxQueued only makes the wait
                    longer

      1 of 2 could be better.
      "
    `);
  });

  it('is JSON of schema 1', () => {
    const { exitCode, stdout } = runCli('doctor', '--engine-stats', written(SHORT), '--json');
    expect(exitCode).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      schema: 1,
      findings: [{ name: 'leases' }, { name: 'refusals', degraded: true }],
    });
  });

  it.each([
    ['text', 'x', /engine\.json: .*JSON/],
    ['an empty file', '', /engine\.json: .*JSON/],
    ['something else', '{"a":1}', /engine\.json: it is not what JSON\.stringify/],
    ['too much', ' '.repeat(17 * 2 ** 20), /cannot be read, or is larger/],
  ])('%s is refused', (_, text, message) => {
    const { exitCode, stdout, stderr } = runCli('doctor', '--engine-stats', written(text));
    expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: '' });
    expect(stderr).toMatch(message);
  });

  it.each([
    [['--engine-stats', '/no/such/file'], /^error: \/no\/such\/file: it cannot be read/],
    [['/', '--engine-stats', '/dev/null'], /do not go together/],
    [['--engine-stats'], /argument missing/],
  ])('%j is refused', (args, message) => {
    const { exitCode, stderr } = runCli('doctor', ...args);
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(message);
  });
});
