// Shows that nothing grows: not with engines started and closed, not with operations done.

import { describe, expect, it } from 'vitest';
import { numberedFile } from './numbered-file.js';
import { runForJson } from './run-program.js';

const MIB = 2 ** 20;

interface Held {
  readonly threads: number;
  readonly descriptors: readonly string[];
  readonly mappings: number;
  readonly externalBytes: number;
}

describe('nothing grows', () => {
  it('with 200 engines started and closed', { timeout: 60_000 }, async () => {
    const { before, after } = await runForJson<{ before: Held; after: Held }>(
      'lifecycle/programs/restarts.cjs',
      { node: ['--expose-gc'], args: [numberedFile(), '200'], limitMs: 50_000 },
    );
    expect(after.threads).toBe(0);
    expect(after.descriptors).toEqual(before.descriptors);
    // V8's heap and malloc's arenas come and go by the dozen; one mapping leaked by each engine would make 200.
    expect(after.mappings).toBeLessThan(before.mappings + 100);
    expect(after.externalBytes).toBeLessThan(before.externalBytes + MIB);
  });

  it('with a million reads', { timeout: 120_000 }, async () => {
    const { before, after } = await runForJson<{ before: number; after: number }>(
      'lifecycle/programs/many-reads.cjs',
      {
        // V8 doubles its young generation as it sees fit, up to this size, and by ten MiB in the middle of this test. From
        // the start it tells us nothing; it would hide or feign a leak.
        node: ['--expose-gc', '--min-semi-space-size=16', '--max-semi-space-size=16'],
        args: [numberedFile(), '100000', '1000000'],
        limitMs: 110_000,
      },
    );
    expect((after - before) / MIB, 'MiB more resident').toBeLessThan(10);
  });
});
