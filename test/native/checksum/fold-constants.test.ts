// Shows that the constants in the header are those that follow from the polynomials.

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';

const root = path.join(import.meta.dirname, '../../..');

it('fold_constants.h is what its script derives', () => {
  const script = path.join(root, 'scripts/derive-crc-constants.mjs');
  const derived = execFileSync(process.execPath, [script], { encoding: 'utf8' });
  expect(readFileSync(path.join(root, 'native/checksum/fold_constants.h'), 'utf8')).toBe(derived);
});
