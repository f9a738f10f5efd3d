// Runs every test and sums the results up in one last line: `N passed, N failed, N skipped`.
//
//   npm test                          native tests in three variants, then vitest
//   npm test -- <vitest arguments>    vitest alone, with these filters
//   npm test -- --native [variant…]   native tests alone (plain, asan, tsan)
//
// What leaves no trace must not look like success (vitest-report.mjs).
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { reportPath, runVariant, VARIANTS } from './native-tests.mjs';
import { root, run, setup } from './setup.mjs';
import { countVitest, missedFailure } from './vitest-report.mjs';

const VITEST_REPORT = join(root, 'reports/vitest.json');

/** Counts ctest's JUnit report, and prints why tests were skipped. */
function countNative(variant, exitCode) {
  const count = { passed: 0, failed: 0, skipped: 0 };
  const report = reportPath(variant);
  const xml = existsSync(report) ? readFileSync(report, 'utf8') : '';
  for (const [, attributes, body = ''] of xml.matchAll(
    /<testcase\b([^>]*?)(?:\/>|>(.*?)<\/testcase>)/gs,
  )) {
    if (/\bstatus="run"/.test(attributes)) {
      count.passed++;
    } else if (/<skipped message="SKIP_/.test(body)) {
      count.skipped++;
      const name = /\bname="([^"]*)"/.exec(attributes)?.[1];
      const reason = /SKIPPED: ([^\n<]*)/.exec(body)?.[1] ?? 'no reason given';
      console.log(`skipped: native ${variant}: ${name}: ${reason}`);
    } else {
      count.failed++; // also what ctest could not start, which it calls "notrun"
    }
  }
  return missedFailure(count, exitCode, `native ${variant}`);
}

const args = process.argv.slice(2);
const onlyNative = args[0] === '--native';
const onlyVitest = !onlyNative && args.length > 0;
const variants = onlyNative && args.length > 1 ? args.slice(1) : VARIANTS;
const unknown = variants.find((variant) => !VARIANTS.includes(variant));
if (unknown !== undefined) {
  console.error(`'${unknown}' is none of ${VARIANTS.join(', ')}`);
  process.exit(1);
}

rmSync(join(root, 'reports'), { recursive: true, force: true });
setup(onlyVitest ? 'bench' : 'test'); // the native tests alone need what `test` adds
mkdirSync(join(root, 'reports'));

// Everything runs before anything is counted, so that the reasons for skips stand together.
const runs = [];
if (!onlyVitest) {
  for (const variant of variants) {
    const exitCode = runVariant(variant);
    runs.push(() => countNative(variant, exitCode));
  }
}
if (!onlyNative) {
  console.log(onlyVitest ? `\nvitest only: ${args.join(' ')}` : '\nvitest');
  const cli = join(root, 'node_modules/vitest/vitest.mjs');
  const exitCode = run(process.execPath, [cli, 'run', ...(onlyVitest ? args : [])], {
    minutes: 60,
  });
  runs.push(() => countVitest(VITEST_REPORT, exitCode));
}

console.log();
const total = { passed: 0, failed: 0, skipped: 0 };
for (const count of runs.map((counted) => counted())) {
  for (const key of Object.keys(total)) total[key] += count[key];
}
const summary = `${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`;
writeFileSync(join(root, 'reports/summary.txt'), `${summary}\n`);
console.log(summary);
process.exitCode = total.failed > 0 || total.passed === 0 ? 1 : 0;
