// The formula of block checksums as its documentation has it, over CRCs of a table each: slow, short, and sharing nothing
// with the kernels.

import type { ChecksumName } from 'ringbolt';

type Crc = Exclude<ChecksumName, 'xxh3'>;

interface Definition {
  readonly ones: bigint;
  readonly table: readonly bigint[];
}

function define(bits: bigint, reflectedPolynomial: bigint): Definition {
  const table = Array.from({ length: 256 }, (_, byte) => {
    let state = BigInt(byte);
    for (let bit = 0; bit < 8; bit++) {
      state = (state & 1n) === 1n ? (state >> 1n) ^ reflectedPolynomial : state >> 1n;
    }
    return state;
  });
  return { ones: (1n << bits) - 1n, table };
}

const DEFINITIONS: Readonly<Record<Crc, Definition>> = {
  crc32c: define(32n, 0x82f63b78n),
  crc64nvme: define(64n, 0x9a6c9329ac4bc9b5n),
};

/** `seed` is the CRC of what came before. */
export function crc(algorithm: Crc, data: Uint8Array, seed = 0n): bigint {
  const { ones, table } = DEFINITIONS[algorithm];
  let state = seed ^ ones;
  for (const byte of data) state = (state >> 8n) ^ table[Number(state & 0xffn) ^ byte]!;
  return state ^ ones;
}

export interface Formula {
  readonly algorithm: Crc;
  readonly blockSize: number;
  readonly seed?: bigint;
  readonly firstBlock?: number;
}

/** One value a block of `data`. */
export function blockValues(formula: Formula, data: Uint8Array): bigint[] {
  const { algorithm, blockSize, seed = 0n, firstBlock } = formula;
  return Array.from({ length: Math.ceil(data.length / blockSize) }, (_, i) => {
    let start = seed;
    if (firstBlock !== undefined) {
      const number = Buffer.alloc(8);
      number.writeBigUInt64LE(BigInt(firstBlock) + BigInt(i));
      start = crc(algorithm, number, seed);
    }
    return crc(algorithm, data.subarray(i * blockSize, (i + 1) * blockSize), start);
  });
}

/** The indices of the bits that are set. */
export function setBits(words: Uint32Array): number[] {
  return Array.from({ length: 32 * words.length }, (_, i) => i).filter(
    (i) => ((words[i >> 5]! >>> (i % 32)) & 1) === 1,
  );
}
