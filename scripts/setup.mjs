// Brings a checkout up to a level, doing only what is missing: Debian packages, node_modules, the
// native build, the TypeScript build. The first step of `npm run bench`, `npm test` and
// `npm run check`, so it must run in a fresh clone: plain Node, no dependencies. With nothing to do
// it takes a fraction of a second and prints nothing.
//
//   node scripts/setup.mjs [build|bench|test|check]        (each includes the ones before it)
//
// RINGBOLT_NO_INSTALL=1: never install packages, only say what is missing.
import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { nativeFacts } from './native-facts.mjs';

export const root = fileURLToPath(new URL('..', import.meta.url));
const LEVELS = ['build', 'bench', 'test', 'check'];

// What each level needs. `packages`: Debian names, the first that is available wins. `found`: is it
// there without a package? `optional`: says what is lost without it.
const NEEDS = [
  { level: 'build', packages: ['g++'], usual: 'g++ (11 or newer) or clang++', found: () => cxx() },
  { level: 'build', packages: ['make'], found: () => which('make') },
  { level: 'build', packages: ['python3'], found: () => which('python3') },
  {
    level: 'build',
    packages: ['liburing-dev'],
    usual: 'liburing headers (2.3 or newer)',
    found: () => header('liburing.h'),
    optional: 'building without the io_uring backend',
  },
  {
    level: 'build',
    packages: ['libxxhash-dev'],
    usual: 'xxHash headers',
    found: () => header('xxhash.h'),
    optional: 'building without XXH3',
  },
  {
    level: 'bench',
    packages: ['fio'],
    found: () => which('fio'),
    optional: 'fio will be missing from the comparison',
  },
  {
    level: 'test',
    packages: ['cmake'],
    usual: 'cmake (3.22 or newer)',
    found: () => which('cmake'),
  },
  {
    level: 'test',
    packages: ['doctest-dev'],
    usual: 'doctest with its CMake package',
    found: () => cmakePackage('doctest'),
  },
  {
    level: 'test',
    packages: ['libisal-dev'],
    usual: 'ISA-L headers',
    found: () => header('isa-l.h'),
    optional: 'CRC-32C is not compared with ISA-L',
  },
  ...['clang-format', 'clang-tidy'].map((name) => ({
    level: 'check',
    packages: [`${name}-19`, name],
    found: () => which(`${name}-19`) ?? which(name),
  })),
];

const exists = (...parts) => existsSync(join(...parts));

/** The path of a program, or undefined. */
export function which(name) {
  const directories = (process.env.PATH ?? '').split(delimiter);
  return directories.map((directory) => join(directory, name)).find((path) => existsSync(path));
}

/** For a pattern that matches exactly this text: a checkout may lie in a folder such as `c++ (old)`. */
export const escapeRegex = (text) => text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');

function header(name) {
  const directories = [
    '/usr/include',
    '/usr/local/include',
    ...(process.env.CPATH ?? '').split(':'),
  ];
  return directories.some((directory) => directory && exists(directory, name));
}

/** Where CMake looks: distributions put its packages below lib, lib64, share or a multiarch folder. */
export function cmakePackage(name) {
  const prefixes = [
    ...(process.env.CMAKE_PREFIX_PATH ?? '').split(':').filter((prefix) => prefix !== ''),
    ...['/usr', '/usr/local'],
  ];
  const multiarch = `lib/${{ x64: 'x86_64', arm64: 'aarch64' }[process.arch]}-linux-gnu`;
  const libraries = ['lib', 'lib64', 'share', multiarch];
  return prefixes.some((prefix) =>
    libraries.some((library) => exists(prefix, library, 'cmake', name)),
  );
}

function cxx() {
  // gyp and make fall back on g++; where only clang is installed, they have to be told.
  if (!process.env.CXX && !which('g++') && which('clang++')) process.env.CXX = 'clang++';
  return process.env.CXX ?? which('g++');
}

// Running commands ---------------------------------------------------------------------------------

/**
 * Runs a command in the root directory with our own stdin, stdout and stderr, for at most `minutes`.
 * Returns its exit code, and says why when that is not 0.
 */
