// The three algorithms with one face, for tests that show the same of each.

import { checksum, type ChecksumHasher, type ChecksumName } from 'ringbolt';
import type { Random } from '../support/random.js';

export interface Algorithm {
  readonly name: ChecksumName;
  readonly sum: (data: ArrayBufferView, seed?: bigint) => bigint;
  readonly hasher: (seed?: bigint) => ChecksumHasher<number | bigint>;
}

const number = (seed: bigint | undefined) => (seed === undefined ? undefined : Number(seed));

const crcs: readonly Algorithm[] = [
  {
    name: 'crc32c',
    sum: (data, seed) => BigInt(checksum.crc32c(data, number(seed))),
    hasher: (seed) => checksum.createCrc32c(number(seed)),
  },
  { name: 'crc64nvme', sum: checksum.crc64nvme, hasher: checksum.createCrc64nvme },
];

function hasXxh3(): boolean {
  try {
    checksum.xxh3(new Uint8Array(1));
    return true;
  } catch (error) {
    if ((error as { code?: string }).code === 'ERR_RINGBOLT_UNSUPPORTED') return false;
    throw error;
  }
}

/** A build may be without xxHash. */
export const HAS_XXH3 = hasXxh3();
export const NO_XXH3 = 'built without xxHash';

/** All that this build has. */
export const ALGORITHMS: readonly Algorithm[] = HAS_XXH3
  ? [...crcs, { name: 'xxh3', sum: checksum.xxh3, hasher: checksum.createXxh3 }]
  : crcs;

export function randomBytes(random: Random, bytes: number): Buffer {
  return Buffer.from(Array.from({ length: bytes }, () => random.below(256)));
}

export function randomSeed(random: Random): bigint {
  return BigInt(random.below(2 ** 32));
}
