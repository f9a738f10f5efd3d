// The options of reads, writes and flushes: which there are, and what they mean once they are checked.

import { FLAG_DURABLE } from '../native.js';
import { checkSignal, checkTimeout } from '../interrupt.js';
import { IO_CLASSES } from '../schedule/operation.js';
import { checkBoolean, checkOneOf, checkOptions } from '../validate.js';
import { ChecksumRequest } from './block-checksums.js';
import type { BatchErrors, WriteBatchOptions } from './block-target.js';

/** Options as they were when they were checked. */
export interface Modes {
  /** Index into IO_CLASSES. */
  readonly ioClass: number;
  /** Of op slots. */
  readonly flags: number;
  readonly signal: AbortSignal | undefined;
  readonly timeoutMs: number | undefined;
  readonly checksums: ChecksumRequest | undefined;
  readonly onError: BatchErrors;
}

const DEFAULT_MODES: Modes = {
  ioClass: 0,
  flags: 0,
  signal: undefined,
  timeoutMs: undefined,
  checksums: undefined,
  onError: 'wait',
};

export const FLUSH_OPTIONS = ['ioClass', 'signal', 'timeoutMs'] as const;
export const READ_OPTIONS = [...FLUSH_OPTIONS, 'checksum'] as const;
export const WRITE_OPTIONS = [...READ_OPTIONS, 'durable'] as const;
/** Of batches besides. */
export const BATCH_OPTIONS = ['onError'] as const;
const ON_ERROR = ['wait', 'abort', 'collect'] as const;

/** Reads each option once. */
export function readModes(options: WriteBatchOptions | undefined, known: readonly string[]): Modes {
  if (options === undefined) return DEFAULT_MODES;
  checkOptions('options', options, known);
  const { ioClass = 'foreground', durable = false, signal, timeoutMs, checksum } = options;
  const { onError = 'wait' } = options;
  checkOneOf('options.ioClass', ioClass, IO_CLASSES);
  checkBoolean('options.durable', durable);
  checkOneOf('options.onError', onError, ON_ERROR);
  if (signal !== undefined) checkSignal('options.signal', signal);
  if (timeoutMs !== undefined) checkTimeout('options.timeoutMs', timeoutMs);
  return {
    ioClass: IO_CLASSES.indexOf(ioClass),
    flags: durable ? FLAG_DURABLE : 0,
    signal,
    timeoutMs,
    checksums: checksum === undefined ? undefined : ChecksumRequest.read(checksum),
    onError,
  };
}
