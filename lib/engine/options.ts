// The options of an engine and of an open file: their defaults, their checks, and what native code is given for them.

import { IO_CLASSES } from '../schedule/operation.js';
import { checkRateLimit, type RateLimit } from '../schedule/rate-limiter.js';
import type { EngineLimits } from '../schedule/scheduler.js';
import { faultsOf, type NativeFaultPlan } from './faults.js';
import {
  MAX_SLAB_BYTES,
  resolvePool,
  type PoolOptions,
  type ResolvedPoolOptions,
} from './pool-options.js';
import { rootsOf } from './roots.js';
import type { Affinity } from '../topology/placement.js';
import type { StorageRoots } from '../topology/storage.js';
import { BACKEND_KINDS, LAYOUT, type BackendKind, type NativeOpenRequest } from '../native.js';
import {
  checkBoolean,
  checkInteger,
  checkOneOf,
  checkOptions,
  checkPath,
  invalidType,
  invalidValue,
  outOfRange,
} from '../validate.js';

export interface EngineOptions {
  /** Queues, each with a thread of its own: 1 to 256. Default 1. */
  readonly queues?: number;
  /** Operations that each queue has in the kernel at once, 1 to 8192. Default 128. */
  readonly depth?: number;
  /** Operations that may wait for room in a queue, before further ones are refused. Default 16384. */
  readonly maxQueued?: number;
  /**
   * Reads and writes of leases that are larger go to the kernel in parts, each to the queue with the least in flight, and settle as
   * one; copied memory goes in pieces no larger than this. A multiple of 4096. Default 1 MiB. Parts are whole blocks, of
   * the file and of checksums, and larger than this where one block is. A write with `expected` checksums is never
   * split: all of it is compared before any of it is written.
   */
  readonly maxIoBytes?: number;
  /** Files open at once, 1 to 65536. Default 1024. */
  readonly maxFiles?: number;
  /**
   * What moves the bytes. Default: what the environment variable `RINGBOLT_BACKEND` says, else `'auto'`, the first of
   * `'io_uring'`, `'aio'` (Linux native AIO; files without O_DIRECT go to threads) and `'threads'` that can be had; then
   * `engine.info.passedOver` says why the others could not. A backend that is named is had, or the engine does not start.
   */
  readonly backend?: 'auto' | 'io_uring' | 'aio' | 'threads';
  /**
   * The CPUs of each queue's thread: `'auto'` (default) those of one NUMA node that this process may use, nodes taken in turn,
   * isolated CPUs (`isolcpus=`) only where nothing else may be used; `'none'` leaves it to the kernel; a list of CPU lists, one
   * a queue, pins it. CPUs that cannot be had are left out, and `engine.info.queues` says which.
   */
  readonly affinity?: Affinity;
  readonly pool?: PoolOptions;
  /** Rates not to exceed, by class and in total; see {@link Engine.setLimits}. Default: none. */
  readonly limits?: EngineLimits;
}

export interface OpenOptions {
  /** Default `'read'`. */
  readonly access?: 'read' | 'write' | 'read-write';
  /** Make the file if it is not there; `'exclusive'`: and fail if it is. Default false. */
  readonly create?: boolean | 'exclusive';
  /** Cut the file to nothing first. Default false. */
  readonly truncate?: boolean;
  /** Make the file at least so many bytes long, with space allocated for them. Default: as it is. */
  readonly size?: number;
  /**
   * Bypass the page cache (O_DIRECT): `true` fails where that cannot be had, `'auto'` (default) goes on without it
   * and says so in `file.direct` and `file.remarks`; either way offsets and lengths must be aligned.
   */
  readonly direct?: 'auto' | boolean;
  /**
   * Lock the file against other processes and engines that lock it too. A device that is locked exclusively can neither be mounted
   * nor be locked while it is mounted. Default false.
   */
  readonly lock?: 'shared' | 'exclusive' | false;
  /** A rate that this file's operations do not exceed; see {@link BlockFile.setLimit}. Default: none. */
  readonly limit?: RateLimit;
}

const MAX_QUEUES = 256;
const MAX_QUEUED = 2 ** 24;
const IO_UNIT_BYTES = 4096;
const MAX_FILES = 65536;
const MAX_CPU = 8191;
/** The largest slab of the default classes: what is larger was asked for. */
const DEFAULT_IO_BYTES = 2 ** 20;

/** Options with every default filled in. */
export interface ResolvedEngineOptions {
  readonly queues: number;
  readonly depth: number;
  readonly maxQueued: number;
  readonly maxIoBytes: number;
  readonly maxFiles: number;
  readonly backend: BackendKind;
  readonly faults: NativeFaultPlan | undefined;
  readonly affinity: Affinity;
  readonly roots: StorageRoots;
  readonly pool: ResolvedPoolOptions;
  readonly limits: EngineLimits;
}

