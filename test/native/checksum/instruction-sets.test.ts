// Shows that code for a wide instruction set stays in the files compiled for it. One inline function
// that the linker took from there would be an illegal instruction on an older CPU.

import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';

const root = path.join(import.meta.dirname, '../../..');
const addon = path.join(root, 'build/Release/ringbolt.node');

/** What a file may use, besides what every CPU of the architecture has. */
const SETS = {
  sse42: /^(crc32|pclmul|pshufb|pextrq|pblendvb)/,
  avx: /^v(?!er[rw])/, // every AVX mnemonic begins with v; verr and verw do too
  avx512: /%zmm|%[xy]mm(1[6-9]|2\d|3[01])|%k[0-7]/,
};
const ALLOWED: Readonly<Record<string, readonly (keyof typeof SETS)[]>> = {
  'crc_sse42.cc': ['sse42'],
  'xxh3_avx2.cc': ['sse42', 'avx'],
  'crc_avx512.cc': ['sse42', 'avx', 'avx512'],
  'xxh3_avx512.cc': ['sse42', 'avx', 'avx512'],
};

function output(command: string, ...args: readonly string[]): string {
  const result = spawnSync(command, args, { encoding: 'utf8', maxBuffer: 1 << 30 });
  expect(result.status, `${command}: ${result.error?.message ?? result.stderr}`).toBe(0);
  return result.stdout;
}

/** From which source each function was compiled: a file's symbols follow its name in the table. */
function sourceOfAddress(): ReadonlyMap<string, string> {
  const sources = new Map<string, string>();
  let source = '';
  for (const line of output('readelf', '--symbols', '--wide', addon).split('\n')) {
    const [, address, , type, , , section, name = ''] = line.trim().split(/\s+/);
    if (type === 'FILE') source = name;
    else if (type === 'FUNC' && section !== 'UND') sources.set(address!, source);
  }
  return sources;
}

interface Use {
  set: keyof typeof SETS;
  source: string;
  where: string;
}

/** Every instruction beyond the baseline, with the file that it came from. */
function uses(): readonly Use[] {
  const sources = sourceOfAddress();
  const found: Use[] = [];
  let source = '';
  let label = '';
  for (const line of output('objdump', '-d', '--no-show-raw-insn', addon).split('\n')) {
    const start = /^([0-9a-f]{16}) <(.+)>:$/.exec(line);
    if (start) {
      source = sources.get(start[1]!) ?? 'unknown';
      label = start[2]!;
    }
    const instruction = /^\s+[0-9a-f]+:\t(.+)$/.exec(line)?.[1];
    if (instruction === undefined) continue;
    for (const [set, pattern] of Object.entries(SETS)) {
      if (!pattern.test(instruction)) continue;
      found.push({ set: set as keyof typeof SETS, source, where: `${label}: ${instruction}` });
    }
  }
  return found;
}

const tools = ['objdump', 'readelf'].every((tool) => spawnSync(tool, ['--version']).status === 0);

describe.runIf(process.arch === 'x64')('instruction sets', () => {
  it('are used by the files compiled for them and by no other', ({ skip }) => {
    skip(!tools, 'objdump and readelf are missing (binutils)');
    skip(!existsSync(addon), 'the addon has not been built');
    const all = uses();
    const strays = all.filter(({ set, source }) => !ALLOWED[source]?.includes(set));
    expect(strays).toEqual([]);
    // And the check sees something: each file uses the last of what it may.
    for (const [source, sets] of Object.entries(ALLOWED)) {
      const set = sets.at(-1);
      const used = all.some((use) => use.source === source && use.set === set);
      expect(used || source.startsWith('xxh3'), `${source} uses ${set}`).toBe(true);
    }
  });
});