export function run(command, args, { minutes = 10, env = {} } = {}) {
  const result = spawnSync(command, args, {
    cwd: root,
    stdio: 'inherit',
    timeout: minutes * 60_000,
    env: { ...process.env, ...env },
  });
  if (result.status === 0) return 0;
  const why = result.error?.message ?? result.signal ?? `exit code ${result.status}`;
  console.error(`failed (${why}): ${[command, ...args].join(' ')}`);
  return result.status || 1;
}

/** Runs one step with its name and the time it took; a failure ends the process with its code. */
function step(name, command, args, options) {
  console.log(`setup: ${name}`);
  const started = performance.now();
  const code = run(command, args, options);
  if (code !== 0) process.exit(code);
  console.log(`setup: ${name}: done in ${((performance.now() - started) / 1000).toFixed(1)} s`);
}

/** The npm that runs us, if one does; another package manager's path is of no use here. */
function npm(...args) {
  const cli = process.env.npm_execpath;
  return cli?.endsWith('npm-cli.js') ? [process.execPath, [cli, ...args]] : ['npm', args];
}

// System packages ----------------------------------------------------------------------------------

function installedPackages(names) {
  const { stdout } = spawnSync(
    'dpkg-query',
    ['-W', '-f=${Package} ${db:Status-Status}\\n', ...names],
    {
      encoding: 'utf8', // dpkg-query fails when one name is unknown, and still lists the others
    },
  );
  const lines = (stdout ?? '').split('\n').filter((line) => line.endsWith(' installed'));
  return new Set(lines.map((line) => line.split(' ')[0]));
}

/** The prefix with which packages can be installed without asking, or undefined. */
function installer() {
  if (process.env.RINGBOLT_NO_INSTALL) return undefined;
  const env = ['env', 'DEBIAN_FRONTEND=noninteractive'];
  if (process.getuid() === 0) return env;
  const sudo = which('sudo') && spawnSync('sudo', ['-n', 'true'], { stdio: 'ignore' }).status === 0;
  return sudo ? ['sudo', '-n', ...env] : undefined;
}

const APT_INSTALL = ['apt-get', 'install', '-y', '--no-install-recommends'];

/** Installs what is missing. Returns whether anything was installed. */
function aptInstall(missing) {
  const prefix = installer();
  if (!prefix) {
    const command = [...APT_INSTALL, ...missing.map((need) => need.packages[0])].join(' ');
    const sudo = process.getuid() === 0 ? '' : 'sudo ';
    console.error(`setup: packages are missing; install them with\n\n  ${sudo}${command}\n`);
    return false;
  }
  const [command, ...args] = prefix;
  // apt waits for another apt instead of failing.
  const lock = ['-o', 'DPkg::Lock::Timeout=120'];
  // A repository that cannot be reached may not be the one that is needed: installing will tell.
  console.log('setup: apt-get update');
  run(command, [...args, 'apt-get', 'update', '-q', ...lock]);
  const known = (name) => spawnSync('apt-cache', ['show', name], { stdio: 'ignore' }).status === 0;
  const names = missing.map(({ packages }) => packages.find(known) ?? packages[0]);
  console.log(`setup: installing ${names.join(' ')}`);
  return run(command, [...args, ...APT_INSTALL, '-q', ...lock, ...names], { minutes: 20 }) === 0;
}

/** Checks what `level` needs and installs what is missing; ends the process where that cannot be done. */
function packages(level) {
  let missing = NEEDS.filter((need) => LEVELS.indexOf(need.level) <= LEVELS.indexOf(level));
  const debian = which('dpkg-query') && which('apt-get');
  if (debian) {
    const installed = installedPackages(missing.flatMap((need) => need.packages));
    missing = missing.filter((need) => !need.packages.some((name) => installed.has(name)));
  }
  missing = missing.filter((need) => !need.found());
  if (missing.length === 0) return;
  if (debian && aptInstall(missing)) return;

  const required = missing.filter((need) => !need.optional);
  for (const need of missing.filter((need) => need.optional)) {
    console.warn(`setup: ${need.usual ?? need.packages[0]} is missing: ${need.optional}`);
  }
  if (required.length > 0) {
    const names = required.map((need) => need.usual ?? need.packages[0]);
    console.error(`setup: cannot go on without ${names.join(', ')}`);
    process.exit(1);
  }
}

