// The public `checksum`: what there is, with its documentation.

import { combineCrc32c, combineCrc64nvme, crc32c, crc64nvme, xxh3 } from './functions.js';
import { createCrc32c, createCrc64nvme, createXxh3, type ChecksumHasher } from './hashers.js';
import type { SimdLevel } from './names.js';
import { SIMD } from './simd.js';

/**
 * Checksums at the speed of the machine, in any thread, without an engine.
 *
 * Data is any Buffer, TypedArray or DataView; of a view that tracks the length of a resizable buffer, what it shows at
 * the time of the call. It may lie in a SharedArrayBuffer: if another thread writes to it meanwhile, the result is the
 * checksum of no state it ever had, and nothing worse. The memory of leases is as good as any.
 *
 * All of it is computed at once, on the calling thread: 1 MiB takes some twenty to fifty microseconds, so give what is
 * larger than a few MiB to a hasher, in parts, or the event loop waits.
 */
export interface Checksum {
  /**
   * CRC-32C (Castagnoli; iSCSI, ext4, NVMe end-to-end), from 0 to 2^32 - 1. Detects all errors of up to 32 bits in a row.
   *
   * `crc32c(b, crc32c(a))` is that of `a` followed by `b`.
   *
   * @param seed the CRC of what came before; default 0
   * @throws `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`
   * @throws `ERR_INVALID_ARG_VALUE` if the memory was detached or resized away
   */
  readonly crc32c: (data: ArrayBufferView, seed?: number) => number;
  /**
   * CRC-64/NVME, from 0n to 2n ** 64n - 1n. Otherwise as {@link Checksum.crc32c}.
   *
   * @param seed the CRC of what came before; default 0n
   * @throws `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`
   * @throws `ERR_INVALID_ARG_VALUE` if the memory was detached or resized away
   */
  readonly crc64nvme: (data: ArrayBufferView, seed?: bigint) => bigint;
  /**
   * XXH3 with 64 bits, from 0n to 2n ** 64n - 1n: a hash, for tables and deduplication. Not proof against malice.
   *
   * @param seed any number; not the hash of what came before, for which there is {@link Checksum.createXxh3}. Default 0n
   * @throws `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`
   * @throws `ERR_INVALID_ARG_VALUE` if the memory was detached or resized away
   * @throws `ERR_RINGBOLT_UNSUPPORTED` if ringbolt was built without xxHash
   */
  readonly xxh3: (data: ArrayBufferView, seed?: bigint) => bigint;

  /**
   * For data that comes in parts.
   *
   * @param seed the CRC of what came before; default 0
   * @throws `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`
   */
  readonly createCrc32c: (seed?: number) => ChecksumHasher<number>;
  /**
   * For data that comes in parts.
   *
   * @param seed the CRC of what came before; default 0n
   * @throws `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`
   */
  readonly createCrc64nvme: (seed?: bigint) => ChecksumHasher<bigint>;
  /**
   * For data that comes in parts: the result is that of {@link Checksum.xxh3} over all of it.
   *
   * @param seed any number; default 0n
   * @throws `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`
   * @throws `ERR_RINGBOLT_UNSUPPORTED` if ringbolt was built without xxHash
   */
  readonly createXxh3: (seed?: bigint) => ChecksumHasher<bigint>;

  /**
   * The CRC-32C of `a` followed by `b`, from the CRC of each (from seed 0) and the length of `b` in bytes. It does not
   * need the data, so parts may be computed in any order, on any thread. A few hundred nanoseconds, whatever the length.
   *
   * @throws `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`
   */
  readonly combineCrc32c: (a: number, b: number, bytesB: number) => number;
  /**
   * As {@link Checksum.combineCrc32c}, for CRC-64/NVME.
   *
   * @throws `ERR_INVALID_ARG_TYPE`, `ERR_OUT_OF_RANGE`
   */
  readonly combineCrc64nvme: (a: bigint, b: bigint, bytesB: number) => bigint;

  /** The instructions that compute the CRCs in this process; `engine.info.simd` says why no better ones. */
  readonly level: () => SimdLevel;
}

export const checksum: Checksum = Object.freeze({
  crc32c,
  crc64nvme,
  xxh3,
  createCrc32c,
  createCrc64nvme,
  createXxh3,
  combineCrc32c,
  combineCrc64nvme,
  level: () => SIMD.level,
});
