// Shows how the command answers when it is asked for nothing, for help, or for what it does not have.

import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { runCli } from './run-cli.js';

const manifest = JSON.parse(
  readFileSync(path.join(import.meta.dirname, '..', '..', 'package.json'), 'utf8'),
) as { version: string };

describe('ringbolt', () => {
  it.each([
    [['frobnicate'], /unknown command 'frobnicate'/],
    [['--frobnicate'], /unknown option '--frobnicate'/],
    [[], /Usage: ringbolt/],
  ])('%j is an error that names the matter', (args, message) => {
    const { exitCode, stdout, stderr } = runCli(...args);
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(message);
    expect(stdout).toBe('');
  });

  it("--version is the package's", () => {
    expect(runCli('--version')).toMatchObject({ exitCode: 0, stdout: `${manifest.version}\n` });
  });

  it('--help lists the commands', () => {
    const { exitCode, stdout } = runCli('--help');
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/bench .*\[target\]/);
    expect(stdout).toMatch(/doctor .*\[path\]/);
    expect(stdout).toMatch(/topology .*\[path\]/);
  });
});
