// Shows that the checksum functions give the recorded results for every kind of view and any seed, and that CRCs combine.

import { checksum } from 'ringbolt';
import { describe, expect, it } from 'vitest';
import { resizable } from '../misuse/resizable.js';
import { Random } from '../support/random.js';
import { ALGORITHMS, HAS_XXH3, NO_XXH3, randomBytes, randomSeed } from './algorithms.js';
import { VECTORS } from './vectors.js';

const LEVELS = ['portable', 'sse42', 'avx512', 'armv8'];

it('the file of vectors has been read', () => {
  expect(VECTORS.length).toBeGreaterThanOrEqual(29);
});

it.each(VECTORS)('the CRCs of $name', ({ data, crc32c, crc64nvme }) => {
  expect(checksum.crc32c(data)).toBe(crc32c);
  expect(checksum.crc64nvme(data)).toBe(crc64nvme);
});

it.for(VECTORS)('the XXH3 of $name', ({ data, xxh3 }, { skip }) => {
  skip(!HAS_XXH3, NO_XXH3);
  expect(checksum.xxh3(data)).toBe(xxh3);
});

it('the level is one of those there are', () => {
  expect(LEVELS).toContain(checksum.level());
});

describe.each(ALGORITHMS)('$name', ({ sum }) => {
  const TYPES = [
    ...[Uint8Array, Uint8ClampedArray, Int8Array, Uint16Array, Int16Array, Uint32Array, Int32Array],
    ...[Float32Array, Float64Array, BigUint64Array, BigInt64Array, DataView, Buffer],
    // Not in every Node.
    ...['Float16Array']
      .map((type) => (globalThis as Record<string, unknown>)[type])
      .filter(Boolean),
  ] as (typeof Uint8Array)[];

  it.each(TYPES.map((type) => [type.name, type] as const))('takes a %s', (_, type) => {
    const bytes = randomBytes(new Random(), 1024);
    const expected = sum(bytes);
    const own = new Uint8Array(bytes).buffer;
    const view = (type as unknown) === Buffer ? Buffer.from(own) : new type(own);
    expect(sum(view)).toBe(expected);
    // And a part of a buffer, by offset and length.
    const unit = (view as Partial<Uint8Array>).BYTES_PER_ELEMENT ?? 1;
    const length = 512 / ((type as unknown) === DataView ? 1 : unit);
    const part =
      (type as unknown) === Buffer ? Buffer.from(own, 64, 512) : new type(own, 64, length);
    expect(sum(part)).toBe(sum(bytes.subarray(64, 576)));
  });

  it('takes arrays so small that V8 keeps them in its own heap', () => {
    const random = new Random();
    for (let bytes = 1; bytes <= 64; bytes++) {
      const data = randomBytes(random, bytes);
      expect(sum(new Uint8Array(data)), `${bytes} bytes`).toBe(sum(data));
    }
  });

  it('takes shared memory', () => {
    const bytes = randomBytes(new Random(), 1000);
    const shared = new Uint8Array(new SharedArrayBuffer(1000));
    shared.set(bytes);
    expect(sum(shared)).toBe(sum(bytes));
    expect(sum(new DataView(shared.buffer, 10, 100))).toBe(sum(bytes.subarray(10, 110)));
  });

  it('takes WebAssembly memory', () => {
    const { buffer } = new (
      globalThis as unknown as {
        WebAssembly: { Memory: new (o: object) => { buffer: ArrayBuffer } };
      }
    ).WebAssembly.Memory({ initial: 1 });
    expect(sum(new Uint8Array(buffer))).toBe(sum(new Uint8Array(65536)));
  });

  it('sees of a view that tracks a length what is there at the time', () => {
    const memory = resizable(5000, 10_000);
    const bytes = randomBytes(new Random(), 10_000);
    const array = new Uint8Array(memory);
    const words = new Uint32Array(memory, 8);
    const view = new DataView(memory, 3);
    for (const size of [5000, 10_000, 4097, 100, 13, 8]) {
      memory.resize(size);
      array.set(bytes.subarray(0, size));
      expect(sum(array)).toBe(sum(bytes.subarray(0, size)));
      expect(sum(words)).toBe(sum(bytes.subarray(8, size - (size % 4))));
      expect(sum(view)).toBe(sum(bytes.subarray(3, size)));
    }
  });

  it('takes a subclass, and does not believe what is put on an object', () => {
    class Liar extends Uint8Array {
      override get length() {
        return 2 ** 30;
      }
    }
    const bytes = randomBytes(new Random(), 100);
    expect(sum(new Liar(bytes))).toBe(sum(bytes));
    const array = new Uint8Array(bytes);
    for (const key of ['length', 'byteLength', 'byteOffset', 'buffer']) {
      Object.defineProperty(array, key, { get: () => expect.fail('was asked') });
    }
    expect(sum(array)).toBe(sum(bytes));
  });

  it('reads nothing of what is around the data', () => {
    const random = new Random();
    const data = randomBytes(random, 300);
    for (let offset = 0; offset < 70; offset++) {
      const around = randomBytes(random, 500);
      data.copy(around, offset);
      expect(sum(around.subarray(offset, offset + 300)), `offset ${offset}`).toBe(sum(data));
    }
  });

  it('has the seed 0 where none is given', () => {
    const data = randomBytes(new Random(), 100);
    expect(sum(data, 0n)).toBe(sum(data));
    expect(sum(data, undefined)).toBe(sum(data));
    expect(sum(data, 1n)).not.toBe(sum(data));
  });

  it('keeps no seed for the next call', () => {
    const data = randomBytes(new Random(), 100);
    const before = sum(data);
    sum(data, 12345n);
    sum(new Uint8Array(0), 999n);
    expect(sum(data)).toBe(before);
  });
});