// Builds -------------------------------------------------------------------------------------------

const mtime = (path) => statSync(join(root, path), { throwIfNoEntry: false })?.mtimeMs ?? 0;

/** The newest change below these paths. Directories count: a removed file changes nothing else. */
function newest(...paths) {
  let latest = 0;
  for (const path of paths) {
    latest = Math.max(latest, mtime(path));
    if (!statSync(join(root, path), { throwIfNoEntry: false })?.isDirectory()) continue;
    latest = Math.max(
      latest,
      newest(...readdirSync(join(root, path)).map((name) => join(path, name))),
    );
  }
  return latest;
}

/** Builds unless the stamp is newer than the sources, and says of the rest what `facts` does now. */
function build({ name, stamp, output, sources, facts, prepare, command: [command, args] }) {
  const stamped = exists(root, stamp) ? readFileSync(join(root, stamp), 'utf8') : undefined;
  const built = exists(root, output) && mtime(stamp) >= newest(...sources);
  const text = facts?.(stamped) ?? '';
  if (built && text === stamped) return;
  prepare?.();
  // The stamp gets the time before the build: a file saved meanwhile may not be in it. It is a file
  // of its own because the output can be older than its sources: not everything that changes
  // native/ makes the linker run.
  const started = new Date();
  step(name, command, args, { minutes: 30 });
  mkdirSync(join(root, stamp, '..'), { recursive: true });
  writeFileSync(join(root, stamp), text);
  utimesSync(join(root, stamp), started, started);
}

function checkCompiler() {
  const [command, ...args] = cxx().trim().split(/\s+/);
  const ask = (flag) => spawnSync(command, [...args, flag], { encoding: 'utf8' }).stdout ?? '';
  const version = ask('-dumpversion').trim();
  if (parseInt(version) >= 11 || ask('--version').includes('clang')) return;
  console.error(`setup: C++20 needs g++ 11 or newer, but ${command} is ${version || 'not usable'}`);
  process.exit(1);
}

/** Headers that came with this Node save a download. A `nodedir` that npm was given goes first. */
function nodeHeaders() {
  const prefix = join(process.execPath, '../..');
  const here =
    exists(prefix, 'include/node/node_api.h') && exists(prefix, 'include/node/common.gypi');
  return here && !process.env.npm_config_nodedir ? ['--', `--nodedir=${prefix}`] : [];
}

/** Does everything that `level` needs; ends the process where it cannot. */
export function setup(level) {
  if (!LEVELS.includes(level)) {
    console.error(`setup: '${level}' is none of ${LEVELS.join(', ')}`);
    process.exit(1);
  }
  // Warnings are errors in our CI only; binding.gyp says why it does not look at CI itself.
  if (process.env.CI) process.env.RINGBOLT_WERROR = '1';

  packages(level);
  // Scripts are ignored because the install script would build the addon, which comes next anyway.
  if (mtime('node_modules/.package-lock.json') < mtime('package-lock.json')) {
    step('npm ci', ...npm('ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'));
  }
  build({
    name: 'native build',
    stamp: 'build/.built',
    output: 'build/Release/ringbolt.node',
    sources: ['native', 'binding.gyp', 'scripts/find-liburing.js', 'scripts/find-xxhash.js'],
    facts: nativeFacts,
    prepare: checkCompiler,
    // Through npm: only its scripts know npm's bundled node-gyp and its `nodedir` setting.
    command: npm('run', '--loglevel=error', 'build:native', ...nodeHeaders()),
  });
  build({
    name: 'TypeScript build',
    stamp: 'dist/.built',
    output: 'dist/lib/index.js',
    sources: ['lib', 'bench', 'tsconfig.json', 'package-lock.json'],
    // tsc does not remove what a deleted source left behind.
    prepare: () => rmSync(join(root, 'dist'), { recursive: true, force: true }),
    command: npm('run', '--silent', 'build:ts'),
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) setup(process.argv[2] ?? 'build');
