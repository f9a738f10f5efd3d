// Shows that a worker may end at any moment, whatever its engine is doing, and leaves nothing behind: no crash, no
// thread, no descriptor, no memory.

import { describe, expect, it } from 'vitest';
import { numberedFile } from './numbered-file.js';
import { runForJson } from './run-program.js';

interface Left {
  readonly threads: readonly string[];
  readonly before: { readonly descriptors: readonly string[]; readonly mappings: number };
  readonly after: { readonly descriptors: readonly string[]; readonly mappings: number };
  readonly errors: readonly string[];
}

/** Mappings come and go with V8's heap and malloc's arenas; a leaked engine would add several each time. */
const MAPPINGS_SLACK = 40;

describe('a worker that ends', () => {
  it.each([
    ['by terminate(), with 128 reads in flight', 'reads', 100],
    ['by terminate(), with a single read in flight', 'single', 50],
    ['by terminate(), with 128 copied reads in flight', 'copies', 20],
    ['by terminate(), with a batch of 128 in flight', 'batches', 20],
    ['by terminate(), with checksums under way', 'checksums', 50],
    ['by terminate(), while its engine starts', 'starting', 50],
    ['by terminate(), while it opens files', 'opening', 50],
    ['by terminate(), while its engines close', 'closing', 20],
    ['because the worker around it is terminated', 'nested', 10],
    ['by process.exit(), with 128 reads in flight', 'exit', 20],
    ['by an uncaught exception, with 128 reads in flight', 'throw', 20],
    ['of itself, with engine, file and leases open', 'nothing', 20],
  ])('%s', { timeout: 60_000 }, async (_, mode, rounds) => {
    const left = await runForJson<Left>('lifecycle/programs/workers.cjs', {
      args: [numberedFile(), String(rounds), mode],
      limitMs: 50_000,
    });
    expect(left.threads).toEqual([]);
    expect(left.after.descriptors).toEqual(left.before.descriptors);
    expect(left.after.mappings).toBeLessThan(left.before.mappings + MAPPINGS_SLACK);
    expect(left.errors).toEqual(mode === 'throw' ? ['as asked'] : []);
  });
});
