// Builds the native unit tests three times (plain, AddressSanitizer with UBSan, ThreadSanitizer) and
// runs each through ctest. Results go to reports/native-<variant>.xml; summing up is test.mjs's.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { root, run, which } from './setup.mjs';

export const VARIANTS = ['plain', 'asan', 'tsan'];
const SANITIZE = { plain: '', asan: 'address', tsan: 'thread' };
const JOBS = String(availableParallelism());

// The first report of a sanitizer ends the test, and fails it.
const SANITIZER_ENV = {
  UBSAN_OPTIONS: 'print_stacktrace=1:halt_on_error=1',
  TSAN_OPTIONS: 'halt_on_error=1:second_deadlock_stack=1',
};

export const reportPath = (variant) => join(root, `reports/native-${variant}.xml`);

/** Configures build-cmake/<variant>. Returns an exit code. */
export function configure(variant) {
  const options = {
    RINGBOLT_SANITIZE: SANITIZE[variant],
    // Nothing loads a TSan addon: Node itself is not built with it.
    RINGBOLT_BUILD_ADDON: variant === 'tsan' ? 'OFF' : 'ON',
    RINGBOLT_WERROR: process.env.RINGBOLT_WERROR ? 'ON' : 'OFF',
    NODE: process.execPath, // and not another one that comes first in PATH
  };
  return run(process.execPath, [
    join(root, 'node_modules/cmake-js/bin/cmake-js'),
    'configure',
    '--log-level=warn',
    '--config=RelWithDebInfo',
    `--out=build-cmake/${variant}`,
    ...Object.entries(options).map(([name, value]) => `--CD${name}=${value}`),
  ]);
}

/**
 * g++ 12's ThreadSanitizer knows where a mapping may be only up to 28 bits of randomness; kernels
 * since 6.6 may use 32, and then it stops with "unexpected memory mapping". Address space
 * randomisation is switched off for such runs, where the container allows that.
 */
function withoutRandomisation(variant) {
  if (variant !== 'tsan') return [];
  const setting = '/proc/sys/vm/mmap_rnd_bits'; // hidden in some containers
  const bits = existsSync(setting) ? Number(readFileSync(setting, 'utf8')) : 0;
  if (bits <= 28 || !which('setarch')) return [];
  const allowed = spawnSync('setarch', ['-R', 'true'], { stdio: 'ignore' }).status === 0;
  return allowed ? ['setarch', '-R'] : [];
}

/** Builds and runs one variant. Returns an exit code. */
export function runVariant(variant) {
  console.log(`\nnative tests: ${variant}`);
  mkdirSync(join(root, 'reports'), { recursive: true });
  const tree = `build-cmake/${variant}`;
  // The build needs the prefix as well: it runs the tests once, to list them.
  const prefix = withoutRandomisation(variant);
  const prefixed = (line, minutes) => {
    const [command, ...args] = [...prefix, ...line];
    return run(command, args, { minutes, env: SANITIZER_ENV });
  };
  return (
    configure(variant) ||
    prefixed(['cmake', '--build', tree, '--parallel', JOBS], 30) ||
    prefixed(
      [
        ...['ctest', '--test-dir', tree, '--parallel', JOBS, '--timeout', '120'],
        ...['--no-tests=error', '--output-on-failure'],
        ...['--output-junit', reportPath(variant)],
      ],
      60,
    )
  );
}
