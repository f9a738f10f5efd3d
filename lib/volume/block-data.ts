// The data of a volume, in blocks, with their checksums. Those are computed where the target computes them: on the queues' threads.

import type { BlockChecksums } from '../device/block-checksums.js';
import type { VolumeTarget } from './synced-target.js';
import type { ChecksumName } from '../checksum/names.js';
import { blockChecksum, checksumSeed } from './format/block-checksum.js';
import type { Superblock } from './format/superblock.js';
import type { IoClass } from '../schedule/operation.js';
import type { Geometry } from './geometry.js';
import { persist } from './persist.js';
import { SpareSums } from './spare-sums.js';

/** Bytes that {@link BlockData.sums} is to be asked for at a time. */
export const PIECE_BYTES = 2 ** 20;

/** Bytes that are copied or hashed in a turn of the event loop, at most. */
export const TURN_BYTES = 2 ** 18;

/** Of some blocks, in a row. */
export interface Sums {
  readonly sums: BigUint64Array;
  /** 1 for each that could be read, whole. */
  readonly readable: Uint8Array;
}

export class BlockData {
  readonly target: VolumeTarget;
  readonly seed: bigint;
  readonly spare = new SpareSums();
  readonly #geometry: Geometry;
  readonly #algorithm: ChecksumName;

  constructor(target: VolumeTarget, geometry: Geometry, { algorithm, uuid }: Superblock) {
    this.target = target;
    this.#geometry = geometry;
    this.#algorithm = algorithm;
    this.seed = checksumSeed(algorithm, uuid);
  }

  /** The option of a transfer that begins with block `firstBlock`. `recheck`: of a lease, when it was written. */
  checksums(firstBlock: number, out: BigUint64Array, recheck = false): BlockChecksums {
    const { blockSize } = this.#geometry;
    return { algorithm: this.#algorithm, blockSize, seed: this.seed, firstBlock, out, recheck };
  }

  /** Of one block, here and now. */
  sumOf(block: number, bytes: Uint8Array): bigint {
    return blockChecksum(this.#algorithm, this.seed, block, bytes);
  }

  /** Of all blocks of `bytes`, here and now: the event loop waits for it, so there are to be {@link TURN_BYTES} at most. */
  sumsOf(first: number, bytes: Uint8Array): BigUint64Array {
    const { blockSize } = this.#geometry;
    return BigUint64Array.from({ length: Math.ceil(bytes.length / blockSize) }, (_, i) =>
      this.sumOf(first + i, bytes.subarray(i * blockSize, (i + 1) * blockSize)),
    );
  }

  /** What is there now. Never rejects: if not all can be read at once, block by block. */
  async sums(first: number, count: number, ioClass: IoClass = 'foreground'): Promise<Sums> {
    const sums = new BigUint64Array(count);
    const readable = new Uint8Array(count);
    const isWhole = await this.#tryRead(first, count, sums, ioClass);
    if (isWhole) return { sums, readable: readable.fill(1) };
    for (let i = 0; i < count; i++) {
      const one = new BigUint64Array(1);
      if (!(await this.#tryRead(first + i, 1, one, ioClass))) continue;
      sums.set(one, i);
      readable[i] = 1;
    }
    return { sums, readable };
  }

  async #tryRead(
    first: number,
    count: number,
    out: BigUint64Array,
    ioClass: IoClass,
  ): Promise<boolean> {
    const { blockSize } = this.#geometry;
    const bytes = (count - 1) * blockSize + this.#geometry.bytesOfBlock(first + count - 1);
    const into = new Uint8Array(this.padded(bytes));
    const options = { checksum: this.checksums(first, out), ioClass };
    try {
      // A full queue says nothing of the block.
      const done = await persist(() => this.target.read(first * blockSize, into, options));
      if (done > bytes) this.correctLast(first, count, into, out);
      return done >= bytes;
    } catch {
      return false;
    }
  }

  /** Where more was read than the volume has, as the data goes on behind it: of the last block only its own bytes count. */
  correctLast(first: number, count: number, bytes: Uint8Array, sums: BigUint64Array): void {
    const last = count - 1;
    const from = last * this.#geometry.blockSize;
    const own = bytes.subarray(from, from + this.#geometry.bytesOfBlock(first + last));
    sums[last] = this.sumOf(first + last, own);
  }

  /** Rule 14: as many as the target can read, where the last block has some odd number of bytes. */
  padded(bytes: number): number {
    const { blockSize } = this.target;
    return Math.ceil(bytes / blockSize) * blockSize;
  }
}
