// Counts what vitest found, from its JSON report.
//
// What leaves no trace must not look like success: a missing report, a file that could not be loaded and a runner that failed
// without a failed test each count as one failed test.
import { existsSync, readFileSync } from 'node:fs';

export function countVitest(reportPath, exitCode, name = 'vitest') {
  const count = { passed: 0, failed: 0, skipped: 0 };
  const report = existsSync(reportPath) ? JSON.parse(readFileSync(reportPath, 'utf8')) : {};
  for (const file of report.testResults ?? []) {
    const failed = file.assertionResults.filter((test) => test.status === 'failed').length;
    const passed = file.assertionResults.filter((test) => test.status === 'passed').length;
    count.passed += passed;
    count.skipped += file.assertionResults.length - passed - failed;
    // A file can fail without a failed test: it could not be loaded, or a hook threw.
    count.failed += file.status === 'failed' ? Math.max(failed, 1) : failed;
  }
  return missedFailure(count, exitCode, name);
}

/** A run that failed has a failed test, whatever was counted. */
export function missedFailure(count, exitCode, name) {
  if (count.failed > 0) return count;
  if (exitCode === 0 && count.passed + count.skipped > 0) return count;
  console.error(`${name}: failed without a failed test (exit code ${exitCode})`);
  return { ...count, failed: 1 };
}
