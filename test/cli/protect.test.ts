// Shows `ringbolt protect`: what it says before and afterwards, that it goes on where it was interrupted, and what it refuses.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { Volume } from 'ringbolt';
import { beforeEach, describe, expect, it } from 'vitest';
import { formatSeconds, Ticker } from '../../dist/lib/cli/ticker.js';
import { Progress } from '../../dist/bench/progress.js';
import { startEngine } from '../support/engine.js';
import { tempFolder } from '../support/temp-folder.js';
import { MAIN, runCli } from './run-cli.js';

const MIB = 2 ** 20;

let name: string;

beforeEach(() => {
  name = path.join(tempFolder(), 'data');
});

interface Printed {
  readonly blocks: number;
  readonly blocksDone: number;
  readonly interrupted: boolean;
}

async function damageIsFound(at: number): Promise<void> {
  const contents = readFileSync(name);
  contents[at]! ^= 1;
  writeFileSync(name, contents);
  const volume = await Volume.open(await startEngine(), name);
  const into = Buffer.alloc(volume.blockSize);
  const block = Math.floor(at / volume.blockSize);
  await expect(volume.read(block * volume.blockSize, into)).rejects.toMatchObject({
    code: 'ERR_RINGBOLT_CORRUPT',
    blocks: [block],
  });
  await volume.close();
}

describe('ringbolt protect', () => {
  it('says what it takes, makes the sidecar, and leaves the data as it is', async () => {
    const contents = randomBytes(3 * MIB + 77);
    writeFileSync(name, contents);
    const { exitCode, stdout, stderr } = runCli('protect', name);
    expect(stderr).toContain(`${name}, 3.0 MiB: the sidecar ${name}.ringbolt takes 1.0 MiB\n`);
    expect(stdout).toBe(`${name} is protected by ${name}.ringbolt: 769 blocks.\n`);
    expect(exitCode).toBe(0);
    expect(readFileSync(name).equals(contents)).toBe(true);
    const again = runCli('protect', name, '--json');
    expect([again.exitCode, again.stderr]).toEqual([0, '']);
    expect(JSON.parse(again.stdout)).toMatchObject({ schema: 1, blocks: 769, blocksDone: 769 });
    await damageIsFound(3 * MIB + 5);
  });

  it('keeps what was done when it is interrupted, and goes on from there', async () => {
    writeFileSync(name, randomBytes(8 * MIB));
    // So slow that it cannot have ended, and has something to keep when it is.
    const slow = spawn(process.execPath, [MAIN, 'protect', name, '--limit', '2M', '--json'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let printed = '';
    slow.stdout.on('data', (data: Buffer) => (printed += data.toString()));
    const ended = once(slow, 'close');
    const engine = await startEngine();
    const hasBegun = async (): Promise<boolean> => {
      if (!existsSync(`${name}.ringbolt`)) return false;
      const found = await Volume.inspect(engine, name).catch(() => undefined);
      return (found?.volume?.dirtyRegions ?? 0) > 0;
    };
    while (!(await hasBegun()));
    slow.kill('SIGINT');
    expect(await ended).toEqual([130, null]);
    const stopped = JSON.parse(printed) as Printed;
    expect(stopped).toMatchObject({ interrupted: true, blocks: 2048 });
    expect(stopped.blocksDone).toBeLessThan(2048);
    const share = Math.floor((100 * stopped.blocksDone) / 2048);
    expect(runCli('status', name).stdout).toContain(`baseline   ${share} %`);
    const { exitCode, stdout, stderr } = runCli('protect', name);
    expect([exitCode, stderr]).toEqual([0, `${name}: goes on from ${share} %\n`]);
    expect(stdout).toContain('2,048 blocks.');
    await damageIsFound(8 * MIB - 1);
  });

  it.each([
    ['no file', undefined, [], /ENOENT/],
    ['an empty one', '', [], /is empty/],
    ['odd blocks', 'data', ['--block-size', '12K'], /a power of two/],
  ] as const)('refuses %s', (_, contents, args, message) => {
    if (contents !== undefined) writeFileSync(name, contents);
    const { exitCode, stderr } = runCli('protect', name, ...args);
    expect([exitCode, stderr]).toEqual([1, expect.stringMatching(message) as string]);
    expect(existsSync(`${name}.ringbolt`)).toBe(false);
  });

  it('refuses to protect otherwise what is protected already', () => {
    writeFileSync(name, 'data');
    runCli('protect', name);
    for (const args of [
      ['--algorithm', 'xxh3'],
      ['--block-size', '8K'],
    ]) {
      const { exitCode, stderr } = runCli('protect', name, ...args);
      expect([exitCode, stderr]).toEqual([
        1,
        expect.stringMatching(/is protected with (crc64nvme|blocks of 4 KiB) already/) as string,
      ]);
    }
  });
});

describe('how far it has come', () => {
  it('is said now and then, with the rate and what is left', () => {
    const lines: string[] = [];
    let nowMs = 5000;
    const progress = new Progress({ write: (text: string) => lines.push(text) });
    const ticker = new Ticker(progress, 100 * MIB, 1000 * MIB, () => nowMs);
    for (; nowMs <= 25_000; nowMs += 100)
      ticker.tick(100 * MIB + ((nowMs - 5000) / 1000) * 5 * MIB);
    expect(lines).toEqual([
      '15 %, 150 MiB of 1000 MiB, 5 MB/s, 3 min left\n',
      '20 %, 200 MiB of 1000 MiB, 5 MB/s, 3 min left\n',
    ]);
    expect([5.2, 99, 101, 8000, 80_000].map(formatSeconds)).toEqual([
      '6 s',
      '99 s',
      '2 min',
      '2 h 14 min',
      '22 h 14 min',
    ]);
  });
});