describe.each(ALGORITHMS.filter(({ name }) => name !== 'xxh3'))('$name', ({ sum }) => {
  it('has the seed itself for the checksum of nothing', () => {
    for (const empty of [new Uint8Array(0), new DataView(new ArrayBuffer(8), 8), Buffer.alloc(0)]) {
      expect(sum(empty)).toBe(0n);
      expect(sum(empty, 0xdeadbeefn)).toBe(0xdeadbeefn);
    }
  });

  it('goes on where the seed, the CRC of what came before, ends', () => {
    const random = new Random();
    const data = randomBytes(random, 700);
    const whole = sum(data);
    for (let split = 0; split <= data.length; split++) {
      const first = sum(data.subarray(0, split));
      expect(sum(data.subarray(split), first), `split at ${split}`).toBe(whole);
    }
  });
});

describe('xxh3', () => {
  it('with seeds gives what xxHash gives', ({ skip }) => {
    skip(!HAS_XXH3, NO_XXH3);
    // xxhsum's own sanity checks: its generator of bytes, XXH3_64bits_withSeed with the prime for a seed.
    const PRIME32 = 2654435761n;
    const PRIME64 = 11400714785074694797n;
    const mask = 2n ** 64n - 1n;
    const bytes: number[] = [];
    for (let x = PRIME32; bytes.length < 2400; x = (x * PRIME64) & mask)
      bytes.push(Number(x >> 56n));
    const data = Buffer.from(bytes);
    const of = (length: number, seed: bigint) => checksum.xxh3(data.subarray(0, length), seed);
    expect(of(0, PRIME64)).toBe(0xa8a6b918b2f0364an);
    expect(of(1, PRIME64)).toBe(0x032be332dd766ef8n);
    expect(of(6, PRIME64)).toBe(0x84589c116ab59ab9n);
    expect(of(12, PRIME64)).toBe(0xe7303e1b2336de0en);
    expect(of(24, PRIME64)).toBe(0x850e80fc35bdd690n);
    expect(of(48, PRIME64)).toBe(0xadc2cbaa44acc616n);
    expect(of(80, PRIME64)).toBe(0xc6dd0cb699532e73n);
    expect(of(195, PRIME64)).toBe(0xba68003d370cb3d9n);
    expect(of(403, PRIME64)).toBe(0x6259f6ecfd6443fdn);
    expect(of(512, PRIME64)).toBe(0x3ce457de14c27708n);
    expect(of(2048, PRIME64)).toBe(0x66f81670669ababcn);
    expect(of(2240, PRIME64)).toBe(0x757ba8487d1b5247n);
    expect(of(2367, PRIME64)).toBe(0xd2db3415b942b42an);
  });
});

describe('combining', () => {
  it('gives the CRC of the whole, wherever it was split', () => {
    const data = randomBytes(new Random(), 600);
    for (let split = 0; split <= data.length; split++) {
      const [a, b] = [data.subarray(0, split), data.subarray(split)];
      const crc32 = checksum.combineCrc32c(checksum.crc32c(a), checksum.crc32c(b), b.length);
      expect(crc32, `split at ${split}`).toBe(checksum.crc32c(data));
      const crc64 = checksum.combineCrc64nvme(
        checksum.crc64nvme(a),
        checksum.crc64nvme(b),
        b.length,
      );
      expect(crc64, `split at ${split}`).toBe(checksum.crc64nvme(data));
    }
  });

  it('goes over lengths that no memory has: doubling up is the same either way', () => {
    const random = new Random();
    const block = randomBytes(random, 4096);
    const [one32, one64] = [checksum.crc32c(block), checksum.crc64nvme(block)];
    let [crc32, crc64] = [one32, one64];
    for (let bytes = 4096; bytes < 2 ** 52; bytes *= 2) {
      expect(checksum.combineCrc32c(one32, crc32, bytes)).toBe(
        checksum.combineCrc32c(crc32, one32, 4096),
      );
      expect(checksum.combineCrc64nvme(one64, crc64, bytes)).toBe(
        checksum.combineCrc64nvme(crc64, one64, 4096),
      );
      crc32 = checksum.combineCrc32c(crc32, crc32, bytes);
      crc64 = checksum.combineCrc64nvme(crc64, crc64, bytes);
    }
  });

  it('with nothing changes nothing', () => {
    const random = new Random();
    const seed = randomSeed(random);
    expect(checksum.combineCrc32c(Number(seed), 0, 0)).toBe(Number(seed));
    expect(checksum.combineCrc64nvme(seed, 0n, 0)).toBe(seed);
    expect(checksum.combineCrc32c(0, Number(seed), 12345)).toBe(Number(seed));
    expect(checksum.combineCrc64nvme(0n, seed, Number.MAX_SAFE_INTEGER)).toBe(seed);
  });
});
