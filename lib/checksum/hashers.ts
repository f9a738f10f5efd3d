// Checksums of what comes in parts. A CRC needs no more state than its own value; XXH3's are 344 bytes, which native code
// understands and JavaScript holds.

import { NativeChecksum } from '../native.js';
import { checkBigInt, checkInteger } from '../validate.js';
import { checkEmpty, checkXxh3, digestXxh3, newXxh3State, STATE_BYTES_TOTAL } from './block.js';
import { crc32c, crc64nvme, MAX_32, MAX_64 } from './functions.js';
import type { ChecksumName } from './names.js';

/** Computes one checksum over any number of parts; made by `checksum.createCrc32c()` and its like. */
export interface ChecksumHasher<Digest extends number | bigint> {
  readonly algorithm: ChecksumName;
  /**
   * Takes the next part, at once: the memory may be used for something else afterwards.
   *
   * @throws `ERR_INVALID_ARG_TYPE` if it is no Buffer, TypedArray or DataView
   * @throws `ERR_INVALID_ARG_VALUE` if its memory was detached or resized away
   */
  update(data: ArrayBufferView): this;
  /** The checksum of all parts so far. It ends nothing: more may follow, and it may be asked for again. */
  digest(): Digest;
  /** Begins anew, with the same seed. For many short inputs cheaper than a new hasher each. */
  reset(): this;
}

class Crc32cHasher implements ChecksumHasher<number> {
  readonly algorithm = 'crc32c';
  readonly #seed: number;
  #crc: number;

  constructor(seed: number) {
    this.#seed = this.#crc = seed;
  }

  update(data: ArrayBufferView): this {
    this.#crc = crc32c(data, this.#crc);
    return this;
  }

  digest(): number {
    return this.#crc;
  }

  reset(): this {
    this.#crc = this.#seed;
    return this;
  }
}

class Crc64nvmeHasher implements ChecksumHasher<bigint> {
  readonly algorithm = 'crc64nvme';
  readonly #seed: bigint;
  #crc: bigint;

  constructor(seed: bigint) {
    this.#seed = this.#crc = seed;
  }

  update(data: ArrayBufferView): this {
    this.#crc = crc64nvme(data, this.#crc);
    return this;
  }

  digest(): bigint {
    return this.#crc;
  }

  reset(): this {
    this.#crc = this.#seed;
    return this;
  }
}

const nativeUpdate = NativeChecksum.xxh3Update;

class Xxh3Hasher implements ChecksumHasher<bigint> {
  readonly algorithm = 'xxh3';
  readonly #state: BigUint64Array;

  constructor(seed: bigint) {
    this.#state = newXxh3State(seed);
  }

  update(data: ArrayBufferView): this {
    if (nativeUpdate!(this.#state, data) !== undefined) checkEmpty(data);
    return this;
  }

  digest(): bigint {
    return digestXxh3(this.#state);
  }

  reset(): this {
    this.#state[STATE_BYTES_TOTAL] = 0n;
    return this;
  }
}

export function createCrc32c(seed = 0): ChecksumHasher<number> {
  checkInteger('seed', seed, 0, MAX_32);
  return new Crc32cHasher(seed);
}

export function createCrc64nvme(seed = 0n): ChecksumHasher<bigint> {
  checkBigInt('seed', seed, 0n, MAX_64);
  return new Crc64nvmeHasher(seed);
}

export function createXxh3(seed = 0n): ChecksumHasher<bigint> {
  checkBigInt('seed', seed, 0n, MAX_64);
  checkXxh3();
  return new Xxh3Hasher(seed);
}
