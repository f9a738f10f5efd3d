// Shows that the page of errors has every code that ringbolt makes, and no other, and that tests reach each of them.

import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';

const root = path.join(import.meta.dirname, '..', '..');
const read = (name: string) => readFileSync(path.join(root, name), 'utf8');
const codesIn = (text: string) => new Set(text.match(/ERR_RINGBOLT_[A-Z_]+/g));

const made = codesIn(read('lib/errors.ts'));
const page = read('docs/errors.md');

it('docs/errors.md has a row for each code', () => {
  const rows = [...page.matchAll(/^\| `(ERR_RINGBOLT_[A-Z_]+)` +\| .+ \| .+ \|$/gm)];
  expect(new Set(rows.map(([, code]) => code))).toEqual(made);
  expect(rows.map(([, code]) => code)).toEqual([...made].sort());
  expect(codesIn(page)).toEqual(made);
});

it('a test reaches each code', () => {
  const tests = readdirSync(path.join(root, 'test'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.test.ts') && !name.startsWith('docs'))
    .map((name) => read(path.join('test', name)))
    .join('\n');
  const expected = [...tests.matchAll(/(ERR_RINGBOLT_[A-Z_]+)'/g)].map(([, code]) => code!);
  expect([...made].filter((code) => !expected.includes(code))).toEqual([]);
});
