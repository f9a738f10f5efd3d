// Shows what the benchmark takes as a target, what it refuses, and that it removes only what it made.

import { existsSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { BenchError } from '../../dist/bench/options.js';
import { acquireTarget, removeTarget } from '../../dist/bench/target.js';
import { WORKLOADS, writes } from '../../dist/bench/workloads.js';
import { tempFolder } from '../support/temp-folder.js';

const MIB = 2 ** 20;
const readers = WORKLOADS.filter((workload) => !writes(workload));
const reading = { sizeBytes: undefined, allowWrite: false, workloads: readers };
const writing = { ...reading, workloads: WORKLOADS };

function existingFile(bytes = 2 * MIB): string {
  const file = path.join(tempFolder(), 'mine');
  writeFileSync(file, Buffer.alloc(bytes, 'x'));
  return file;
}

describe('acquireTarget', () => {
  it('takes an existing file as it is, and leaves it there', () => {
    const file = existingFile();
    const target = acquireTarget({ ...reading, target: file });
    expect(target).toEqual({ kind: 'file', path: file, sizeBytes: 2 * MIB, owned: false });
    removeTarget(target);
    expect(existsSync(file)).toBe(true);
  });

  it('refuses to write to an existing file, and says what would happen and what to do', () => {
    const file = existingFile();
    const attempt = () => acquireTarget({ ...writing, target: file });
    expect(attempt).toThrow(BenchError);
    expect(attempt).toThrow(/would destroy its contents.*--allow-write/);
    expect(acquireTarget({ ...writing, target: file, allowWrite: true }).owned).toBe(false);
  });

  it('is not fooled by a link', () => {
    const link = path.join(tempFolder(), 'link');
    symlinkSync(existingFile(), link);
    expect(() => acquireTarget({ ...writing, target: link })).toThrow(/--allow-write/);
  });

  it('makes what is not there, and removes it', () => {
    const file = path.join(tempFolder(), 'new');
    const target = acquireTarget({ ...writing, target: file, sizeBytes: 16 * MIB });
    expect(target).toEqual({ kind: 'created', path: file, sizeBytes: 16 * MIB, owned: true });
    expect(existsSync(file)).toBe(true);
    removeTarget(target);
    expect(existsSync(file)).toBe(false);
    removeTarget(target); // a second time, as the way out of the process may
  });

  it('makes a temporary file when there is no target', () => {
    const target = acquireTarget({ ...writing, target: undefined, sizeBytes: MIB });
    expect(target.kind).toBe('temporary');
    expect(existsSync(target.path)).toBe(true);
    removeTarget(target);
    expect(existsSync(target.path)).toBe(false);
  });

  it.each([
    ['a folder', () => tempFolder(), {}, /neither a file nor a block device/],
    ['a character device', () => '/dev/null', {}, /neither a file nor a block device/],
    ['a file in no folder', () => path.join(tempFolder(), 'no', 'file'), {}, /no folder/],
    ['too small a file', () => existingFile(4096), {}, /too small for seq-read-1m-qd16/],
    ['more than there is', existingFile, { sizeBytes: 4 * MIB }, /more than .* has/],
    ['more than fits', () => path.join(tempFolder(), 'x'), { sizeBytes: 2 ** 50 }, /bytes free/],
  ])('refuses %s', (_, target, changes, message) => {
    expect(() => acquireTarget({ ...reading, target: target(), ...changes })).toThrow(message);
  });

  it('changes nothing when it refuses', () => {
    const folder = tempFolder();
    mkdirSync(path.join(folder, 'sub'));
    const target = path.join(folder, 'new');
    expect(() => acquireTarget({ ...reading, target, sizeBytes: 1024 })).toThrow(BenchError);
    expect(readdirSync(folder)).toEqual(['sub']);
  });
});
