// Shows which backend an engine takes, what it says of those it could not have, and that it works on each.

import { execFileSync } from 'node:child_process';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { Engine } from 'ringbolt';
import { describe, expect, it, onTestFinished, vi, type TestContext } from 'vitest';
import { numberedFile } from '../lifecycle/numbered-file.js';
import { packagePath, runForJson } from '../lifecycle/run-program.js';
import { BACKENDS, forbidCommand, needBackend } from '../support/backends.js';
import { startEngine } from '../support/engine.js';
import { tempFolder } from '../support/temp-folder.js';
import { expectRefused, wrong } from '../misuse/refusal.js';

const SYSCTL = '/proc/sys/kernel/io_uring_disabled';

interface Outcome {
  readonly backend: string;
  readonly passedOver: readonly { readonly backend: string; readonly reason: string }[];
}
interface Failure {
  readonly code: string;
  readonly message: string;
  readonly cause: { readonly code: string };
}

/** What programs/backend.cjs prints, run under a command. */
function start<T = Outcome>(
  under: readonly string[],
  options: object = {},
  dataFile = numberedFile(),
): Promise<T> {
  return runForJson<T>('engine/programs/backend.cjs', {
    under,
    args: [dataFile, JSON.stringify(options)],
    env: { RINGBOLT_BACKEND: '' },
  });
}

const WORKS = { right: 400, bytesInUse: 0, threads: [] };

function stubEnv(name: string, value: string): void {
  vi.stubEnv(name, value);
  onTestFinished(() => {
    vi.unstubAllEnvs();
  });
}

function needRoot(skip: TestContext['skip']): void {
  if (process.getuid?.() !== 0) skip('needs root');
}

describe('an engine', () => {
  it.for(BACKENDS)('is made of %s where that is named', async (backend, { skip }) => {
    await needBackend(backend, skip);
    const { info } = await startEngine({ backend, queues: 2 });
    expect(info).toMatchObject({ backend, passedOver: [], remarks: '' });
    expect(info.queues.map((queue) => queue.backend)).toEqual([backend, backend]);
  });

  it('takes the backend that the environment names, unless an option does', async ({ skip }) => {
    await needBackend('aio', skip);
    stubEnv('RINGBOLT_BACKEND', 'threads');
    expect((await startEngine()).info.backend).toBe('threads');
    expect((await startEngine({ backend: 'aio' })).info.backend).toBe('aio');
    stubEnv('RINGBOLT_BACKEND', '');
    const best = (await startEngine()).info.backend;
    stubEnv('RINGBOLT_BACKEND', 'threads');
    expect((await startEngine({ backend: 'auto' })).info.backend).toBe(best);
  });

  it.each(['uring', 'IO_URING', '', 0, null, true, ['aio']])(
    'refuses the backend %j',
    async (backend) => {
      await expectRefused(() => Engine.start(wrong({ backend })), {
        code: 'ERR_INVALID_ARG_VALUE',
        name: 'TypeError',
        naming: ['options.backend', "'auto', 'io_uring', 'aio', 'threads'"],
      });
    },
  );

  it('refuses a backend that the environment names and nobody knows', async () => {
    stubEnv('RINGBOLT_BACKEND', 'uring');
    await expectRefused(() => Engine.start(), {
      code: 'ERR_INVALID_ARG_VALUE',
      name: 'TypeError',
      naming: ['RINGBOLT_BACKEND', "'uring'"],
    });
  });
});

describe('where a seccomp filter forbids', () => {
  it.for(['EPERM', 'ENOSYS'])('io_uring with %s, it is aio', async (errno, { skip }) => {
    await needBackend('aio', skip);
    const outcome = await start([forbidCommand(skip), errno, 'io_uring']);
    expect(outcome).toMatchObject({ ...WORKS, backend: 'aio' });
    expect(outcome.passedOver).toHaveLength(1);
    expect(outcome.passedOver[0]!.backend).toBe('io_uring');
    expect(outcome.passedOver[0]!.reason).toMatch(
      new RegExp(`^io_uring_setup: ${errno}: .*(seccomp|io_uring_disabled)`),
    );
  });

  it.for(['EPERM', 'ENOSYS'])('that and aio with %s, it is threads', async (errno, { skip }) => {
    const outcome = await start([forbidCommand(skip), errno, 'both'], { queues: 3 });
    expect(outcome).toMatchObject({ ...WORKS, backend: 'threads' });
    expect(outcome.passedOver.map(({ backend }) => backend)).toEqual(['io_uring', 'aio']);
    expect(outcome.passedOver[1]!.reason).toMatch(`io_setup: ${errno}: a seccomp filter`);
  });

  it.for([
    ['io_uring', 'io_uring_setup'],
    ['aio', 'io_setup'],
  ] as const)('%s, an engine that insists does not start', async ([backend, syscall], { skip }) => {
    const failure = await start<Failure>([forbidCommand(skip), 'EPERM', backend], { backend });
    expect(failure).toMatchObject({
      code: 'ERR_RINGBOLT_UNSUPPORTED',
      syscall,
      errno: -1,
      cause: { code: 'EPERM' },
    });
    expect(failure.message).toMatch(`The backend ${backend} cannot be had: ${syscall}: EPERM: `);
  });
});

