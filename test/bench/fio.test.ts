// Shows that fio's command does what ours does, and that its report is read right: a recorded one of fio 3.33.

import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { fioArgs, parseFio, type FioTask } from '../../dist/bench/fio.js';
import { PEERS, type FioPeer, type PeerName } from '../../dist/bench/peers.js';
import { WORKLOADS, type IoWorkload } from '../../dist/bench/workloads.js';

const sample = readFileSync(
  path.join(import.meta.dirname, 'fixtures', 'fio-rand-mix.json'),
  'utf8',
);

const peer = (name: PeerName) => PEERS.find((one) => one.name === name) as FioPeer;

function task(workload: string, changes: Partial<FioTask> = {}): FioTask {
  return {
    peer: peer('fio'),
    workload: WORKLOADS.find(({ name }) => name === workload) as IoWorkload,
    path: '/data/file',
    sizeBytes: 2 ** 30,
    direct: true,
    depth: 128,
    seconds: 1.5,
    warmUpSeconds: 0.3,
    seed: 42,
    ...changes,
  };
}

describe('fioArgs', () => {
  it.each([
    ['seq-read-1m-qd16', 'read', 2 ** 20],
    ['seq-write-1m-qd16', 'write', 2 ** 20],
    ['rand-read-4k-qd1', 'randread', 4096],
    ['rand-write-4k-qd128', 'randwrite', 4096],
    ['rand-mix-16k-qd32', 'randrw', 16384],
  ])('%s is --rw=%s --bs=%i', (name, pattern, blockBytes) => {
    const args = fioArgs(task(name));
    expect(args).toContain(`--rw=${pattern}`);
    expect(args).toContain(`--bs=${blockBytes}`);
    expect(args.includes('--rwmixread=70')).toBe(pattern === 'randrw');
  });

  it('passes on depth, time, seed, size and O_DIRECT, and never makes a file', () => {
    const args = fioArgs(task('rand-read-4k-qd1', { direct: false, sizeBytes: 10_000 }));
    expect(args).toEqual(
      expect.arrayContaining([
        '--iodepth=128',
        '--runtime=1500ms',
        '--ramp_time=300ms',
        '--randseed=42',
        '--size=8192', // whole blocks
        '--direct=0',
        '--allow_file_create=0',
      ]),
    );
  });

  it('escapes what fio takes for a list of files', () => {
    expect(fioArgs(task('rand-read-4k-qd1', { path: '/a:b' }))).toContain('--filename=/a\\:b');
  });

  it('tunes only fio-tuned', () => {
    expect(fioArgs(task('rand-read-4k-qd1', { peer: peer('fio-tuned') }))).toContain('--fixedbufs');
    expect(fioArgs(task('rand-read-4k-qd1'))).not.toContain('--fixedbufs');
  });
});

describe('parseFio', () => {
  it('reads operations, time, CPU and latencies', () => {
    const outcome = parseFio(sample, true);
    expect(outcome).toMatchObject({
      status: 'ok',
      value: {
        ops: 30568,
        bytes: 501334016,
        seconds: 0.501,
        latencyUs: { p50: 501.76, p99: 716.8, p999: 2703.36, max: 2760.605 },
        gc: undefined,
        rssMaxBytes: undefined,
      },
    });
    // 3.2 % user and 13.0 % system of 500 ms.
    expect(outcome).toHaveProperty('value.cpuSeconds', expect.closeTo(0.081));
  });

  it('takes no latencies from a fio that did not measure them', () => {
    expect(parseFio(sample, false)).toHaveProperty('value.latencyUs', undefined);
  });

  it('reads past notes before the report', () => {
    expect(parseFio(`fio: some note\n${sample}`, true).status).toBe('ok');
  });

  it.each([
    ['no report', 'fio: nothing'],
    ['a report cut short', sample.slice(0, 500)],
    ['another shape', '{"jobs": []}'],
    ['a job with an error', sample.replace('"error": 0', '"error": 5')],
    ['no operations', sample.replace('"total_ios": 30568', '"total_ios": 0')],
  ])('fails on %s', (_, text) => {
    expect(parseFio(text, true).status).toBe('failed');
  });
});
