// What `IoOptions.checksum` means, for a simulated disk: values handed out, compared, and numbered, transfer after transfer. Computed by
// the same functions as everywhere; that files compute the same is shown by test/device/block-checksums.test.ts.

import { checksum, RingboltError, type BlockChecksums, type ChecksumName } from 'ringbolt';

type Function64 = (data: Uint8Array, seed: bigint) => bigint;

const FUNCTIONS: Readonly<Record<ChecksumName, Function64>> = {
  crc32c: (data, seed) => BigInt(checksum.crc32c(data, Number(seed))),
  crc64nvme: checksum.crc64nvme,
  xxh3: checksum.xxh3,
};

/** Of one transfer of a call. */
export interface ChecksumPlace {
  readonly options: BlockChecksums;
  /** Of its first value. */
  readonly index: number;
  readonly firstBlock: number | undefined;
  readonly blocks: number;
}

/** Where the values of transfers of these lengths go; until they are compared, all blocks are mismatches. */
export function placeChecksums(
  options: BlockChecksums,
  transfers: readonly { readonly length: number; readonly firstBlock: number | undefined }[],
): ChecksumPlace[] {
  let index = 0;
  let next = options.firstBlock;
  const places = transfers.map(({ length, firstBlock = next }) => {
    const blocks = Math.ceil(length / options.blockSize);
    const place = { options, index, firstBlock, blocks };
    index += blocks;
    next = firstBlock === undefined ? undefined : firstBlock + blocks;
    return place;
  });
  const { mismatches } = options;
  for (let i = 0; i < index && mismatches !== undefined; i++) mismatches[i >> 5]! |= 1 << (i % 32);
  return places;
}

/** Hands out and compares the values of `data`; returns how many are not as expected. */
export function useChecksums(
  { options, index, firstBlock }: ChecksumPlace,
  data: Uint8Array,
): number {
  const { algorithm, blockSize, seed = 0n, out, expected, mismatches } = options;
  const f = FUNCTIONS[algorithm];
  const starts = startsOf(algorithm, seed);
  let wrong = 0;
  for (let block = 0; block * blockSize < data.length; block++) {
    const start = firstBlock === undefined ? seed : starts.of(firstBlock + block);
    const value = f(data.subarray(block * blockSize, (block + 1) * blockSize), start);
    const at = index + block;
    if (out !== undefined) out[at] = value;
    if (expected === undefined || expected[at] !== value) wrong++;
    else if (mismatches !== undefined) mismatches[at >> 5]! &= ~(1 << (at % 32));
  }
  return expected === undefined ? 0 : wrong;
}

/** @throws `ERR_RINGBOLT_CORRUPT` if a write is not what is expected of it */
export function checkWrite(place: ChecksumPlace, data: Uint8Array): void {
  const wrong = useChecksums(place, data);
  if (wrong === 0) return;
  throw new RingboltError('ERR_RINGBOLT_CORRUPT', `${wrong} blocks are not as expected`);
}

/** @throws `ERR_RINGBOLT_CORRUPT` if a lease is not what it was when it was hashed */
export function recheckWrite(now: Uint8Array, hashed: Uint8Array): void {
  if (Buffer.compare(now, hashed) === 0) return;
  throw new RingboltError('ERR_RINGBOLT_CORRUPT', 'The lease was changed while it was written');
}

/** What blocks' checksums begin with: of the same few blocks time and again. */
class Starts {
  readonly algorithm: ChecksumName;
  readonly seed: bigint;
  readonly #ofBlock: bigint[] = [];

  constructor(algorithm: ChecksumName, seed: bigint) {
    this.algorithm = algorithm;
    this.seed = seed;
  }

  of(block: number): bigint {
    return (this.#ofBlock[block] ??= FUNCTIONS[this.algorithm](numberOf(block), this.seed));
  }
}

let last = new Starts('crc64nvme', 0n);

function startsOf(algorithm: ChecksumName, seed: bigint): Starts {
  if (last.algorithm !== algorithm || last.seed !== seed) last = new Starts(algorithm, seed);
  return last;
}

function numberOf(block: number): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(block), true);
  return bytes;
}
