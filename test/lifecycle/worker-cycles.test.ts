// Shows that workers with engines leave nothing behind that workers without do not: threads, descriptors, mappings and memory of one
// process, after as many of the ones as of the others.
//
// RINGBOLT_WORKER_CYCLES says how many; `npm run soak` has 1,000.

import { expect, it } from 'vitest';
import { BACKENDS, needBackend } from '../support/backends.js';
import { numberedFile } from './numbered-file.js';
import { runForJson } from './run-program.js';

const CYCLES = Number(process.env['RINGBOLT_WORKER_CYCLES'] ?? 20);
/** How long is too long. */
const LIMIT_MS = 60_000 + CYCLES * 1000;
const MIB = 2 ** 20;
/** V8's heaps and malloc's arenas come and go. An engine that was left behind has a pool of 1 MiB, and some mappings: twenty show. */
const SLACK = { mappings: 20, rssBytes: 12 * MIB };
/** Every worker costs a tenth of a second: on all backends only where there is time. */
const RUNS = CYCLES < 100 ? (['auto'] as const) : BACKENDS;

interface Held {
  readonly threads: number;
  readonly descriptors: readonly string[];
  readonly mappings: number;
  readonly rssBytes: number;
}

it.for(RUNS)(
  `${CYCLES} workers with an engine leave no more than as many without: %s`,
  { timeout: LIMIT_MS },
  async (backend, { skip }) => {
    if (backend !== 'auto') await needBackend(backend, skip);
    const { before, between, after } = await runForJson<
      Record<'before' | 'between' | 'after', Held>
    >('lifecycle/programs/worker-cycles.cjs', {
      node: ['--expose-gc'],
      args: [numberedFile(), String(CYCLES)],
      env: backend === 'auto' ? {} : { RINGBOLT_BACKEND: backend },
      limitMs: LIMIT_MS,
    });
    const growth = (from: Held, to: Held, what: 'mappings' | 'rssBytes') => to[what] - from[what];
    const figures = (what: 'mappings' | 'rssBytes') =>
      `${growth(before, between, what)} without, ${growth(between, after, what)} with`;
    console.log(
      `${CYCLES} workers, ${backend}: mappings ${figures('mappings')}; bytes resident ${figures('rssBytes')}`,
    );
    expect(after.threads).toBe(before.threads);
    expect(after.descriptors).toEqual(before.descriptors);
    for (const what of ['mappings', 'rssBytes'] as const) {
      const control = Math.max(growth(before, between, what), 0);
      expect(growth(between, after, what), what).toBeLessThan(control + SLACK[what]);
    }
  },
);
