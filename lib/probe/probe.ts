// What this machine allows, and the remedy for what it does not. Changes nothing, and leaves nothing behind: what has to be tried
// is tried on a native thread that ends, and with an engine that is closed.

import os from 'node:os';
import { Engine } from '../engine/engine.js';
import { whyCopied } from '../engine/memory-info.js';
import { ringboltError, systemError } from '../errors.js';
import {
  addonFile,
  isFailure,
  LAYOUT,
  NATIVE_BUILD,
  probeNative,
  type NativeBuild,
  type NativeProbe,
} from '../native.js';
import { readStorage } from '../topology/storage.js';
import { checkOptions, invalidType, invalidValue } from '../validate.js';
import { judgeBackends, type EngineOutcome } from './backends.js';
import { judgeCpus } from './cpu.js';
import { judgeSystem, readKernel, rootsOf, type Surroundings } from './kernel.js';
import { judgeMemory } from './memory.js';
import { judgePath, type StorageOutcome } from './path.js';
import { feature, type ProbeFeature, type ProbeReport } from './report.js';

export interface ProbeOptions {
  /** A file, folder or block device to look at as well. Opened for reading, and closed again. */
  readonly path?: string;
}

/** Each has a thread of libuv's pool for a moment. */
const MAX_PROBES = 16;
let probes = 0;

/**
 * Finds out what this machine allows. What is missing is no error: it is in the report, with the reason and the remedy.
 *
 * @throws `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE`
 * @throws `ERR_RINGBOLT_OVERLOADED` if 16 probes are under way
 * @throws `EAGAIN` and the like, where there can be no more threads
 */
export async function probe(options: ProbeOptions = {}): Promise<ProbeReport> {
  checkOptions('options', options, ['path']);
  const { path } = options;
  checkPath(path);
  if (probes >= MAX_PROBES) {
    throw ringboltError('ERR_RINGBOLT_OVERLOADED', `${MAX_PROBES} probes are under way`);
  }
  probes++;
  try {
    const storage = path === undefined ? undefined : await tryStorage(path);
    const native = await probeNative(mayOpen(storage) ? path : undefined);
    if (isFailure(native)) throw systemError(native);
    const engine = await tryEngine();
    const addon = { file: addonFile(), ...NATIVE_BUILD };
    return await judge(around(), { native, path, engine, storage, addon });
  } finally {
    probes--;
  }
}

function checkPath(path: unknown): void {
  if (path === undefined) return;
  if (typeof path !== 'string') throw invalidType('options.path', 'of type string', path);
  if (path === '' || path.includes('\0')) {
    throw invalidValue('options.path', 'must be a path without null bytes', path);
  }
}

function around(): Surroundings {
  return { root: '/', env: process.env, kernel: os.release(), node: process.version };
}

/** What was tried. */
export interface Trials {
  readonly native: NativeProbe;
  readonly path: string | undefined;
  readonly engine: EngineOutcome;
  readonly storage: StorageOutcome;
  /** Its file is relative to the package. */
  readonly addon: NativeBuild & { readonly file: string };
}

/** Makes the report of what was tried and what can be read. */
export async function judge(around: Surroundings, trials: Trials): Promise<ProbeReport> {
  const facts = readKernel(around);
  const features = [
    ...judgeBackends(trials.native, facts, {
      outcome: trials.engine,
      named: around.env['RINGBOLT_BACKEND'],
    }),
    ...judgePath(trials.native, trials.storage),
    ...(await judgeMemory(around, facts)),
    ...(await judgeCpus(rootsOf(around), trials.native)),
    ...judgeSystem(around, facts),
    judgeAddon(trials.addon),
  ];
  return {
    ok: features.every(({ needed, available }) => available || !needed),
    kernel: around.kernel,
    node: around.node,
    arch: process.arch,
    container: facts.container,
    path: trials.path,
    features,
  };
}

function judgeAddon({ file, optimized, sanitizer }: Trials['addon']): ProbeFeature {
  const origin = file.startsWith('prebuilds/')
    ? 'prebuilt'
    : file.startsWith('build/')
      ? 'compiled on this machine'
      : 'from outside of the package';
  const slow = !optimized || sanitizer !== '';
  return feature('addon', slow ? 'degraded' : 'yes', {
    detail: `${origin} (${file})`,
    why: `made for tests (${sanitizer === '' ? 'a debug build' : sanitizer}), and slow`,
    remedy: 'npm rebuild ringbolt',
  });
}

/** With as little memory as there can be. */
async function tryEngine(): Promise<EngineOutcome> {
  try {
    const engine = await Engine.start({
      queues: 1,
      pool: { bytes: LAYOUT.slabUnitBytes, classes: [LAYOUT.slabUnitBytes] },
    });
    const { backend, memory } = engine.info;
    await engine.close();
    return { started: true, backend, copies: whyCopied(memory) };
  } catch (error) {
    return { started: false, reason: error instanceof Error ? error.message : String(error) };
  }
}

/** Opening anything else may do something: a watchdog would start, a tape rewind. */
function mayOpen(storage: StorageOutcome): boolean {
  return typeof storage === 'object' && ['file', 'block device'].includes(storage.kind);
}

async function tryStorage(path: string): Promise<StorageOutcome> {
  try {
    return await readStorage(path);
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
