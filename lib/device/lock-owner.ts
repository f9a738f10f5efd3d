// Who holds a lock on a file: for the message of whoever cannot have it.
//
// The locks are those of open file descriptions, which belong to no process: the kernel's list of locks has no number for them. But
// each descriptor says in /proc which locks are held by way of it. Only those of processes that may be looked into are seen,
// and only in this PID namespace; so there may be nobody to name.

import { readdir, readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import type { NativeFailure } from '../errors.js';

const EBUSY = 16;

/** Looked at, of all processes together. */
const MAX_DESCRIPTORS = 65_536;
/** Named. */
const MAX_OWNERS = 4;

interface FileId {
  readonly dev: bigint;
  readonly ino: bigint;
}

async function namesIn(folder: string): Promise<readonly string[]> {
  return readdir(folder).catch(() => []);
}

async function idOf(file: string): Promise<FileId | undefined> {
  return stat(file, { bigint: true }).catch(() => undefined);
}

async function holdsLock(process: string, descriptor: string, wanted: FileId): Promise<boolean> {
  const id = await idOf(path.join(process, 'fd', descriptor));
  if (id?.ino !== wanted.ino || id.dev !== wanted.dev) return false;
  const info = await readFile(path.join(process, 'fdinfo', descriptor), 'utf8').catch(() => '');
  return /^lock:/m.test(info);
}

/** `process 4711 (node)`, of those that hold a lock on the file, as far as can be seen. */
export async function lockOwners(file: string): Promise<readonly string[]> {
  const owners: string[] = [];
  const wanted = await idOf(file);
  if (wanted === undefined) return owners;
  let left = MAX_DESCRIPTORS;
  for (const pid of await namesIn('/proc')) {
    if (!/^\d+$/.test(pid) || owners.length === MAX_OWNERS) continue;
    const process = path.join('/proc', pid);
    for (const descriptor of await namesIn(path.join(process, 'fd'))) {
      if (--left < 0) return owners;
      if (!(await holdsLock(process, descriptor, wanted))) continue;
      const name = await readFile(path.join(process, 'comm'), 'utf8').catch(() => '');
      owners.push(`process ${pid} (${name.trim()})`);
      break;
    }
  }
  return owners;
}

/** The same failure to open `file`; where a lock was in the way, it says whose. */
export async function withLockOwner(failure: NativeFailure, file: string): Promise<NativeFailure> {
  if (failure.errno !== EBUSY || failure.syscall !== 'fcntl') return failure;
  const owners = await lockOwners(file);
  if (owners.length === 0) return failure;
  return { ...failure, detail: `${failure.detail}: ${owners.join(', ')}` };
}
