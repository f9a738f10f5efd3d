// Shows when set-up builds the addon again although no source has changed: when a library has come that was missing, or
// is not wanted any more; and not because any other package was installed.

import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { describe, expect, it } from 'vitest';

const script = path.join(import.meta.dirname, '..', '..', 'scripts', 'native-facts.mjs');

/** A machine without a compiler has no libraries, so far as the probes can tell. */
const NOTHING_INSTALLED = { CXX: '/no/compiler' };

function facts(stamped: string | undefined, env: Readonly<Record<string, string>> = {}): string {
  const program = `
    import { nativeFacts } from ${JSON.stringify(script)};
    process.stdout.write(nativeFacts(${JSON.stringify(stamped)}));`;
  const args = ['--input-type=module', '--eval', program];
  const clean = { ...process.env, RINGBOLT_WITHOUT_LIBURING: '', RINGBOLT_WITHOUT_XXHASH: '' };
  return execFileSync(process.execPath, args, { encoding: 'utf8', env: { ...clean, ...env } });
}

describe('what the native build found', () => {
  const here = facts(undefined);

  it('stays the same while nothing changes, whatever else is installed', () => {
    expect(facts(here)).toBe(here);
  });

  it('is something else once a library has come that was missing', () => {
    const before = facts(undefined, NOTHING_INSTALLED);
    expect(JSON.parse(before)).toMatchObject({ liburing: '', xxhash: '0' });
    expect(facts(before, NOTHING_INSTALLED)).toBe(before);
    expect(facts(before)).toBe(here);
  });

  it('is not looked for again once it was found', ({ skip }) => {
    const found = JSON.parse(here) as Record<string, string>;
    if (found['liburing'] === '' || found['xxhash'] === '0') skip('a library is missing here');
    expect(facts(here, NOTHING_INSTALLED)).toBe(here);
  });

  it('is something else when a library is not wanted, and again when it is', () => {
    const without = facts(here, { RINGBOLT_WITHOUT_LIBURING: '1' });
    expect(JSON.parse(without)).toMatchObject({ liburing: '' });
    expect(without).not.toBe(here);
    expect(facts(without, { RINGBOLT_WITHOUT_LIBURING: '1' })).toBe(without);
    expect(facts(without)).toBe(here);
  });

  it.each(['', 'null', '{', '[]', '7', '{"liburing":1}'])(
    'is asked for where a stamp says %j',
    (stamp) => {
      expect(facts(stamp)).toBe(here);
    },
  );
});
