// The tests whose worth grows with the number of rounds, with many, and the slow ones: `npm run soak`. Nothing is skipped silently: the
// reasons stand in the output, as in `npm test`. One last line: `N passed, N failed, N skipped`.
//
//   npm run soak                                   all of it, which takes an hour or two
//   npm run soak -- faults asan                    only these parts
//   RINGBOLT_FAULT_OPERATIONS=1000000 npm run soak -- faults
//
//   faults      100,000 operations with faults on each backend
//   asan        the same under the address sanitizer and the one for undefined behaviour
//   devices     full, failing and read-only ones, and one that answers after five seconds
//   workers     1,000 with engines and 1,000 without, on each backend
//   memory      the buffer pool's random tests, 10,000,000 steps each
//   calm        what timers and sockets get while reads complete without end; prints the figures
//   volumes     1,000,000 crashes of volumes on a simulated disk, 500 of real processes, 20,000 points of what was really
//               written, 100,000 single faults; each mutant five times; an hour of a hundred users without a false alarm
//   conditions  the engine's tests under each condition a machine may be in (test-conditions.mjs)
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { configure } from './native-tests.mjs';
import { root, run, setup } from './setup.mjs';
import { countVitest, missedFailure } from './vitest-report.mjs';

/** The environment goes first. */
const withDefault = (name, value) => ({ [name]: process.env[name] ?? value });
const OPERATIONS = withDefault('RINGBOLT_FAULT_OPERATIONS', '100000');

const PARTS = {
  faults: () => vitest('faults', ['test/fault/faults.test.ts'], OPERATIONS),
  asan: sanitized,
  devices: () =>
    vitest(
      'devices',
      ['test/fault', '--exclude=test/fault/faults.test.ts'],
      withDefault('RINGBOLT_DEVICE_SECONDS', '5'),
    ),
  workers: () =>
    vitest(
      'workers',
      ['test/lifecycle/worker-cycles.test.ts'],
      withDefault('RINGBOLT_WORKER_CYCLES', '1000'),
    ),
  memory,
  calm: () =>
    vitest('calm', ['test/schedule/calm.test.ts'], withDefault('RINGBOLT_CALM_ROUNDS', '40')),
  volumes: () =>
    vitest(
      'volumes',
      [
        'test/volume/volume-crash.test.ts',
        'test/volume/volume-life-crash.test.ts',
        'test/volume/volume-kill.test.ts',
        'test/volume/volume-replay.test.ts',
        'test/volume/faults.test.ts',
        'test/volume/mutants.test.ts',
        'test/volume/volume-alarms.test.ts',
      ],
      {
        ...withDefault('RINGBOLT_VOLUME_CRASHES', '1000000'),
        ...withDefault('RINGBOLT_LIFE_CRASHES', '30000'),
        ...withDefault('RINGBOLT_VOLUME_KILLS', '500'),
        ...withDefault('RINGBOLT_VOLUME_REPLAYS', '20000'),
        ...withDefault('RINGBOLT_VOLUME_FAULTS', '100000'),
        ...withDefault('RINGBOLT_VOLUME_MUTANT_ROUNDS', '5'),
        ...withDefault('RINGBOLT_VOLUME_ALARM_SECONDS', '3600'),
      },
    ),
  conditions,
};

function vitest(name, args, env) {
  const report = join(root, `reports/soak-${name}.json`);
  const cli = join(root, 'node_modules/vitest/vitest.mjs');
  console.log(
    Object.entries(env)
      .map((entry) => entry.join('='))
      .join(' '),
  );
  const exitCode = run(process.execPath, [cli, 'run', ...args], {
    minutes: 600,
    env: { ...env, RINGBOLT_REPORT: report },
  });
  return countVitest(report, exitCode, name);
}

