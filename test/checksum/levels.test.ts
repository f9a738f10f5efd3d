// Shows that RINGBOLT_SIMD chooses the instructions, and that all of them give the same checksums.

import { checksum, type SimdInfo, type SimdLevel } from 'ringbolt';
import { describe, expect, it } from 'vitest';
import { runForJson } from '../lifecycle/run-program.js';
import { startEngine } from '../support/engine.js';

interface Outcome {
  readonly level: SimdLevel;
  readonly sums: readonly string[];
}

const LEVELS: readonly SimdLevel[] = ['portable', 'sse42', 'avx512', 'armv8'];

function run(simd: string): Promise<Outcome> {
  return runForJson('checksum/programs/levels.cjs', { env: { RINGBOLT_SIMD: simd } });
}

describe('checksums', { timeout: 30_000 }, () => {
  it.each(LEVELS)('at the level %s are those of the one that was chosen here', async (asked) => {
    const [here, there] = await Promise.all([run(''), run(asked)]);
    // A level that this machine has not leads to the best below it.
    expect(LEVELS.indexOf(there.level)).toBeLessThanOrEqual(LEVELS.indexOf(asked));
    expect(here.sums.length).toBeGreaterThan(5000);
    expect(there.sums).toEqual(here.sums);
  });

  it('are portable where that is asked for', async () => {
    expect((await run('portable')).level).toBe('portable');
  });

  it('do not mind a level that nobody knows', async () => {
    expect((await run('sse5')).level).toBe((await run('')).level);
  });
});

describe('why no better instructions are used', () => {
  const best = process.arch === 'x64' ? 'avx512' : 'armv8';
  const describeIn = (simd: string) =>
    runForJson<SimdInfo>('checksum/programs/simd.cjs', { env: { RINGBOLT_SIMD: simd } });

  it('is said by the engine', async () => {
    const { simd } = (await startEngine()).info;
    expect(simd.level).toBe(checksum.level());
    if (simd.level === best) expect(simd.remarks).not.toContain(`not ${best}`);
    else expect(simd.remarks).toContain(`not ${best}: `);
  });

  it('is said to be the CPU, or RINGBOLT_SIMD', async () => {
    expect((await describeIn('')).remarks).not.toContain('RINGBOLT_SIMD');
    const { level, remarks } = await describeIn('portable');
    expect(level).toBe('portable');
    expect(remarks).toContain(`not ${best}: `);
    if (checksum.level() === best) expect(remarks).toContain('RINGBOLT_SIMD names a lower level');
  });

  it('is said to be a RINGBOLT_SIMD that could not be obeyed', async () => {
    const other = process.arch === 'x64' ? 'armv8' : 'avx512';
    expect((await describeIn(other)).remarks).toMatch(
      /RINGBOLT_SIMD was not obeyed: not an .+ CPU/,
    );
    expect((await describeIn('sse5')).remarks).toContain('is none of portable, sse42');
  });
});
