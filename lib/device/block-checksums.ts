// Checksums of the blocks of a transfer: what a user may ask for, and what is made of that once it is checked.
//
// Options are read once and by themselves (ChecksumRequest.read), because a getter may do anything; the arrays' lengths are
// compared with what they must hold after that, when no code but ours runs any more. What happens to the arrays later is
// seen by native code, in the moment in which it reads or writes them.

import { checkXxh3 } from '../checksum/block.js';
import { CHECKSUM_NAMES, type ChecksumName } from '../checksum/names.js';
import { ringboltError } from '../errors.js';
import { memoryOf, trueLength } from '../memory/intrinsics.js';
import {
  ChecksumAlgorithm,
  FLAG_ALGORITHM_SHIFT,
  FLAG_COMPARE,
  FLAG_NUMBERED,
  FLAG_RECHECK,
  LAYOUT,
} from '../native.js';
import type { ChecksumPlan } from '../schedule/operation.js';
import { leastCommonMultiple } from '../schedule/split.js';
import {
  checkBoolean,
  checkInteger,
  checkOneOf,
  checkOptions,
  invalidType,
  invalidValue,
  outOfRange,
} from '../validate.js';
import { types } from 'node:util';

/**
 * Checksums of the blocks of a transfer, computed where the event loop does not wait for it: after a read, or before a
 * write, one 64-bit value a block. Block `i` of a transfer is its bytes from `i * blockSize` on; its last block may be
 * shorter, at the end of a file or of the memory, and is hashed as far as it goes. With `f(data, seed)` for the algorithm,
 * its value is
 *
 *     f(block, firstBlock === undefined ? seed : f(firstBlock + i as 8 bytes, little-endian; seed))
 *
 * In a batch, the values of one transfer come after those of the one before it.
 *
 * Leave the arrays alone until the promise settles. One that is detached or shrinks meanwhile makes the operation reject
 * with `ERR_INVALID_ARG_VALUE`; a read may have happened by then, and a write too, if it is `out` that is gone.
 */
export interface BlockChecksums {
  readonly algorithm: ChecksumName;
  /**
   * Bytes, 1 to 2^31 - 1; the file's own block size does not matter. A lease may have 4096 blocks; memory that is copied
   * any number, but larger blocks than a slab or 256 KiB go only where one is enough.
   */
  readonly blockSize: number;
  /** Below 2^64; for CRC-32C below 2^32. Default 0. */
  readonly seed?: bigint;
  /**
   * The number of the transfer's first block, hashed in so that a block in another's place does not go unnoticed. In a batch:
   * of the first transfer's; numbers go on from each to the next, unless that has a `firstBlock` of its own.
   */
  readonly firstBlock?: number;
  /** Where the values go: of the blocks that were read, or of those that were written. As long as there are blocks, or longer. */
  readonly out?: BigUint64Array;
  /**
   * What the values should be. A read resolves all the same, and `mismatches` says for which blocks they are not. A block is
   * not written unless its value is the expected one: a write rejects with `ERR_RINGBOLT_CORRUPT`, nothing of a lease
   * being written then, and of copied memory nothing from some place before the first mismatch on.
   */
  readonly expected?: BigUint64Array;
  /**
   * Bit `i % 32` of word `i >> 5` says that block `i` is not what was expected, or was not read, for the file ended before it or
   * the read failed. All words up to the last block's are overwritten. Reads must have it if they have `expected`.
   */
  readonly mismatches?: Uint32Array;
  /**
   * Of a write: a lease is hashed once more when it is written, as it must not be changed meanwhile: what is on disk would not be what
   * was hashed. If it was, the write rejects with `ERR_RINGBOLT_CORRUPT` and `bytesDone`, the length; `out` has the values from
   * before. Other memory is hashed while it is copied, and cannot differ. Default false.
   */
  readonly recheck?: boolean;
}

/** Where the blocks of one transfer are among those of a plan. */
export interface BlockPlace {
  readonly plan: ChecksumPlan;
  /** Index of the first one's value. */
  readonly valueIndex: number;
  /** 0 if they have no numbers. */
  readonly blockNumber: number;
}

