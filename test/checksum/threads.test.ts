// Shows that threads compute checksums at the same time without getting in each other's way, that a worker may end in the
// middle of it, and that hashers which are forgotten give their memory back.

import { expect, it } from 'vitest';
import { runForJson } from '../lifecycle/run-program.js';
import { HAS_XXH3, NO_XXH3 } from './algorithms.js';

it.each(['ended', 'terminated'])(
  'several threads at once, whose workers are %s',
  { timeout: 60_000 },
  async (how) => {
    const end = await runForJson('checksum/programs/threads.cjs', { args: [how], limitMs: 50_000 });
    expect(end).toBe('well');
  },
);

it(
  '400,000 hashers are made and forgotten in one turn, and nothing of them stays',
  { timeout: 60_000 },
  async ({ skip }) => {
    skip(!HAS_XXH3, NO_XXH3);
    const grown = await runForJson<{ rss: number }>('checksum/programs/forgotten.cjs', {
      limitMs: 50_000,
    });
    // Their states alone would be 137 MB.
    expect(grown.rss).toBeLessThan(60_000_000);
  },
);
