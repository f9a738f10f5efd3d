// Options and memory of a volume's reads and writes, checked before anything begins.

import { types } from 'node:util';
import type { IoOptions, WriteBatchOptions, WriteOptions } from '../device/block-target.js';
import { readModes, READ_OPTIONS, WRITE_OPTIONS } from '../device/io-modes.js';
import { ringboltError } from '../errors.js';
import { checkSignal } from '../interrupt.js';
import { trueLength } from '../memory/intrinsics.js';
import { leases } from '../memory/lease.js';
import { checkBoolean, checkOneOf, checkOptions, invalidType } from '../validate.js';

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

/** `more`: names of options that may be there besides. */
export function checkReadOptions(options: VolumeReadOptions, more: readonly string[] = []): void {
  if (options === NO_OPTIONS) return;
  checkModes(options, [...READ_OPTIONS, 'verify', ...more]);
  if (options.verify !== undefined) checkBoolean('options.verify', options.verify);
}

export function checkWriteOptions(options: VolumeWriteOptions, more: readonly string[] = []): void {
  if (options === NO_OPTIONS) return;
  checkModes(options, [...WRITE_OPTIONS, 'stable', ...more]);
  if (options.stable !== undefined) checkOneOf('options.stable', options.stable, STABILITIES);
}

function checkModes(options: WriteBatchOptions, known: readonly string[]): void {
  readModes(options, known);
  if (options.checksum === undefined) return;
  const text = 'A volume has checksums of its own: none can be asked for';
  throw ringboltError('ERR_RINGBOLT_UNSUPPORTED', text);
}

/** Of a baseline or rebaseline. */
export function checkPassOptions(options: {
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: unknown;
}): void {
  checkOptions('options', options, ['signal', 'onProgress']);
  const { signal, onProgress } = options;
  if (signal !== undefined) checkSignal('options.signal', signal);
  if (onProgress === undefined || typeof onProgress === 'function') return;
  throw invalidType('options.onProgress', 'of type function', onProgress);
}

/** @throws `ERR_INVALID_ARG_TYPE` */
export function bytesOf(name: string, memory: unknown): number {
  if (leases.is(memory)) return memory.buffer.length;
  if (types.isUint8Array(memory)) return trueLength(memory);
  throw invalidType(name, 'a Lease or Uint8Array', memory);
}
