// Options and memory of a volume's reads and writes, checked before anything begins.

import { types } from 'node:util';
import type {
  FlushOptions,
  IoOptions,
  ReadBatchOptions,
  WriteBatchOptions,
  WriteOptions,
} from '../device/block-target.js';
import {
  BATCH_OPTIONS,
  FLUSH_OPTIONS,
  readModes,
  READ_OPTIONS,
  WRITE_OPTIONS,
} from '../device/io-modes.js';
import { ringboltError } from '../errors.js';
import { checkSignal } from '../interrupt.js';
import { plainView, trueLength } from '../memory/intrinsics.js';
import { leases, type Lease } from '../memory/lease.js';
import { checkBoolean, checkOneOf, checkOptions, invalidType, invalidValue } from '../validate.js';
import type { PassProgress } from './pass.js';

/** What is read into or written, as {@link takeMemory} returns it. */
export type Memory = Lease | Uint8Array;

export interface VolumeReadOptions extends IoOptions {
  /** False hands out what is there, damaged or not: to save what can be saved. Default true. */
  readonly verify?: boolean;
}

const STABILITIES = ['check', 'trust', 'copy'] as const;
/** What is made sure of a lease: rule 15. */
export type Stability = (typeof STABILITIES)[number];

export interface VolumeWriteOptions extends WriteOptions {
  /**
   * A lease must not be changed while it is written: its checksum would not be that of what is on disk. `'check'` (default) looks again
   * afterwards, and rejects with `ERR_RINGBOLT_CORRUPT` if it was; `'copy'` writes a copy, made when the turn of the write has come, and what is
   * changed before is part of it; `'trust'` believes it. Other memory is always copied.
   */
  readonly stable?: Stability;
}

/** What most operations have: nothing is left to be checked. */
export const NO_OPTIONS = Object.freeze({});

const VOLUME_READ_OPTIONS = [...READ_OPTIONS, 'verify'] as const;
const VOLUME_WRITE_OPTIONS = [...WRITE_OPTIONS, 'stable'] as const;
const READ_BATCH_OPTIONS = [...VOLUME_READ_OPTIONS, ...BATCH_OPTIONS] as const;
const WRITE_BATCH_OPTIONS = [...VOLUME_WRITE_OPTIONS, ...BATCH_OPTIONS] as const;

// Each returns the options as they were when they were checked: what waits looks at them later, when their owner's may be others.

export function takeReadOptions(options: VolumeReadOptions): VolumeReadOptions {
  return options === NO_OPTIONS ? options : takeModes(options, VOLUME_READ_OPTIONS);
}

export function takeReadBatchOptions(
  options: VolumeReadOptions & ReadBatchOptions,
): VolumeReadOptions & ReadBatchOptions {
  return options === NO_OPTIONS ? options : takeModes(options, READ_BATCH_OPTIONS);
}

export function takeWriteOptions(options: VolumeWriteOptions): VolumeWriteOptions {
  return options === NO_OPTIONS ? options : takeModes(options, VOLUME_WRITE_OPTIONS);
}

export function takeWriteBatchOptions(
  options: VolumeWriteOptions & WriteBatchOptions,
): VolumeWriteOptions & WriteBatchOptions {
  return options === NO_OPTIONS ? options : takeModes(options, WRITE_BATCH_OPTIONS);
}

export function takeFlushOptions(options: FlushOptions): FlushOptions {
  return options === NO_OPTIONS ? options : takeModes(options, FLUSH_OPTIONS);
}

type AnyOptions = VolumeReadOptions & VolumeWriteOptions & WriteBatchOptions;

function takeModes<T extends AnyOptions>(options: T, known: readonly (keyof T & string)[]): T {
  checkOptions('options', options, known);
  const own = {} as T;
  for (const name of known) {
    const value = options[name];
    if (value !== undefined) own[name] = value;
  }
  readModes(own, known);
  const { verify, stable, checksum } = own;
  if (verify !== undefined) checkBoolean('options.verify', verify);
  if (stable !== undefined) checkOneOf('options.stable', stable, STABILITIES);
  if (checksum === undefined) return own;
  const text = 'A volume has checksums of its own: none can be asked for';
  throw ringboltError('ERR_RINGBOLT_UNSUPPORTED', text);
}

interface PassOptions {
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: PassProgress) => void) | undefined;
}

/** Of a baseline or rebaseline. */
export function takePassOptions(options: PassOptions): PassOptions {
  checkOptions('options', options, ['signal', 'onProgress']);
  const { signal, onProgress } = options;
  if (signal !== undefined) checkSignal('options.signal', signal);
  if (onProgress !== undefined && typeof onProgress !== 'function') {
    throw invalidType('options.onProgress', 'of type function', onProgress);
  }
  return { signal, onProgress };
}

/**
 * Memory as it was when it was checked, whatever its class overrides: an array becomes a plain one, of the length that it has now.
 *
 * @throws `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE`, `ERR_RINGBOLT_RELEASED`
 */
export function takeMemory(name: string, memory: unknown): Memory {
  if (leases.is(memory)) {
    leases.buffer(memory); // if it was not released
    if (leases.bytes(memory) === 0) throw invalidValue(name, 'must not be detached', memory);
    return memory;
  }
  if (!types.isUint8Array(memory)) throw invalidType(name, 'a Lease or Uint8Array', memory);
  if (trueLength(memory) === 0) {
    throw invalidValue(name, 'must not be empty or detached', memory);
  }
  const view = plainView(memory);
  if (!types.isSharedArrayBuffer(view.buffer)) return view;
  throw invalidType(name, 'memory of one thread, not a SharedArrayBuffer', memory);
}

/** Bytes; 0 of memory that was detached, or became too small, since it was taken. */
export function lengthOf(memory: Memory): number {
  return leases.is(memory) ? leases.bytes(memory) : memory.length;
}

/**
 * Of an operation that has waited: its memory, if it is still there.
 *
 * @throws `ERR_INVALID_ARG_VALUE`, `ERR_RINGBOLT_RELEASED`
 */
export function viewOf(memory: Memory): Uint8Array {
  const view = leases.is(memory) ? leases.buffer(memory) : memory;
  if (lengthOf(memory) > 0) return view;
  const reason = 'was detached or resized while it was in an operation';
  throw invalidValue('buffer', reason, memory);
}
