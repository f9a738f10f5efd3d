// Shows that engines do not disturb one another, nor are disturbed by what users' code throws.

import { expect, it } from 'vitest';
import { numberedFile } from './numbered-file.js';
import { runForJson } from './run-program.js';

it('engines in two workers and the main thread read at once, each what it asked for', async () => {
  const args = [numberedFile(), '20000'];
  const got = await runForJson('lifecycle/programs/several.cjs', { args });
  expect(got).toEqual({ codes: [0, 0], threads: [] });
});

it('an engine goes on when users throw in its continuations', async () => {
  const got = await runForJson('lifecycle/programs/throwing.cjs', { args: [numberedFile()] });
  expect(got).toEqual({ exceptions: 4 + 128, rejections: 128, whole: true });
});
