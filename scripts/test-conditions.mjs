// Runs the engine's tests once under each condition that a machine may be in: every backend by name, io_uring forbidden in
// every way there is, no memory that may be locked. Under each, `ringbolt doctor` must first say what the matter is.
//
//   npm run test:conditions                       short: engine, files, scheduling, memory
//   npm run test:conditions -- --all              also misuse, lifecycle, streams (`npm run soak` does this)
//   npm run test:conditions -- --only seccomp     conditions with that in their name
//   RINGBOLT_TEST_SYSCTL=1 npm run test:conditions     also kernel.io_uring_disabled=2, which is for the whole machine
//
// One last line: `N passed, N failed, N skipped`. A condition that cannot be had here is one skip, with its reason.
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { root, run, setup } from './setup.mjs';
import { countVitest } from './vitest-report.mjs';

const SHORT = ['test/engine', 'test/device/b', 'test/device/c', 'test/device/m', 'test/device/s'];
const SUITES = {
  short: [...SHORT, 'test/schedule', 'test/memory'],
  all: ['engine', 'device', 'schedule', 'memory', 'misuse', 'lifecycle'].map((it) => `test/${it}`),
};
const SYSCTL = '/proc/sys/kernel/io_uring_disabled';
const NOBODY = 65534;
const isRoot = process.getuid() === 0;

/** Commands that run another one, and what doctor says then: by name of the line, a pattern for it as JSON. */
const named = (backend, line = backend) => ({
  name: `RINGBOLT_BACKEND=${backend}`,
  env: { RINGBOLT_BACKEND: backend },
  doctor: {
    engine: new RegExp(
      backend === 'io_uring'
        ? 'starts, on io_uring'
        : `starts, on ${backend}.*RINGBOLT_BACKEND=${backend} asks for that`,
    ),
    ...(line && { [line]: /"available":true/ }),
  },
});

const forbidden = (errno, calls, backend, verb) => ({
  name: `seccomp ${errno} for ${calls === 'both' ? 'io_uring and aio' : calls}`,
  under: ({ forbid }) => [forbid(), errno, calls],
  doctor: {
    engine: new RegExp(`starts, on ${backend}`),
    io_uring: new RegExp(`io_uring_setup: ${errno}: .*a seccomp filter ${verb} it`),
    seccomp: /a filter is in force/,
    ...(calls === 'both' && { aio: new RegExp(`io_setup: ${errno}: `) }),
  },
});

const CONDITIONS = [
  named('io_uring'),
  named('aio'),
  named('threads', ''),
  forbidden('EPERM', 'io_uring', 'aio', 'forbids'),
  forbidden('ENOSYS', 'io_uring', 'aio', 'hides'),
  forbidden('EPERM', 'both', 'threads', 'forbids'),
  {
    name: 'RLIMIT_MEMLOCK=0 as an ordinary user',
    ordinaryUser: true,
    under: () => [
      ...['prlimit', '--memlock=0:0'],
      ...(isRoot
        ? [
            'setpriv',
            `--reuid=${NOBODY}`,
            `--regid=${NOBODY}`,
            '--clear-groups',
            '--bounding-set=-all',
          ]
        : []),
    ],
    // Whether rings count is the kernel's affair; if they do, they are refused for that reason.
    doctor: {
      memlock: /"degraded":true.*0 bytes/,
      io_uring: /"available":true|io_uring_setup: ENOMEM: .*RLIMIT_MEMLOCK is too small/,
    },
  },
  {
    name: 'kernel.io_uring_disabled=2',
    sysctl: true,
    doctor: {
      engine: /starts, on aio/,
      io_uring: /io_uring_setup: EPERM: .*kernel\.io_uring_disabled=2/,
      'sysctl.io_uring_disabled': /"available":false/,
    },
  },
];

class Skip extends Error {}

/** Compiles the program that forbids system calls, once. */
function forbidProgram(folder) {
  let program;
  return () => {
    if (program !== undefined) return program;
    const path = join(folder, 'forbid');
    const compiled = spawnSync('gcc', ['-o', path, join(root, 'test/engine/programs/forbid.c')]);
    const works = compiled.status === 0 && spawnSync(path, ['EPERM', 'io_uring', 'true']);
    if (!works || works.status !== 0) throw new Skip('no seccomp filter can be made here');
    return (program = path);
  };
}

