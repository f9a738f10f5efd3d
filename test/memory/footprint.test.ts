// Shows what an engine takes of memory: the pool and little more, a bounded amount for each slab, and less when it is trimmed.

import { expect, it } from 'vitest';
import { runForJson } from '../lifecycle/run-program.js';

const KIB = 1024;
const MIB = 2 ** 20;
const POOL = 64 * MIB;

/** V8's young generation grows by megabytes when it likes: here it does not. */
function measure<T>(what: string): Promise<T> {
  return runForJson<T>('memory/programs/footprint.cjs', {
    node: ['--expose-gc', '--max-semi-space-size=1'],
    args: [what],
  });
}

it('an engine takes its pool and less than 8 MiB besides, 1.2 KiB a slab, and half of it after a trim', async () => {
  const { bare } = await measure<{ bare: number }>('bare');
  const got = await measure<Record<'idle' | 'leased' | 'trimmed' | 'slabs', number>>(String(POOL));
  console.log(
    `beyond bare Node and the pool: ${((got.idle - bare - POOL) / MIB).toFixed(1)} MiB; ` +
      `a slab: ${((got.leased - got.idle) / got.slabs / KIB).toFixed(2)} KiB; ` +
      `given back: ${((got.leased - got.trimmed) / MIB).toFixed(1)} MiB`,
  );
  expect(got.idle - bare).toBeLessThan(POOL + 8 * MIB);
  expect((got.leased - got.idle) / got.slabs).toBeLessThan(1.2 * KIB);
  expect(got.leased - got.trimmed).toBeGreaterThan(POOL / 2 - 4 * MIB);
});
