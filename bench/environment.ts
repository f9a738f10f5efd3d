// Where and when the figures were got: without that they say nothing. No names of hosts or people.

import { execFile } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import type { NativeBuild } from '../lib/native.js';
import { describeStorage } from './storage.js';
import type { Target } from './target.js';

/** dist/bench: the package's root is two folders up. */
const PACKAGE_ROOT = path.resolve(__dirname, '..', '..');

export interface TargetFacts {
  readonly kind: Target['kind'];
  /** As it was found; null for a temporary file. */
  readonly path: string | null;
  readonly sizeBytes: number;
  /** Past the page cache. */
  readonly direct: boolean;
  readonly device: string | null;
  readonly fileSystem: string | null;
  readonly scheduler: string | null;
  readonly rotational: boolean | null;
}

export interface Environment {
  /** ISO 8601, UTC: when the run began. */
  readonly date: string;
  readonly ringboltVersion: string;
  /** Of the checkout that ringbolt runs from; null if it is none. */
  readonly gitCommit: string | null;
  /** Files of that checkout differ from the commit. */
  readonly gitDirty: boolean | null;
  /** How the addon was compiled. */
  readonly nativeBuild: NativeBuild;
  readonly nodeVersion: string;
  /** Null if fio had no part in it. */
  readonly fioVersion: string | null;
  readonly kernel: string;
  readonly cpuModel: string;
  readonly cpuCount: number;
  /** What this process may use of them. */
  readonly cpusAllowed: number;
  readonly memoryBytes: number;
  /** Of the last minute, at the start. */
  readonly loadAverage: number;
  readonly target: TargetFacts;
  readonly secondsPerMeasurement: number;
  readonly warmUpSeconds: number;
  readonly rounds: number;
  readonly seed: number;
}

/** What the machine and the checkout say; the rest is the run's own. */
export type Surroundings = Omit<
  Environment,
  | 'target'
  | 'nativeBuild'
  | 'fioVersion'
  | 'secondsPerMeasurement'
  | 'warmUpSeconds'
  | 'rounds'
  | 'seed'
>;

export async function describeSurroundings(): Promise<Surroundings> {
  return {
    date: new Date().toISOString(),
    ringboltVersion: packageVersion(),
    ...(await describeCheckout()),
    nodeVersion: process.version,
    kernel: os.release(),
    cpuModel: os.cpus()[0]?.model ?? 'unknown',
    cpuCount: os.cpus().length,
    cpusAllowed: os.availableParallelism(),
    memoryBytes: os.totalmem(),
    loadAverage: os.loadavg()[0] ?? 0,
  };
}

export function packageVersion(): string {
  const text = fs.readFileSync(path.join(PACKAGE_ROOT, 'package.json'), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}

async function describeCheckout(): Promise<Pick<Environment, 'gitCommit' | 'gitDirty'>> {
  try {
    // Installed below somebody's node_modules, the checkout around it is not ours.
    if ((await git('rev-parse', '--show-toplevel')) !== fs.realpathSync(PACKAGE_ROOT)) {
      return { gitCommit: null, gitDirty: null };
    }
    const gitCommit = await git('rev-parse', '--verify', 'HEAD');
    const changes = await git('status', '--porcelain', '--untracked-files=no');
    return { gitCommit, gitDirty: changes !== '' };
  } catch {
    return { gitCommit: null, gitDirty: null }; // no git, no checkout, or no commit yet
  }
}

async function git(...args: readonly string[]): Promise<string> {
  // Without the lock, `status` refreshes no index that somebody else may be working on.
  const env = { ...process.env, GIT_OPTIONAL_LOCKS: '0' };
  const options = { cwd: PACKAGE_ROOT, env, timeout: 10_000 };
  const { stdout } = await promisify(execFile)('git', args, options);
  return stdout.trim();
}

export function describeTarget(target: Target, direct: boolean): TargetFacts {
  const storage = describeStorage(target.path);
  return {
    kind: target.kind,
    path: target.kind === 'temporary' ? null : target.path,
    sizeBytes: target.sizeBytes,
    direct,
    device: storage.device ?? null,
    fileSystem: storage.fileSystem ?? null,
    scheduler: storage.scheduler ?? null,
    rotational: storage.rotational ?? null,
  };
}
