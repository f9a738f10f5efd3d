// Shows the probe of this machine: it agrees with an engine, sees limits that a process is under, opens nothing that it should not,
// and leaves nothing behind.

import { execFileSync } from 'node:child_process';
import { mkdirSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { probe, type ProbeReport } from 'ringbolt';
import { packagePath, runForJson } from '../lifecycle/run-program.js';
import { forbidCommand } from '../support/backends.js';
import { startEngine } from '../support/engine.js';
import { tempFolder } from '../support/temp-folder.js';

const PROGRAM = 'probe/programs/probe.cjs';

function line({ features }: ProbeReport, name: string) {
  const found = features.find((feature) => feature.name === name);
  expect(found, `a line '${name}'`).toBeDefined();
  return found!;
}

function fileHere(): string {
  const file = path.join(tempFolder(), 'file');
  writeFileSync(file, 'x'.repeat(8192));
  return file;
}

describe('what probe refuses', () => {
  it.each<[unknown, string]>([
    [null, 'ERR_INVALID_ARG_TYPE'],
    ['path', 'ERR_INVALID_ARG_TYPE'],
    [{ pth: '/' }, 'ERR_INVALID_ARG_VALUE'],
    [{ path: 5 }, 'ERR_INVALID_ARG_TYPE'],
    [{ path: Buffer.from('/') }, 'ERR_INVALID_ARG_TYPE'],
    [{ path: '' }, 'ERR_INVALID_ARG_VALUE'],
    [{ path: '/etc\0/passwd' }, 'ERR_INVALID_ARG_VALUE'],
  ])('%j', async (options, code) => {
    await expect(probe(options as object)).rejects.toMatchObject({ code });
  });

  it('more than 16 at once', async () => {
    const outcomes = await Promise.allSettled(Array.from({ length: 20 }, () => probe()));
    const refused = outcomes.filter(({ status }) => status === 'rejected');
    expect(refused).toHaveLength(4);
    expect(refused[0]).toMatchObject({ reason: { code: 'ERR_RINGBOLT_OVERLOADED' } });
    await probe();
  });
});

describe('this machine', () => {
  it('is what an engine finds it to be', async () => {
    const engine = await startEngine();
    const report = await probe();
    expect(report).toMatchObject({ ok: true, node: process.version, arch: process.arch });
    expect(line(report, 'engine').detail).toBe(`starts, on ${engine.info.backend}`);
    for (const { name, active, reason } of engine.info.queues[0]!.features) {
      expect(line(report, `io_uring.${name}`)).toMatchObject({ available: active, why: reason });
    }
  });

  it('each line has a reason where something is wrong, and only there', async () => {
    const { features } = await probe({ path: fileHere() });
    for (const { name, available, degraded, why } of features) {
      expect(why === '', name).toBe(available && !degraded);
    }
    expect(new Set(features.map(({ name }) => name)).size).toBe(features.length);
  });

  it('a file: what it is on, and whether direct I/O is had', async () => {
    const file = fileHere();
    const report = await probe({ path: file });
    expect(line(report, 'path').detail).toMatch(/^file on \w+, mounted on \//);
    const opened = await (await startEngine()).open(file);
    expect(line(report, 'o_direct').available).toBe(opened.direct);
    if (opened.direct) expect(line(report, 'o_direct').detail).toContain(` ${opened.blockSize} `);
  });
});

describe('paths', () => {
  it('one that is not there is a finding', async () => {
    const report = await probe({ path: path.join(tempFolder(), 'none') });
    expect(report.ok).toBe(false);
    expect(line(report, 'path').why).toMatch(/^ENOENT/);
  });

  it('a folder is not read', async () => {
    const report = await probe({ path: tempFolder() });
    expect(report.ok).toBe(true);
    expect(line(report, 'o_direct')).toMatchObject({ available: false });
  });

  it('what is neither file, folder nor block device is not opened', async () => {
    const fifo = path.join(tempFolder(), 'fifo');
    execFileSync('mkfifo', [fifo]);
    for (const odd of [fifo, '/dev/null']) {
      const report = await probe({ path: odd });
      expect(report.ok).toBe(false);
      expect(line(report, 'path').why).toMatch(/it was not opened$/);
    }
  });

  it('a file is left as it was', async () => {
    const file = fileHere();
    const facts = () => {
      const { size, mtimeNs, ctimeNs, mode } = statSync(file, { bigint: true });
      return { size, mtimeNs, ctimeNs, mode };
    };
    const before = facts();
    await probe({ path: file });
    expect(facts()).toEqual(before);
  });
});

interface Outcome {
  readonly report: ProbeReport;
  readonly before: Left;
  readonly after: Left;
}
interface Left {
  readonly threads: readonly string[];
  readonly descriptors: readonly string[];
}

describe('a process of its own', { timeout: 30_000 }, () => {
  it('has the same threads and descriptors after many probes as before', async () => {
    const file = fileHere();
    const { before, after } = await runForJson<Outcome>(PROGRAM, { args: ['30', file] });
    expect(after).toEqual(before);
  });

  it('with few descriptors: says so', async ({ skip }) => {
    if (!canRun('prlimit')) return skip('prlimit is missing');
    const under = ['prlimit', '--nofile=512:512'];
    const { report } = await runForJson<Outcome>(PROGRAM, { args: ['1'], under });
    expect(line(report, 'io_uring.FIXED_FILES').why).toMatch(/RLIMIT_NOFILE/);
    expect(line(report, 'io_uring.FIXED_FILES').remedy).toMatch(/ulimit -n/);
  });

  it('on one CPU: says so', async ({ skip }) => {
    if (!canRun('taskset')) return skip('taskset is missing');
    const { report } = await runForJson<Outcome>(PROGRAM, {
      args: ['1'],
      under: ['taskset', '-c', '0'],
    });
    expect(line(report, 'cpus').detail).toMatch(/^0 \(1 of/);
    expect(line(report, 'cpus').why).not.toBe('');
  });

  it('as a user who may lock no memory: says so, and why there is no ring if there is none', async ({
    skip,
  }) => {
    if (process.getuid?.() !== 0) return skip('only root can become another user');
    const user = ['setpriv', '--reuid=65533', '--clear-groups', '--bounding-set=-all'];
    const under = ['prlimit', '--memlock=0:0', ...user, '--inh-caps=-all'];
    try {
      execFileSync(under[0]!, [...under.slice(1), 'test', '-r', packagePath], { stdio: 'pipe' });
    } catch {
      return skip('another user may not read the package, or setpriv or prlimit is missing');
    }
    const { report } = await runForJson<Outcome>(PROGRAM, { args: ['1'], under });
    expect(line(report, 'memlock')).toMatchObject({ degraded: true, detail: '0 bytes' });
    const uring = line(report, 'io_uring');
    // Between 5.12 and some newer version, rings do not count.
    if (uring.available) return;
    expect(uring.why).toMatch(/io_uring_setup: ENOMEM: .*RLIMIT_MEMLOCK is too small/);
    expect(uring.remedy).toMatch(/ulimit -l unlimited/);
    return;
  });

  it.for(['EPERM', 'ENOSYS'])(
    'under a seccomp filter that says %s: says so',
    async (error, { skip }) => {
      const forbid = forbidCommand(skip);
      const under = [forbid, error, 'io_uring'];
      const { report } = await runForJson<Outcome>(PROGRAM, { args: ['1'], under });
      const uring = line(report, 'io_uring');
      expect(uring).toMatchObject({ available: false });
      expect(uring.why).toMatch(new RegExp(`^io_uring_setup: ${error}: .*a seccomp filter`));
      expect(uring.remedy).toMatch(/--security-opt seccomp=unconfined/);
      expect(line(report, 'seccomp').detail).toMatch(/a filter is in force/);
      expect(line(report, 'aio').available).toBe(true);
      expect(report.ok).toBe(line(report, 'engine').available);
    },
  );

  it('ends although a probe is under way, and so does a worker', async () => {
    await runForJson('probe/programs/ending.cjs');
  });
});

function canRun(command: string): boolean {
  try {
    execFileSync(command, ['--version'], { stdio: 'pipe' });
    return true;
  } catch {
    return false;
  }
}

it('an unreadable file is a finding', async ({ skip }) => {
  if (process.getuid?.() !== 0)
    return skip('only root can make a file that another user cannot read');
  const folder = tempFolder();
  mkdirSync(path.join(folder, 'closed'), { mode: 0o700 });
  const file = path.join(folder, 'closed', 'file');
  writeFileSync(file, '');
  const under = ['setpriv', '--reuid=65533', '--clear-groups', '--inh-caps=-all'];
  try {
    execFileSync(under[0]!, [...under.slice(1), 'test', '-r', packagePath], { stdio: 'pipe' });
  } catch {
    return skip('another user may not read the package, or setpriv is missing');
  }
  const { report } = await runForJson<Outcome>(PROGRAM, { args: ['1', file], under });
  expect(report.ok).toBe(false);
  expect(line(report, 'path').why).toMatch(/^EACCES/);
  return;
});
