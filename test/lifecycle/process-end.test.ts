// Shows that a process ends when and how it is asked to, whatever is in flight, and by itself when nothing is.

import { describe, expect, it } from 'vitest';
import { BLOCK, numberedFile } from './numbered-file.js';
import { runProgram, type ProgramEnd, type ProgramOptions } from './run-program.js';

const PROGRAM = 'lifecycle/programs/ending.cjs';
const FILE_BLOCKS = 2048;

/** Processes at once: so many that they disturb one another, so few that they all get on. */
const AT_ONCE = 4;

async function runMany(
  count: number,
  options: ProgramOptions,
  check: (end: ProgramEnd) => void,
): Promise<void> {
  let left = count;
  const row = async () => {
    while (left-- > 0) check(await runProgram(PROGRAM, options));
  };
  await Promise.all(Array.from({ length: AT_ONCE }, row));
}

/** How a process ended, to be compared as a whole: a crash shows its signal and its last words. */
function summary({ code, signal, hung, stderr }: ProgramEnd) {
  return { code, signal, hung, stderr };
}

describe('a process that ends with 128 reads in flight', () => {
  it.each([
    ['process.exit()', 'exit', 100],
    ['process.exit() from the continuation of a read', 'exitInContinuation', 10],
    ['process.exit() while copied reads are under way', 'exitWhileCopying', 10],
    ['process.exit() while the engine closes', 'exitWhileClosing', 10],
  ])('ends by %s with the code asked for', { timeout: 60_000 }, async (_, way, runs) => {
    await runMany(runs, { args: [numberedFile(FILE_BLOCKS), way] }, (end) => {
      expect(summary(end)).toEqual({ code: 42, signal: null, hung: false, stderr: '' });
    });
  });

  it.each([
    ['an uncaught exception', 'throw', 50],
    ['an unhandled rejection', 'reject', 10],
    ['an exception in the continuation of a read', 'throwInContinuation', 10],
  ])('ends by %s as any process does', { timeout: 60_000 }, async (_, way, runs) => {
    await runMany(runs, { args: [numberedFile(FILE_BLOCKS), way] }, (end) => {
      expect(summary(end)).toMatchObject({ code: 1, signal: null, hung: false });
      expect(end.stderr).toMatch('Error: as asked');
    });
  });

  it.each([
    ['SIGTERM', 50],
    ['SIGINT', 10],
    ['SIGKILL', 10],
  ] as const)('ends by %s', { timeout: 60_000 }, async (signal, runs) => {
    const options: ProgramOptions = {
      args: [numberedFile(FILE_BLOCKS), 'run'],
      onOutput: (_, child) => child.kill(signal),
    };
    await runMany(runs, options, (end) => {
      expect(summary(end)).toEqual({ code: null, signal, hung: false, stderr: '' });
    });
  });
});

describe('a process with nothing else to do', () => {
  it.each([
    ['a read', 'read', String(64 * BLOCK)],
    ['a copied read in many pieces', 'copiedRead', String(FILE_BLOCKS * BLOCK)],
    ['reads that wait their turn', 'waitingReads', String(1000 * BLOCK)],
    ['a flush', 'flush', 'flushed'],
    ['an engine that closes', 'close', 'closed'],
    ['a file that opens', 'open', String(FILE_BLOCKS * BLOCK)],
    ['an engine that starts', 'start', 'started'],
  ])('is kept alive by %s, until that has ended', async (_, way, stdout) => {
    const end = await runProgram(PROGRAM, { args: [numberedFile(FILE_BLOCKS), way] });
    expect(end).toEqual({ code: 0, signal: null, hung: false, stdout, stderr: '' });
  });

  it.each([
    ['an engine, a file and a lease that nobody closed', 'idle'],
    ['a watch() loop', 'watch'],
  ])('is not kept alive by %s', async (_, way) => {
    const end = await runProgram(PROGRAM, { args: [numberedFile(FILE_BLOCKS), way] });
    expect(end).toEqual({ code: 0, signal: null, hung: false, stdout: '', stderr: '' });
  });
});