function sanitized() {
  const none = { passed: 0, failed: 0, skipped: 0 };
  const build = ['cmake', '--build', 'build-cmake/asan', '--parallel', '--target', 'ringbolt'];
  const built = configure('asan') || run(build[0], build.slice(1), { minutes: 30 });
  if (built !== 0) return missedFailure(none, built, 'the sanitized addon');
  const folder = mkdtempSync(join(tmpdir(), 'ringbolt-soak-'));
  try {
    // node-gyp-build looks here instead of into the package.
    mkdirSync(join(folder, 'build/Release'), { recursive: true });
    const addon = join(folder, 'build/Release/ringbolt.node');
    copyFileSync(join(root, 'build-cmake/asan/ringbolt.node'), addon);
    const libasan = spawnSync('g++', ['-print-file-name=libasan.so'], { encoding: 'utf8' });
    const env = {
      RINGBOLT_PREBUILD: folder,
      LD_PRELOAD: libasan.stdout.trim(),
      // Node itself leaves things behind at its end. What was freed is kept for a while: not for so long that it looks like a leak.
      ASAN_OPTIONS: 'detect_leaks=0:quarantine_size_mb=8',
      UBSAN_OPTIONS: 'print_stacktrace=1:halt_on_error=1',
    };
    const doctor = [join(root, 'dist/lib/cli/main.js'), 'doctor', '--json'];
    const asked = spawnSync(process.execPath, doctor, {
      encoding: 'utf8',
      env: { ...process.env, ...env },
    });
    if (!/made for tests \(AddressSanitizer/.test(asked.stdout)) {
      console.error(`not the sanitized addon: ${asked.stderr}`);
      return missedFailure(none, 1, 'asan');
    }
    return vitest('asan', ['test/fault/faults.test.ts'], { ...OPERATIONS, ...env });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** doctest's own summary: `test cases: 7 | 7 passed | 0 failed | 250 skipped`. */
function memory() {
  const none = { passed: 0, failed: 0, skipped: 0 };
  const tests = 'ringbolt_native_tests';
  const built =
    configure('plain') ||
    run('cmake', ['--build', 'build-cmake/plain', '--parallel', '--target', tests], {
      minutes: 30,
    });
  if (built !== 0) return missedFailure(none, built, 'the native tests');
  const { status, stdout } = spawnSync(
    join(root, 'build-cmake/plain', tests),
    ['--test-case=*Buddy*,*BufferPool*,*SharedList*'],
    {
      encoding: 'utf8',
      env: { ...process.env, ...withDefault('RINGBOLT_POOL_STEPS', '10000000') },
    },
  );
  console.log(stdout);
  const counts = /test cases: +\d+ \| +(\d+) passed \| +(\d+) failed/.exec(stdout);
  const [passed = 0, failed = 0] = counts?.slice(1).map(Number) ?? [];
  return missedFailure({ ...none, passed, failed }, status, 'memory');
}

function conditions() {
  const summary = join(root, 'reports/conditions.json');
  rmSync(summary, { force: true });
  const script = join(root, 'scripts/test-conditions.mjs');
  const exitCode = run(process.execPath, [script, '--all'], { minutes: 600 });
  try {
    return JSON.parse(readFileSync(summary, 'utf8'));
  } catch {
    return missedFailure({ passed: 0, failed: 0, skipped: 0 }, exitCode, 'conditions');
  }
}

function main(asked) {
  const unknown = asked.find((name) => !Object.hasOwn(PARTS, name));
  if (unknown !== undefined) {
    console.error(`'${unknown}' is none of ${Object.keys(PARTS).join(', ')}`);
    process.exitCode = 1;
    return;
  }
  setup('test'); // cmake, for the sanitized addon
  mkdirSync(join(root, 'reports'), { recursive: true });
  const total = { passed: 0, failed: 0, skipped: 0 };
  const lines = (asked.length > 0 ? asked : Object.keys(PARTS)).map((name) => {
    console.log(`\nsoak: ${name}`);
    const count = PARTS[name]();
    for (const key of Object.keys(total)) total[key] += count[key];
    return `${name}: ${count.passed} passed, ${count.failed} failed, ${count.skipped} skipped`;
  });
  console.log(`\n${lines.join('\n')}`);
  console.log(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
  process.exitCode = total.failed > 0 || total.passed === 0 ? 1 : 0;
}

main(process.argv.slice(2));
