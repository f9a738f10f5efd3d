// Options of streams: their defaults, their checks, and what they mean for a target and its pool.

import { ringboltError } from '../../errors.js';
import { checkSignal } from '../../interrupt.js';
import { IO_CLASSES, type IoClass } from '../../schedule/operation.js';
import {
  checkBoolean,
  checkInteger,
  checkOneOf,
  checkOptions,
  outOfRange,
} from '../../validate.js';
import type { StreamSource } from './source.js';

export interface StreamOptions {
  /** The first byte, in the file; need not be aligned. Default 0. */
  readonly start?: number;
  /**
   * The byte behind the last one: unlike the `end` of `fs.createReadStream`, it is not part of the stream. Reading ends
   * earlier where the file does; writing beyond it is an error. Default: the end of the file, or none when writing.
   */
  readonly end?: number;
  /**
   * Bytes read ahead, or written and not yet done: in flight, ready, and not yet consumed. A writable buffers as many again
   * before `write()` returns false. At least `chunkBytes`. Default 4 MiB.
   */
  readonly highWaterMark?: number;
  /**
   * Bytes of each read or write, at most the largest class of the pool; rounded down to whole blocks. Default 256 KiB, or
   * less where the pool or `highWaterMark` is smaller.
   */
  readonly chunkBytes?: number;
  /** Default `'foreground'`. */
  readonly ioClass?: IoClass;
  /** Ends the stream with an `AbortError`. */
  readonly signal?: AbortSignal;
}

export interface WritableOptions extends StreamOptions {
  /** Flush the file before `'finish'`: then all of the stream is on stable storage. Default false. */
  readonly flush?: boolean;
  /**
   * What to do at the end of the stream if that lies inside a block of a direct file and no data follows: true fills the block
   * with zeros, so that the file becomes longer than the stream; false (default) fails with `ERR_RINGBOLT_MISALIGNED`.
   */
  readonly padEnd?: boolean;
}

/** Options with every default filled in, and fitting the target. */
export interface StreamPlan {
  readonly start: number;
  readonly end: number;
  readonly highWaterMark: number;
  /** A multiple of the target's blocks. */
  readonly chunkBytes: number;
  readonly ioClass: IoClass;
  readonly signal: AbortSignal | undefined;
}

export interface WritablePlan extends StreamPlan {
  readonly flush: boolean;
  readonly padEnd: boolean;
}

const STREAM_OPTIONS = ['start', 'end', 'highWaterMark', 'chunkBytes', 'ioClass', 'signal'];
const WRITABLE_OPTIONS = [...STREAM_OPTIONS, 'flush', 'padEnd'];
const DEFAULT_HIGH_WATER_MARK = 4 * 2 ** 20;
const DEFAULT_CHUNK_BYTES = 256 * 1024;

/** @throws TypeError, RangeError with Node's codes; `ERR_RINGBOLT_UNSUPPORTED` if no slab of the pool holds a block */
export function resolveStreamOptions(
  source: StreamSource,
  options: StreamOptions,
  known: readonly string[] = STREAM_OPTIONS,
): StreamPlan {
  checkOptions('options', options, known);
  const { start = 0, end = Number.MAX_SAFE_INTEGER, ioClass = 'foreground', signal } = options;
  checkInteger('options.start', start, 0);
  checkInteger('options.end', end, start);
  checkOneOf('options.ioClass', ioClass, IO_CLASSES);
  if (signal !== undefined) checkSignal('options.signal', signal);
  return { start, end, ioClass, signal, ...resolveSizes(source, options) };
}

/** @throws what {@link resolveStreamOptions} does */
export function resolveWritableOptions(
  source: StreamSource,
  options: WritableOptions,
): WritablePlan {
  const plan = resolveStreamOptions(source, options, WRITABLE_OPTIONS);
  const { flush = false, padEnd = false } = options;
  checkBoolean('options.flush', flush);
  checkBoolean('options.padEnd', padEnd);
  return { ...plan, flush, padEnd };
}

function resolveSizes(
  { target, pool }: StreamSource,
  options: StreamOptions,
): Pick<StreamPlan, 'highWaterMark' | 'chunkBytes'> {
  const { blockSize, path } = target;
  const { maxSlabBytes: maxBytes } = pool;
  if (blockSize > maxBytes) {
    throw ringboltError(
      'ERR_RINGBOLT_UNSUPPORTED',
      `The pool has no slab of ${blockSize} bytes, a block of this file`,
      { path },
    );
  }
  const { highWaterMark: givenMark, chunkBytes: givenChunk } = options;
  if (givenMark !== undefined) checkInteger('options.highWaterMark', givenMark, blockSize);
  if (givenChunk !== undefined) {
    checkInteger('options.chunkBytes', givenChunk, blockSize, maxBytes);
  }
  const mark = givenMark ?? Math.max(DEFAULT_HIGH_WATER_MARK, 2 * (givenChunk ?? 0));
  const chunk = givenChunk ?? Math.max(Math.min(DEFAULT_CHUNK_BYTES, maxBytes, mark), blockSize);
  const chunkBytes = chunk - (chunk % blockSize);
  if (mark < chunkBytes) {
    throw outOfRange('options.highWaterMark', `>= options.chunkBytes, ${chunkBytes}`, mark);
  }
  return { highWaterMark: mark, chunkBytes };
}
