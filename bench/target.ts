// The file or device that everything is measured on: which one, whether it may be written to, and its removal.
//
// What exists belongs to the user: it is never created, resized or removed, and written to only with --allow-write. What
// is made here is removed again, however the process ends (but for SIGKILL).

import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { BenchError, type BenchOptions } from './options.js';
import { errorText } from './protocol.js';
import { describeStorage, deviceBytes, deviceUser } from './storage.js';
import { writes } from './workloads.js';

const DEFAULT_BYTES = 2 ** 30;

export interface Target {
  readonly kind: 'temporary' | 'created' | 'file' | 'device';
  readonly path: string;
  /** How much of it is used, from its beginning. */
  readonly sizeBytes: number;
  /** Made here: it is to be filled, and removed. */
  readonly owned: boolean;
}

type TargetOptions = Pick<BenchOptions, 'target' | 'sizeBytes' | 'allowWrite' | 'workloads'>;

/** Finds or makes the target. Throws BenchError, and then has changed nothing. */
export function acquireTarget(options: TargetOptions): Target {
  const { target } = options;
  if (target === undefined) {
    const name = `ringbolt-bench-${process.pid}-${randomBytes(4).toString('hex')}`;
    return create('temporary', path.join(temporaryFolder(), name), options);
  }
  const stat = fs.statSync(target, { throwIfNoEntry: false });
  return stat === undefined
    ? create('created', path.resolve(target), options)
    : existing(fs.realpathSync(target), stat, options);
}

export function removeTarget(target: Target): void {
  if (target.owned) fs.rmSync(target.path, { force: true });
}

function existing(file: string, stat: fs.Stats, options: TargetOptions): Target {
  if (!stat.isFile() && !stat.isBlockDevice()) {
    throw new BenchError(`${file} is neither a file nor a block device`);
  }
  const writers = options.workloads.filter(writes).map(({ name }) => name);
  if (writers.length > 0) checkWritable(file, stat, writers, options.allowWrite);
  const wholeBytes = stat.isFile() ? stat.size : deviceBytes(stat);
  if (wholeBytes === undefined) throw new BenchError(`Cannot find out how large ${file} is`);
  const sizeBytes = options.sizeBytes ?? wholeBytes;
  if (sizeBytes > wholeBytes) {
    throw new BenchError(`--size ${sizeBytes} is more than ${file} has: ${wholeBytes} bytes`);
  }
  checkSize(sizeBytes, options);
  return { kind: stat.isFile() ? 'file' : 'device', path: file, sizeBytes, owned: false };
}

function checkWritable(
  file: string,
  stat: fs.Stats,
  writers: readonly string[],
  allowed: boolean,
): void {
  if (!allowed) {
    throw new BenchError(
      `${file} exists, and ${writers.join(', ')} would destroy its contents. ` +
        "Give --allow-write if that is meant, or choose what only reads: --workload '*read*'",
    );
  }
  const user = stat.isBlockDevice() ? deviceUser(stat) : undefined;
  if (user !== undefined) throw new BenchError(`Not writing to ${file}, which is in use: ${user}`);
}

/** Only an empty file: space and contents come with `prepare`. */
function create(kind: 'temporary' | 'created', file: string, options: TargetOptions): Target {
  const sizeBytes = options.sizeBytes ?? DEFAULT_BYTES;
  checkSize(sizeBytes, options);
  checkFree(path.dirname(file), sizeBytes);
  try {
    fs.closeSync(fs.openSync(file, 'wx', 0o600));
  } catch (error) {
    throw new BenchError(`Cannot create the target: ${errorText(error)}`);
  }
  return { kind, path: file, sizeBytes, owned: true };
}

function checkSize(sizeBytes: number, { workloads }: TargetOptions): void {
  const tooLarge = workloads.find(({ blockBytes }) => blockBytes > sizeBytes);
  if (tooLarge === undefined) return;
  throw new BenchError(
    `A target of ${sizeBytes} bytes is too small for ${tooLarge.name}, ` +
      `which transfers ${tooLarge.blockBytes} at a time`,
  );
}

function checkFree(folder: string, sizeBytes: number): void {
  if (!fs.existsSync(folder)) throw new BenchError(`There is no folder ${folder}`);
  const { bavail, bsize } = fs.statfsSync(folder);
  if (bavail * bsize >= sizeBytes) return;
  throw new BenchError(
    `${folder} has ${bavail * bsize} bytes free and ${sizeBytes} are needed: ` +
      'give a --size that fits, or a target on another disk',
  );
}

export function isInMemory(fileSystem: string | undefined): boolean {
  return fileSystem === 'tmpfs' || fileSystem === 'ramfs';
}

/** Where temporary files go, unless that is memory: then here, or where they survive a restart. */
function temporaryFolder(): string {
  const folders = [os.tmpdir(), process.cwd(), '/var/tmp'];
  return folders.find(isDisk) ?? os.tmpdir();
}

function isDisk(folder: string): boolean {
  try {
    fs.accessSync(folder, fs.constants.W_OK);
    return !isInMemory(describeStorage(folder).fileSystem);
  } catch {
    return false;
  }
}