/** A transfer of a batch, or the only one. */
export interface Extent {
  /** Not a lease. */
  readonly copied: boolean;
  readonly length: number;
  readonly firstBlock: number | undefined;
}

/** What limits the pieces of copied memory, bytes. */
export interface Cutting {
  readonly fileBlockSize: number;
  /** Of a piece, at most. */
  readonly maxBytes: number;
  /** The same, unless whole blocks are larger. */
  readonly maxIoBytes: number;
}

const PROPERTIES = [
  'algorithm',
  'blockSize',
  'seed',
  'firstBlock',
  'out',
  'expected',
  'mismatches',
  'recheck',
] as const;
const MAX_BLOCK_SIZE = 2 ** 31 - 1;
const OPTION = 'options.checksum';

/** {@link BlockChecksums} that were read and checked, but for what depends on the transfer. */
export class ChecksumRequest {
  readonly blockSize: number;
  readonly #algorithm: ChecksumName;
  readonly #seed: bigint;
  readonly #firstBlock: number | undefined;
  readonly #out: BigUint64Array | undefined;
  readonly #expected: BigUint64Array | undefined;
  readonly #mismatches: Uint32Array | undefined;
  readonly #recheck: boolean;

  private constructor(from: BlockChecksums) {
    const { algorithm, blockSize, seed = 0n, firstBlock, out, expected, mismatches } = from;
    const { recheck = false } = from;
    checkBoolean(`${OPTION}.recheck`, recheck);
    this.#algorithm = checkAlgorithm(`${OPTION}.algorithm`, algorithm);
    checkInteger(`${OPTION}.blockSize`, blockSize, 1, MAX_BLOCK_SIZE);
    this.#seed = checkSeed(`${OPTION}.seed`, seed, algorithm);
    if (firstBlock !== undefined) checkInteger(`${OPTION}.firstBlock`, firstBlock, 0);
    if (out === undefined && expected === undefined) {
      throw invalidValue(OPTION, "must have 'out', 'expected' or both", from);
    }
    if (out !== undefined) checkArray('out', out, types.isBigUint64Array, 'a BigUint64Array');
    if (expected !== undefined) {
      checkArray('expected', expected, types.isBigUint64Array, 'a BigUint64Array');
    }
    if (mismatches !== undefined) {
      checkArray('mismatches', mismatches, types.isUint32Array, 'a Uint32Array');
      if (expected === undefined) {
        throw invalidValue(`${OPTION}.mismatches`, "goes with 'expected' only", mismatches);
      }
    }
    this.blockSize = blockSize;
    this.#firstBlock = firstBlock;
    this.#out = out;
    this.#expected = expected;
    this.#mismatches = mismatches;
    this.#recheck = recheck;
  }

  /** @throws `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE`, `ERR_OUT_OF_RANGE`, `ERR_RINGBOLT_UNSUPPORTED` */
  static read(value: unknown): ChecksumRequest {
    checkOptions(OPTION, value, PROPERTIES);
    return new ChecksumRequest(value as BlockChecksums);
  }

  /**
   * Where the blocks of each transfer are among those of all, which lie one after the other.
   *
   * @throws as {@link read}, for what does not go with these transfers
   */
  place(write: boolean, transfers: readonly Extent[], cutting: Cutting): readonly BlockPlace[] {
    const [first] = transfers;
    for (const { copied, length } of transfers) {
      if (copied) pieceBytesFor(length, cutting, this.blockSize);
      else checkBlockCount(length, this.blockSize);
    }
    return transfers.length === 1
      ? [this.#placeOne(write, first!)]
      : this.#placeMany(write, transfers);
  }

  #placeOne(write: boolean, { length, firstBlock }: Extent): BlockPlace {
    const number = firstBlock ?? this.#firstBlock;
    const blocks = Math.ceil(length / this.blockSize);
    checkNumbers(number ?? 0, blocks);
    const plan = this.#plan(write, number !== undefined, blocks);
    return { plan, valueIndex: 0, blockNumber: number ?? 0 };
  }