/** @throws TypeError, RangeError with Node's codes */
export function resolveEngineOptions(options: EngineOptions): ResolvedEngineOptions {
  const known = [
    'queues',
    'depth',
    'maxQueued',
    'maxIoBytes',
    'maxFiles',
    'backend',
    'affinity',
    'pool',
    'limits',
  ];
  checkOptions('options', options, known);
  const { affinity: given = 'auto', pool: poolOptions = {}, limits = {} } = options;
  const affinity = typeof given === 'string' ? given : copyCpuLists(given);
  const lists = typeof affinity === 'string' ? undefined : affinity;
  if (lists === undefined) checkOneOf('options.affinity', affinity, ['auto', 'none']);

  const { queues = lists?.length ?? 1, depth = 128, maxQueued = 16384, maxFiles = 1024 } = options;
  checkInteger('options.queues', queues, 1, MAX_QUEUES);
  checkInteger('options.depth', depth, 1, LAYOUT.maxDepth);
  checkInteger('options.maxQueued', maxQueued, 0, MAX_QUEUED);
  checkInteger('options.maxFiles', maxFiles, 1, MAX_FILES);
  const { maxIoBytes = DEFAULT_IO_BYTES } = options;
  checkInteger('options.maxIoBytes', maxIoBytes, IO_UNIT_BYTES, MAX_SLAB_BYTES);
  if (maxIoBytes % IO_UNIT_BYTES !== 0) {
    throw outOfRange('options.maxIoBytes', `a multiple of ${IO_UNIT_BYTES}`, maxIoBytes);
  }
  if (lists !== undefined && lists.length !== queues) {
    throw invalidValue(
      'options.affinity',
      `must have one list for each of ${queues} queues`,
      lists,
    );
  }
  return {
    queues,
    depth,
    maxQueued,
    maxIoBytes,
    maxFiles,
    backend: resolveBackend(options.backend),
    faults: faultsOf(options),
    affinity,
    roots: rootsOf(options),
    pool: resolvePool(poolOptions),
    limits: resolveLimits('options.limits', limits),
  };
}

/** The option wins: whoever wrote it knew what the program needs. An empty variable is none, as in a shell. */
function resolveBackend(option: BackendKind | undefined): BackendKind {
  if (option !== undefined) {
    checkOneOf('options.backend', option, BACKEND_KINDS);
    return option;
  }
  const named = process.env['RINGBOLT_BACKEND'];
  if (named === undefined || named === '') return 'auto';
  checkOneOf('RINGBOLT_BACKEND', named, BACKEND_KINDS);
  return named;
}

/** @throws TypeError, RangeError with Node's codes */
export function resolveLimits(name: string, limits: EngineLimits): EngineLimits {
  checkOptions(name, limits, ['total', ...IO_CLASSES]);
  const { total, foreground, background } = limits;
  const given = Object.entries({ total, foreground, background }).filter(
    ([, limit]) => limit !== undefined,
  );
  for (const [key, limit] of given) checkRateLimit(`${name}.${key}`, limit);
  return Object.fromEntries(given.map(([key, limit]) => [key, { ...limit }]));
}

/** Each element is read once: a getter, or the caller meanwhile, may have it different the second time. */
function copyCpuLists(lists: unknown): number[][] {
  if (!Array.isArray(lists)) {
    throw invalidType('options.affinity', "'auto', 'none' or an array of arrays", lists);
  }
  const copies = copyArray(lists, MAX_QUEUES).map((list) => {
    if (!Array.isArray(list)) throw invalidType('options.affinity', 'an array of arrays', list);
    return copyArray(list, MAX_CPU).map((cpu) => {
      checkInteger('options.affinity', cpu, 0, MAX_CPU);
      return cpu;
    });
  });
  if (copies.length === 0 || copies.some((list) => list.length === 0)) {
    throw invalidValue('options.affinity', 'must have no empty list', lists);
  }
  return copies;
}

function copyArray(array: readonly unknown[], maxLength: number): unknown[] {
  const { length } = array;
  if (!(length <= maxLength)) {
    throw invalidValue('options.affinity', `must have at most ${maxLength} elements`, array);
  }
  return Array.from({ length }, (_, index) => array[index]);
}

const ACCESS = ['read', 'write', 'read-write'] as const;
const CREATE = [false, true, 'exclusive'] as const;
const DIRECT = [false, 'auto', true] as const;
const LOCK = [false, 'shared', 'exclusive'] as const;

/** @throws TypeError, RangeError with Node's codes */
export function resolveOpenOptions(path: string, options: OpenOptions): NativeOpenRequest {
  checkPath('path', path);
  const known = ['access', 'create', 'truncate', 'size', 'direct', 'lock', 'limit'];
  checkOptions('options', options, known);
  const { access = 'read', create = false, truncate = false } = options;
  const { size = 0, direct = 'auto', lock = false } = options;
  checkOneOf('options.access', access, ACCESS);
  checkOneOf('options.create', create, CREATE);
  checkOneOf('options.direct', direct, DIRECT);
  checkOneOf('options.lock', lock, LOCK);
  checkBoolean('options.truncate', truncate);
  checkInteger('options.size', size, 0);
  if (options.limit !== undefined) checkRateLimit('options.limit', options.limit);
  if (access === 'read') {
    const needsWrite = { create: create !== false, truncate, size: size > 0 };
    for (const [name, set] of Object.entries(needsWrite)) {
      if (set) throw invalidValue(`options.${name}`, "needs access 'write' or 'read-write'", set);
    }
    if (lock === 'exclusive') {
      throw invalidValue('options.lock', "needs access 'write' or 'read-write'", lock);
    }
  }
  if (access === 'write' && lock === 'shared') {
    throw invalidValue('options.lock', "needs access 'read' or 'read-write'", lock);
  }
  return {
    path,
    access: ACCESS.indexOf(access),
    create: CREATE.indexOf(create),
    truncate,
    direct: DIRECT.indexOf(direct),
    lock: LOCK.indexOf(lock),
    size,
  };
}
