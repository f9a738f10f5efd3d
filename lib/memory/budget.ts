// How much memory a pool may take. When nobody said: 64 MiB a node, but never over an eighth of what the process's cgroup (or
// the machine) has, so that a small container is not filled by its I/O buffers. When somebody did: never more than
// there is, since populating that would not end with an error but with the process killed for it.

import { readFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { RingboltError } from '../errors.js';

const DEFAULT_BYTES = 64 * 2 ** 20;
const SHARE = 8;
const ENOMEM = os.constants.errno.ENOMEM;

/**
 * Synchronously: procfs and cgroups answer from memory, and a worker that is terminated while a thread pool reads would leave
 * the descriptor behind. Empty if there is no such file.
 */
function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch {
    return '';
  }
}

function readLimit(file: string): number {
  const text = readText(file);
  const bytes = Number(text);
  return text !== '' && Number.isFinite(bytes) ? bytes : Infinity; // "max" is no number
}

/** The least memory limit of this process's cgroups (v1 and v2) and the machine, bytes. */
// eslint-disable-next-line @typescript-eslint/require-await -- a promise, so that its callers need not know how it reads
export async function memoryLimitBytes(root = '/'): Promise<number> {
  const limits = [os.totalmem()];
  const cgroups = readText(path.join(root, 'proc/self/cgroup'));
  for (const line of cgroups.split('\n')) {
    const match = /^\d+:([^:]*):(.*)$/.exec(line);
    if (match === null) continue;
    const [, controllers = '', group = ''] = match;
    // Every ancestor limits too. Inside a container the path may lead outside what is mounted; the root remains.
    const v2 = controllers === '';
    if (!v2 && !controllers.split(',').includes('memory')) continue;
    const folder = path.join(root, v2 ? 'sys/fs/cgroup' : 'sys/fs/cgroup/memory');
    const file = v2 ? 'memory.max' : 'memory.limit_in_bytes';
    for (let at = path.join('/', group); ; at = path.dirname(at)) {
      limits.push(readLimit(path.join(folder, at, file)));
      if (at === '/') break;
    }
  }
  return Math.min(...limits);
}

/** The default size of a pool on so many nodes whose largest class is `largestBytes`: a multiple of it, at least one. */
export async function defaultPoolBytes(
  largestBytes: number,
  root?: string,
  nodes = 1,
): Promise<number> {
  const allowed = Math.min(DEFAULT_BYTES * nodes, (await memoryLimitBytes(root)) / SHARE);
  return Math.max(1, Math.floor(allowed / largestBytes)) * largestBytes;
}

/**
 * For a pool of a size that the user chose.
 *
 * @throws `ENOMEM` if this process could never have so much.
 */
export async function checkPoolBytes(bytes: number, root?: string): Promise<void> {
  const limitBytes = await memoryLimitBytes(root);
  if (bytes <= limitBytes) return;
  throw new RingboltError(
    'ENOMEM',
    `ENOMEM: not enough memory: options.pool.bytes is ${bytes}, ` +
      `but this process may use ${limitBytes} bytes at most (its cgroup's limit, or the machine's memory)`,
    { errno: -ENOMEM },
  );
}