  #placeMany(write: boolean, transfers: readonly Extent[]): readonly BlockPlace[] {
    let number = transfers[0]!.firstBlock ?? this.#firstBlock;
    const numbered = number !== undefined;
    let valueIndex = 0;
    const starts: { valueIndex: number; blockNumber: number }[] = [];
    for (const [index, { length, firstBlock }] of transfers.entries()) {
      if (firstBlock !== undefined && !numbered) {
        const reason = 'goes with a number for the first transfer, too';
        throw invalidValue(`ops[${index}].firstBlock`, reason, firstBlock);
      }
      number = firstBlock ?? number ?? 0;
      starts.push({ valueIndex, blockNumber: number });
      const blocks = Math.ceil(length / this.blockSize);
      if (numbered) checkNumbers(number, blocks);
      number += blocks; // one past the last safe integer at most, which is exact too
      valueIndex += blocks;
    }
    const plan = this.#plan(write, numbered, valueIndex);
    return starts.map((start) => ({ plan, ...start }));
  }

  #plan(write: boolean, numbered: boolean, blocks: number): ChecksumPlan {
    const compare = this.#expected !== undefined;
    if (!write && compare && this.#mismatches === undefined) {
      throw invalidValue(OPTION, "must have 'mismatches' beside 'expected'", undefined);
    }
    const words = Math.ceil(blocks / 32);
    checkRoom('out', this.#out, blocks);
    checkRoom('expected', this.#expected, blocks);
    checkRoom('mismatches', this.#mismatches, words);
    // A write tells which blocks they are whether or not it was given an array.
    const mismatches = compare ? (this.#mismatches ?? new Uint32Array(words)) : null;
    return makePlan(
      { algorithm: this.#algorithm, seed: this.#seed, blockSize: this.blockSize },
      { numbered, blocks, recheck: write && this.#recheck },
      { out: this.#out ?? null, expected: this.#expected ?? null, mismatches },
    );
  }
}

function checkNumbers(first: number, blocks: number): void {
  if (first <= Number.MAX_SAFE_INTEGER - blocks + 1) return;
  throw outOfRange(`${OPTION}.firstBlock`, 'such that all blocks have safe integers', first);
}

function makePlan(
  formula: { algorithm: ChecksumName; seed: bigint; blockSize: number },
  { numbered, blocks, recheck }: { numbered: boolean; blocks: number; recheck: boolean },
  { out, expected, mismatches }: Pick<ChecksumPlan, 'out' | 'expected' | 'mismatches'>,
): ChecksumPlan {
  const { algorithm, seed, blockSize } = formula;
  const small = seed === 0n; // the usual one, without the cost of arithmetic on it
  return {
    flags:
      (ChecksumAlgorithm[algorithm] << FLAG_ALGORITHM_SHIFT) |
      (numbered ? FLAG_NUMBERED : 0) |
      (expected === null ? 0 : FLAG_COMPARE) |
      (recheck ? FLAG_RECHECK : 0),
    // XXH3 keeps more state than a copy could carry along.
    copiesInOnePass: algorithm !== 'xxh3',
    blockSize,
    seedLow: small ? 0 : Number(seed & 0xffff_ffffn),
    seedHigh: small ? 0 : Number(seed >> 32n),
    out,
    expected,
    mismatches,
    blocks,
  };
}

/** A plan for one value of all the memory there is. */
export function planWhole(algorithm: ChecksumName, seed: bigint, length: number): ChecksumPlan {
  const arrays = { out: new BigUint64Array(1), expected: null, mismatches: null };
  const blocks = { numbered: false, blocks: 1, recheck: false };
  return makePlan({ algorithm, seed, blockSize: length }, blocks, arrays);
}

export function checkAlgorithm(name: string, value: unknown): ChecksumName {
  checkOneOf(name, value, CHECKSUM_NAMES);
  if (value === 'xxh3') checkXxh3();
  return value;
}

export function checkSeed(name: string, value: unknown, algorithm: ChecksumName): bigint {
  if (typeof value !== 'bigint') throw invalidType(name, 'of type bigint', value);
  if (value === 0n) return value;
  const bits = algorithm === 'crc32c' ? 32n : 64n;
  if (value < 0n || value >> bits !== 0n) {
    throw outOfRange(name, `>= 0n and < 2n ** ${bits}n for ${algorithm}`, value);
  }
  return value;
}

function checkArray(
  property: string,
  value: unknown,
  is: (value: unknown) => boolean,
  expected: string,
): void {
  const name = `${OPTION}.${property}`;
  if (!is(value)) throw invalidType(name, expected, value);
  if (types.isSharedArrayBuffer(memoryOf(value as BigUint64Array | Uint32Array))) {
    throw invalidType(name, 'memory of one thread, not a SharedArrayBuffer', value);
  }
}

function checkRoom(
  property: string,
  array: BigUint64Array | Uint32Array | undefined,
  least: number,
): void {
  if (array === undefined || trueLength(array) >= least) return;
  const expected = `an array of at least ${least} elements`;
  throw outOfRange(`${OPTION}.${property}.length`, expected, trueLength(array));
}

/** @throws `ERR_OUT_OF_RANGE` if that is more than one operation may have */
function checkBlockCount(length: number, blockSize: number): void {
  const blocks = Math.ceil(length / blockSize);
  if (blocks <= LAYOUT.checksumBlocks) return;
  const least = Math.ceil(length / LAYOUT.checksumBlocks);
  const expected = `>= ${least} for a lease of ${length} bytes, of at most ${LAYOUT.checksumBlocks} blocks`;
  throw outOfRange(`${OPTION}.blockSize`, expected, blockSize);
}

/**
 * Into pieces of how many bytes copied memory is cut, so that each has whole blocks, of the file and of the checksums, and
 * not more of them than an operation may have.
 *
 * @throws `ERR_RINGBOLT_UNSUPPORTED` if there is no such size
 */
export function pieceBytesFor(
  length: number,
  { fileBlockSize, maxBytes, maxIoBytes }: Cutting,
  checksumBlockSize: number | undefined,
): number {
  if (checksumBlockSize === undefined) {
    return wholeBlocks(Math.min(maxBytes, maxIoBytes), fileBlockSize);
  }
  const limit = Math.min(maxBytes, checksumBlockSize * LAYOUT.checksumBlocks);
  const wanted = Math.min(limit, maxIoBytes);
  if (length <= wanted) return wanted - (wanted % fileBlockSize);
  const common = leastCommonMultiple(fileBlockSize, checksumBlockSize);
  if (common <= limit) return wholeBlocks(wanted, common);
  if (length <= limit) return limit - (limit % fileBlockSize);
  throw ringboltError(
    'ERR_RINGBOLT_UNSUPPORTED',
    `${length} bytes cannot be copied in pieces of whole blocks of ${checksumBlockSize} bytes for checksums and ` +
      `${fileBlockSize} for the file: a piece has at most ${limit} bytes. Use a lease`,
  );
}

/** As much as `bytes` hold of them, and at least one. */
function wholeBlocks(bytes: number, blockSize: number): number {
  return Math.max(blockSize, bytes - (bytes % blockSize));
}

/** Nothing, for parts without checksums. */
export function noPlaces(transfers: readonly Extent[]): readonly undefined[] {
  const index = transfers.findIndex(({ firstBlock }) => firstBlock !== undefined);
  if (index < 0) return NO_PLACES;
  const reason = "goes with 'options.checksum' only";
  throw invalidValue(`ops[${index}].firstBlock`, reason, transfers[index]?.firstBlock);
}

const NO_PLACES: readonly undefined[] = [];

/** Until it is verified, every block counts as a mismatch. */
export function beginMismatches({ mismatches, blocks }: ChecksumPlan): void {
  if (mismatches === null) return;
  const whole = blocks >>> 5;
  for (let word = 0; word < whole; word++) mismatches[word] = 0xffff_ffff;
  if (blocks % 32 !== 0) mismatches[whole] = 2 ** (blocks % 32) - 1;
}
