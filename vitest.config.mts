import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';
import type { Reporter, TestModule } from 'vitest/node';

// A skipped test says why: every skip with its reason, which vitest's own summary only counts.
const skips: Reporter = {
  onTestRunEnd(modules: readonly TestModule[]) {
    for (const module of modules) {
      for (const test of module.children.allTests('skipped')) {
        const result = test.result();
        const reason = (result.state === 'skipped' && result.note) || 'no reason given';
        console.log(`skipped: ${module.relativeModuleId}: ${test.fullName}: ${reason}`);
      }
    }
  },
};

export default defineConfig({
  resolve: {
    // The package by its own name, in tests of any folder.
    alias: { ringbolt: fileURLToPath(new URL('dist/lib/index.js', import.meta.url)) },
  },
  test: {
    include: ['test/**/*.test.ts'],
    // One process a file: an addon's state, its threads and a crash stay with the test they belong to.
    pool: 'forks',
    // Loaded by Node, not by vite: as users load it, and once only.
    server: { deps: { external: [/\/dist\//] } },
    reporters: [
      'default',
      skips,
      ['json', { outputFile: process.env['RINGBOLT_REPORT'] ?? 'reports/vitest.json' }],
    ],
    coverage: { provider: 'v8', include: ['dist/lib/**/*.js'], reportsDirectory: 'coverage' },
  },
});
