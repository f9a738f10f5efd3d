// The checksum in a tag: of uuid, block number and data, so that a block in another's place, or of another volume, does not verify.
//
//   f(data; f(number as 8 bytes, little-endian; f(uuid)))          f(bytes; seed), the seed being 0 where there is none
//
// It is what `IoOptions.checksum` computes on the queues' threads, with f(uuid) for its seed and the number of the first block; this
// is for single blocks. Of CRC-32C the high 32 bits are 0.

import { crc32c, crc64nvme, xxh3 } from '../../checksum/functions.js';
import type { ChecksumName } from '../../checksum/names.js';

type Function64 = (data: Uint8Array, seed?: bigint) => bigint;

const FUNCTIONS: Readonly<Record<ChecksumName, Function64>> = {
  crc32c: (data, seed = 0n) => BigInt(crc32c(data, Number(seed))),
  crc64nvme,
  xxh3,
};

/** What `IoOptions.checksum.seed` is to be for a volume. */
export function checksumSeed(algorithm: ChecksumName, uuid: Uint8Array): bigint {
  return FUNCTIONS[algorithm](uuid);
}

/** Of one block after the other. */
const number = new Uint8Array(8);
const numberView = new DataView(number.buffer);

export function blockChecksum(
  algorithm: ChecksumName,
  seed: bigint,
  block: number,
  data: Uint8Array,
): bigint {
  numberView.setUint32(0, block, true);
  numberView.setUint32(4, Math.floor(block / 2 ** 32), true);
  const f = FUNCTIONS[algorithm];
  return f(data, f(number, seed));
}
