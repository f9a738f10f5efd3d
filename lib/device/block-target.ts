// What can be read and written in blocks: a file, a device, later a volume.

import type { Readable, Writable } from 'node:stream';
import type { Lease } from '../memory/lease.js';
import type { BlockChecksums } from './block-checksums.js';
import type { WaitOptions } from '../interrupt.js';
import type { IoClass } from '../schedule/operation.js';
import type { StreamOptions, WritableOptions } from './streams/options.js';

export interface IoOptions {
  /** Background operations wait while foreground ones do. Default `'foreground'`. */
  readonly ioClass?: IoClass;
  /**
   * Ends the operation early, with an `AbortError`. What still waits goes at once. Of what the kernel has, a read rejects at
   * once, but its lease stays in use until the kernel lets go of it; a write settles with its real outcome, which
   * may be success.
   */
  readonly signal?: AbortSignal;
  /** Does the same after so many milliseconds, 1 to 2^31 - 1, with `ERR_RINGBOLT_TIMEOUT`. Default: none. */
  readonly timeoutMs?: number;
  /** Reads and writes: checksums of their blocks. */
  readonly checksum?: BlockChecksums;
}

/** A flush has no blocks. */
export type FlushOptions = Omit<IoOptions, 'checksum'>;

export interface WriteOptions extends IoOptions {
  /** Resolves only when the data is on stable storage (RWF_DSYNC). Default false. */
  readonly durable?: boolean;
}

/** One part of a batch. */
export interface Transfer {
  /** In the file, bytes. */
  readonly offset: number;
  /** A lease goes to the kernel as it is; any other Uint8Array is copied. The whole of it is meant. */
  readonly buffer: Lease | Uint8Array;
  /** With checksums: the number of its first block, where it does not follow the transfer before it. */
  readonly firstBlock?: number;
}

/** What becomes of a batch when one of its operations fails. */
export type BatchErrors = 'wait' | 'abort' | 'collect';

export interface BatchOptions {
  /**
   * `'wait'` (default): all are done all the same, then the batch rejects with the error of the first that failed, in the order
   * given. `'abort'`: the others end early, as by a signal, and the batch rejects with that error once no write can come any more.
   * `'collect'`: the batch resolves, and `errors` says which failed.
   */
  readonly onError?: BatchErrors;
}

export interface ReadBatchOptions extends IoOptions, BatchOptions {}
export interface WriteBatchOptions extends WriteOptions, BatchOptions {}

export interface BatchResult {
  /** Sum of `transferred`. */
  readonly bytesTotal: number;
  /** Bytes of each transfer, in the order given. Reads are short only at the end of the file. */
  readonly transferred: Float64Array;
  /** By index, with `onError: 'collect'`; otherwise empty. What a failed one had done is in its error's `bytesDone`. */
  readonly errors: ReadonlyMap<number, Error>;
}

/**
 * Offsets and lengths are bytes and multiples of {@link blockSize}. Concurrent operations are not ordered. Every failure, wrong
 * arguments included, arrives as a rejection. Memory that is not a lease must be left alone until the
 * promise settles.
 */
export interface BlockTarget {
  readonly path: string;
  /** Bytes. */
  readonly size: number;
  /** Offsets and lengths must be multiples of it; 1 for a file opened with `direct: false`. */
  readonly blockSize: number;
  /** Resolves to the bytes read: fewer than asked for only at the end of the file. */
  read(offset: number, into: Lease | Uint8Array, options?: IoOptions): Promise<number>;
  /** Resolves to the bytes written, always all; rejects otherwise, with `bytesDone`. */
  write(offset: number, from: Lease | Uint8Array, options?: WriteOptions): Promise<number>;
  readBatch(ops: readonly Transfer[], options?: ReadBatchOptions): Promise<BatchResult>;
  writeBatch(ops: readonly Transfer[], options?: WriteBatchOptions): Promise<BatchResult>;
  /** Makes durable every write that had resolved before the call. */
  flush(options?: FlushOptions): Promise<void>;
  /** Reads a range of any alignment in order. Its chunks own their memory. */
  readable(options?: StreamOptions): Readable;
  /** Writes from any place on, in order. */
  writable(options?: WritableOptions): Writable;
  /** Reads a range in order, without a copy: whoever iterates releases each lease. */
  leases(options?: StreamOptions): AsyncIterable<Lease>;
  /** Gives up the contents of a range: what is read there afterwards is undefined until it is written again. */
  discard(offset: number, length: number, options?: WaitOptions): Promise<void>;
  /** Makes a range read as zeros, without sending any where the target can do without. */
  writeZeroes(offset: number, length: number, options?: WaitOptions): Promise<void>;
  close(): Promise<void>;
}