/** The command in front of node, its environment; throws Skip. */
function prepare(condition, folder, forbid) {
  if (condition.sysctl) {
    if (process.env.RINGBOLT_TEST_SYSCTL !== '1')
      throw new Skip('only with RINGBOLT_TEST_SYSCTL=1');
    if (!isRoot) throw new Skip('needs root');
  }
  if (condition.ordinaryUser && isRoot) chownSync(folder, NOBODY, NOBODY);
  const under = condition.under?.({ forbid }) ?? [];
  const readable = [...under, 'test', '-r', join(root, 'dist/lib/index.js')];
  const tried = spawnSync(readable[0], readable.slice(1), { encoding: 'utf8' });
  if (tried.status !== 0) {
    throw new Skip(
      `${tried.error?.message ?? (tried.stderr.trim() || 'the package is unreadable')}`,
    );
  }
  const own = { TMPDIR: folder, HOME: folder, RINGBOLT_REPORT: join(folder, 'report.json') };
  return { under, env: { RINGBOLT_BACKEND: '', ...own, ...condition.env } };
}

/** What doctor does not say and should; an empty list is well. */
function askDoctor(condition, { under, env }) {
  const main = join(root, 'dist/lib/cli/main.js');
  const [command, ...args] = [...under, process.execPath, main, 'doctor', '--json'];
  const asked = spawnSync(command, args, { encoding: 'utf8', env: { ...process.env, ...env } });
  if (asked.status !== 0) return [`doctor ended with ${asked.status}: ${asked.stderr}`];
  const { features } = JSON.parse(asked.stdout);
  return Object.entries(condition.doctor).flatMap(([name, pattern]) => {
    const text = JSON.stringify(features.find((feature) => feature.name === name));
    return pattern.test(text ?? '') ? [] : [`doctor's line '${name}' is ${text}, not ${pattern}`];
  });
}

function runTests({ under, env }, suites) {
  const vitest = join(root, 'node_modules/vitest/vitest.mjs');
  // Nothing is written into the checkout, which the user may not own.
  const options = ['--configLoader=runner', '--no-cache', '--testTimeout=30000'];
  const [command, ...args] = [...under, process.execPath, vitest, 'run', ...options, ...suites];
  const exitCode = run(command, args, { minutes: 60, env });
  return countVitest(env.RINGBOLT_REPORT, exitCode);
}

/** Runs `body` with the switch at 2, and puts it back whatever happens. */
function withoutRings(body) {
  const before = readFileSync(SYSCTL, 'utf8');
  // A signal ends what is run, but not us before the switch is back.
  const stay = () => undefined;
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'];
  for (const signal of signals) process.on(signal, stay);
  try {
    writeFileSync(SYSCTL, '2');
    return body();
  } finally {
    writeFileSync(SYSCTL, before);
    for (const signal of signals) process.off(signal, stay);
  }
}

function runCondition(condition, suites) {
  console.log(`\ncondition: ${condition.name}`);
  const folder = mkdtempSync(join(tmpdir(), 'ringbolt-condition-'));
  chmodSync(folder, 0o755); // tests make other users read in it
  try {
    const setting = prepare(condition, folder, forbidProgram(folder));
    const body = () => {
      const unsaid = askDoctor(condition, setting);
      for (const text of unsaid) console.error(`failed: ${condition.name}: ${text}`);
      const count = runTests(setting, suites);
      count[unsaid.length > 0 ? 'failed' : 'passed']++;
      return count;
    };
    return condition.sysctl ? withoutRings(body) : body();
  } catch (error) {
    if (!(error instanceof Skip)) throw error;
    console.log(`skipped: ${condition.name}: ${error.message}`);
    return { passed: 0, failed: 0, skipped: 1 };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function main(args) {
  const only = args.includes('--only') ? args[args.indexOf('--only') + 1] : '';
  const suites = args.includes('--all') ? SUITES.all : SUITES.short;
  const conditions = CONDITIONS.filter(({ name }) => name.includes(only));
  setup('bench');
  const total = { passed: 0, failed: 0, skipped: 0 };
  const lines = conditions.map((condition) => {
    const count = runCondition(condition, suites);
    for (const key of Object.keys(total)) total[key] += count[key];
    return `${condition.name}: ${count.passed} passed, ${count.failed} failed, ${count.skipped} skipped`;
  });
  mkdirSync(join(root, 'reports'), { recursive: true });
  writeFileSync(join(root, 'reports/conditions.json'), JSON.stringify(total));
  console.log(`\n${lines.join('\n')}`);
  console.log(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
  process.exitCode = total.failed > 0 || total.passed === 0 ? 1 : 0;
}

main(process.argv.slice(2));