describe('where kernel.io_uring_disabled is set', () => {
  // Changes nothing but what the process reads: the filter stands for the kernel's refusal.
  it.for([
    ['2', /EPERM: kernel\.io_uring_disabled=2$/],
    ['1', /EPERM: kernel\.io_uring_disabled=1: only for processes with CAP_SYS_ADMIN/],
    ['0', /EPERM: a seccomp filter forbids it/],
  ] as const)('to %s, the reason follows it', async ([value, reason], { skip }) => {
    needRoot(skip);
    await needBackend('aio', skip);
    const said = path.join(tempFolder(), 'io_uring_disabled');
    writeFileSync(said, `${value}\n`);
    const hide = `mount --bind ${said} ${SYSCTL} && exec "$@"`;
    const apart = ['unshare', '--mount', 'sh', '-c'];
    try {
      execFileSync(apart[0]!, [...apart.slice(1), hide, 'sh', 'true'], { stdio: 'pipe' });
    } catch (error) {
      skip(`no file can be mounted over ${SYSCTL}: ${(error as Error).message.trim()}`);
    }
    const outcome = await start([...apart, hide, 'sh', forbidCommand(skip), 'EPERM', 'io_uring']);
    expect(outcome).toMatchObject({ ...WORKS, backend: 'aio' });
    expect(outcome.passedOver[0]!.reason).toMatch(reason);
  });

  it('to 2 in earnest, it is aio', async ({ skip }) => {
    // For the whole machine, so that whatever else starts meanwhile has no io_uring either.
    if (process.env['RINGBOLT_TEST_SYSCTL'] !== '1') skip('only with RINGBOLT_TEST_SYSCTL=1');
    needRoot(skip);
    const before = readFileSync(SYSCTL, 'utf8');
    const dataFile = numberedFile();
    try {
      writeFileSync(SYSCTL, '2');
      const outcome = await start([], {}, dataFile);
      expect(outcome).toMatchObject({
        ...WORKS,
        backend: 'aio',
        passedOver: [
          { backend: 'io_uring', reason: 'io_uring_setup: EPERM: kernel.io_uring_disabled=2' },
        ],
      });
    } finally {
      writeFileSync(SYSCTL, before);
    }
  });
});

describe('an ordinary user', () => {
  /** In front of a command: run by somebody without privileges, who can read the package and the file. */
  function asNobody(skip: TestContext['skip'], dataFile: string): readonly string[] {
    needRoot(skip);
    const under = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'];
    chmodSync(path.dirname(dataFile), 0o755);
    try {
      execFileSync(under[0]!, [...under.slice(1), 'test', '-r', packagePath], { stdio: 'pipe' });
    } catch {
      skip('another user may not read the package, or setpriv is missing');
    }
    return under;
  }

  it('who may lock no memory has an engine, and knows what it lacks', async ({ skip }) => {
    await needBackend('io_uring', skip); // nothing else may be the reason
    const dataFile = numberedFile();
    const under = ['prlimit', '--memlock=0', ...asNobody(skip, dataFile)];
    const outcome = await start(under, {}, dataFile);
    expect(outcome).toMatchObject(WORKS);
    // Kernels since 5.12 do not count rings against the limit.
    const reasons = outcome.passedOver.map(({ reason }) => reason);
    if (outcome.backend !== 'io_uring') expect(reasons[0]).toMatch('RLIMIT_MEMLOCK is 0');
  });

  it('who may have few threads has an engine with few', async ({ skip }) => {
    const dataFile = numberedFile();
    const under = ['prlimit', '--nproc=20', ...asNobody(skip, dataFile)];
    expect(await start(under, { backend: 'threads' }, dataFile)).toMatchObject({
      ...WORKS,
      backend: 'threads',
    });
  });
});
