// Runs every lint, all of them even when one fails, and sums up.
//
//   npm run check      only looks
//   npm run format     (--fix) lets Prettier, ESLint and clang-format change files
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { configure } from './native-tests.mjs';
import { escapeRegex, root, run, setup, which } from './setup.mjs';

const bin = (name) => join(root, 'node_modules/.bin', name);
const llvm = (name) => which(`${name}-19`) ?? name;

/** C++ files below `directory`, relative to the root. */
function cppFiles(directory, pattern) {
  const paths = readdirSync(join(root, directory), { recursive: true, encoding: 'utf8' });
  return paths.filter((path) => pattern.test(path)).map((path) => join(directory, path));
}

function clangFormat(...options) {
  const files = ['native', 'test/native', 'test/fuzz', 'bench/native'].flatMap((directory) =>
    cppFiles(directory, /\.(h|cc)$/),
  );
  return run(llvm('clang-format'), [...options, ...files]);
}

/** One file through clang-tidy; it prints only where there is something to say. */
function tidy(file) {
  const ours = `--header-filter=^${escapeRegex(root)}native/`;
  const args = ['--quiet', '-p', 'build-cmake/plain', ours, file];
  return new Promise((resolve) => {
    const child = spawn(llvm('clang-tidy'), args, { cwd: root, timeout: 600_000 });
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (text) => (output += text));
    // stderr counts suppressed warnings, which matters to nobody, and explains failures, which does.
    child.stderr.setEncoding('utf8').on('data', (text) => (output += text));
    child.on('error', (error) => resolve(console.error(error.message) ?? false));
    child.on('close', (code) => {
      if (code !== 0) console.log(output);
      resolve(code === 0);
    });
  });
}

/** The files of native/sources.txt only: what no build knows has no compile command. */
async function clangTidy() {
  const code = configure('plain');
  if (code !== 0) return code;
  const commands = readFileSync(join(root, 'build-cmake/plain/compile_commands.json'), 'utf8');
  const files = JSON.parse(commands)
    .map(({ file }) => file)
    .filter((file) => file.startsWith(join(root, 'native/')));
  let ok = files.length > 0;
  const worker = async () => {
    for (let file = files.pop(); file; file = files.pop()) ok = (await tidy(file)) && ok;
  };
  await Promise.all(Array.from({ length: availableParallelism() }, worker));
  return ok ? 0 : 1;
}

/** Download addresses would tie a checkout to one registry; .npmrc keeps npm from writing them. */
function lockFile() {
  const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'));
  const resolved = Object.keys(packages).filter((name) => 'resolved' in packages[name]);
  for (const name of resolved) console.error(`package-lock.json: ${name} has a "resolved" address`);
  return resolved.length > 0 ? 1 : 0;
}

const CHECKS = {
  prettier: () => run(bin('prettier'), ['--check', '--log-level=warn', '.']),
  eslint: () => run(bin('eslint'), ['--max-warnings=0', '.']),
  'tsc: lib, bench': () => run(bin('tsc'), ['-p', 'tsconfig.json', '--noEmit']),
  'tsc: test': () => run(bin('tsc'), ['-p', 'test/tsconfig.json']),
  'clang-format': () => clangFormat('--dry-run', '-Werror'),
  'clang-tidy': clangTidy,
  knip: () => run(bin('knip'), []),
  publint: () => run(bin('publint'), ['--strict']),
  // node16: what Node resolves, as CommonJS and as ES module; not the resolution before `exports`.
  attw: () => run(bin('attw'), ['--pack', '.', '--profile', 'node16']),
  'lock file': lockFile,
};

const FIXES = {
  eslint: () => run(bin('eslint'), ['--fix', '.']),
  prettier: () => run(bin('prettier'), ['--write', '--log-level=warn', '.']),
  'clang-format': () => clangFormat('-i'),
};

setup('check');

const results = [];
for (const [name, check] of Object.entries(process.argv[2] === '--fix' ? FIXES : CHECKS)) {
  console.log(`\n— ${name}`);
  const started = performance.now();
  const code = await check();
  results.push({ name, ok: code === 0, seconds: (performance.now() - started) / 1000 });
}

console.log();
for (const { name, ok, seconds } of results) {
  console.log(`${ok ? 'ok    ' : 'FAILED'}  ${name} (${seconds.toFixed(1)} s)`);
}
process.exitCode = results.every(({ ok }) => ok) ? 0 : 1;
