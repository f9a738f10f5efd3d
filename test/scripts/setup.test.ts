// Shows what the set-up script finds, and how a path becomes a pattern.

import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { tempFolder } from '../support/temp-folder.js';

const script = path.join(import.meta.dirname, '..', '..', 'scripts', 'setup.mjs');

/** What an expression over the script's exports comes to. */
function evaluate(expression: string, env: Readonly<Record<string, string>> = {}): unknown {
  const program = `
    import * as setup from ${JSON.stringify(script)};
    process.stdout.write(JSON.stringify(${expression}));`;
  const args = ['--input-type=module', '--eval', program];
  const options = { encoding: 'utf8', env: { ...process.env, ...env } } as const;
  return JSON.parse(execFileSync(process.execPath, args, options));
}

describe('a CMake package', () => {
  it.each(['lib', 'lib64', 'share'])('is found in %s', (library) => {
    const prefix = tempFolder();
    const env = { CMAKE_PREFIX_PATH: `/none:${prefix}` };
    expect(evaluate(`setup.cmakePackage('ringbolt-test')`, env)).toBe(false);
    mkdirSync(path.join(prefix, library, 'cmake', 'ringbolt-test'), { recursive: true });
    expect(evaluate(`setup.cmakePackage('ringbolt-test')`, env)).toBe(true);
  });
});

describe('escapeRegex', () => {
  it.each(['/home/a.b/c++ (old)/[x]{2}|^$*?\\/', '/plain/folder/'])('%s matches itself', (text) => {
    const source = evaluate(`setup.escapeRegex(${JSON.stringify(text)})`) as string;
    expect(new RegExp(`^${source}$`).test(text)).toBe(true);
    expect(new RegExp(`^${source}$`).test(text.replace('.', 'x').replace('/plain', '/'))).toBe(
      false,
    );
  });

  it('leaves what has no meaning in a pattern as it is: LLVM knows fewer escapes', () => {
    expect(evaluate(`setup.escapeRegex('/a-b_c/d e/')`)).toBe('/a-b_c/d e/');
  });
});
