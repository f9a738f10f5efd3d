// Shows that a hasher gives the checksum of the whole, however it came in parts, and that asking for it ends nothing.

import { describe, expect, it } from 'vitest';
import { Random } from '../support/random.js';
import { ALGORITHMS, randomBytes, randomSeed } from './algorithms.js';
import { VECTORS } from './vectors.js';

describe.each(ALGORITHMS)('a hasher of $name', ({ name, sum, hasher }) => {
  const result = (value: number | bigint) => BigInt(value);

  it('says what it computes', () => {
    expect(hasher().algorithm).toBe(name);
  });

  it.each(VECTORS)('gives the checksum of $name', ({ data, [name]: expected }) => {
    expect(hasher().update(data).digest()).toBe(expected);
  });

  it('gives that of two parts, wherever they are split', () => {
    const random = new Random();
    // Beyond the 256 bytes that XXH3 keeps back, and the 1024 of one of its blocks.
    const data = randomBytes(random, 1400);
    for (const seed of [0n, randomSeed(random)]) {
      const whole = sum(data, seed);
      for (let split = 0; split <= data.length; split++) {
        const parts = hasher(seed).update(data.subarray(0, split)).update(data.subarray(split));
        expect(result(parts.digest()), `split at ${split}`).toBe(whole);
      }
    }
  });

  it('gives that of many parts of any size', () => {
    const random = new Random();
    const data = randomBytes(random, 100_000);
    for (let round = 0; round < 50; round++) {
      const seed = randomSeed(random);
      const parts = hasher(seed);
      for (let at = 0; at < data.length;) {
        const bytes = random.below(2 ** random.below(15));
        parts.update(data.subarray(at, at + bytes));
        at += bytes;
      }
      expect(result(parts.digest())).toBe(sum(data, seed));
    }
  });

  it('goes on after its digest, which may be asked for at any time', () => {
    const random = new Random();
    const data = randomBytes(random, 600);
    const parts = hasher();
    for (let bytes = 0; bytes <= data.length; bytes++) {
      const sofar = sum(data.subarray(0, bytes));
      expect([parts.digest(), parts.digest()].map(result)).toEqual([sofar, sofar]);
      parts.update(data.subarray(bytes, bytes + 1));
    }
  });

  it('begins anew with its own seed', () => {
    const random = new Random();
    const data = randomBytes(random, 2000);
    const seed = randomSeed(random);
    const parts = hasher(seed).update(data).update(data);
    expect(result(parts.reset().digest())).toBe(sum(new Uint8Array(0), seed));
    expect(result(parts.update(data).digest())).toBe(sum(data, seed));
  });

  it('has the checksum of nothing before the first part, and after empty ones', () => {
    const nothing = sum(new Uint8Array(0));
    const parts = hasher();
    expect(result(parts.digest())).toBe(nothing);
    parts.update(new Uint8Array(0)).update(new DataView(new ArrayBuffer(0)));
    expect(result(parts.digest())).toBe(nothing);
  });

  it('keeps nothing of the memory of a part', () => {
    const random = new Random();
    const data = randomBytes(random, 3000);
    const parts = hasher();
    const memory = new Uint8Array(100);
    for (let at = 0; at < data.length; at += 100) {
      memory.set(data.subarray(at, at + 100));
      parts.update(memory);
      memory.fill(0);
    }
    expect(result(parts.digest())).toBe(sum(data));
  });

  it('minds nobody but itself: many at a time, by turns', () => {
    const random = new Random();
    const seeds = Array.from({ length: 20 }, () => randomSeed(random));
    const data = seeds.map(() => randomBytes(random, 1500));
    const hashers = seeds.map((seed) => hasher(seed));
    for (let at = 0; at < 1500; at += 50) {
      for (const [i, one] of hashers.entries()) one.update(data[i]!.subarray(at, at + 50));
    }
    const expected = seeds.map((seed, i) => sum(data[i]!, seed));
    expect(hashers.map((one) => result(one.digest()))).toEqual(expected);
  });
});
