// Shows that what is no data, or no seed, is refused with a code and a message, that memory which was taken away is not taken
// for empty, and that nothing which anybody does to the addon's own functions harms the process.

import { inspect } from 'node:util';
import { checksum } from 'ringbolt';
import { describe, expect, it } from 'vitest';
import { NativeChecksum } from '../../dist/lib/native.js';
import { ALGORITHMS, HAS_XXH3, NO_XXH3, randomBytes } from '../checksum/algorithms.js';
import { Random } from '../support/random.js';
import { expectThrows, NOT_INTEGERS, NOT_NUMBERS, rows, shown, wrong } from './refusal.js';
import { resizable } from './resizable.js';

const CHECK = Buffer.from('123456789');

function detach(memory: ArrayBuffer): void {
  structuredClone(memory, { transfer: [memory] });
}

function throwing(): never {
  throw new Error('was looked at');
}

const LIARS: readonly unknown[] = [
  { buffer: new ArrayBuffer(8), byteOffset: 0, byteLength: 8, length: 8 },
  Object.create(Uint8Array.prototype),
  Object.create(DataView.prototype),
  Object.create(Buffer.prototype as object),
  new Proxy(new Uint8Array(8), {}),
  new Proxy({}, { get: throwing, getPrototypeOf: () => Uint8Array.prototype }),
];

const NOT_DATA: readonly unknown[] = [
  undefined,
  ...NOT_NUMBERS,
  1,
  NaN,
  [],
  'a string',
  new ArrayBuffer(8),
  new SharedArrayBuffer(8),
  new Map(),
  Promise.resolve(new Uint8Array(8)),
];

const NOT_BIGINTS: readonly unknown[] = [
  null,
  0,
  1,
  '1',
  true,
  Symbol('one'),
  {},
  [1n],
  () => 1n,
  Object(1n),
];

describe.each(ALGORITHMS)('$name refuses', ({ name, sum, hasher }) => {
  const WRONG_TYPE = { code: 'ERR_INVALID_ARG_TYPE', name: 'TypeError' };
  const GONE = {
    code: 'ERR_INVALID_ARG_VALUE',
    name: 'TypeError',
    naming: ["'data'", 'detached or resized'],
  };
  const calls: [string, (data: never) => unknown][] = [
    ['the function', (data) => sum(data)],
    ['a hasher', (data) => hasher().update(data)],
  ];

  describe.each(calls)('in %s', (_, call) => {
    it.each(rows(NOT_DATA))('%s for data', (_how, value) => {
      expectThrows(() => call(wrong(value)), {
        ...WRONG_TYPE,
        naming: ['"data"', 'Buffer, TypedArray or DataView', 'Received'],
      });
    });

    it('what only looks like data, without believing a word', () => {
      for (const liar of LIARS) {
        // A liar may also throw an error of its own, out of the message that describes it.
        expect(() => call(wrong(liar))).toThrow(/"data"|was looked at/);
      }
    });

    it('memory that was detached', () => {
      const memory = new ArrayBuffer(4096);
      const views = [
        new Uint8Array(memory),
        new Float64Array(memory, 8),
        new DataView(memory),
        Buffer.from(memory),
      ];
      detach(memory);
      for (const view of views) expectThrows(() => call(wrong(view)), GONE);
    });

    it('memory that was resized away', () => {
      const memory = resizable(4096, 8192);
      const views = [
        ...[
          new Uint8Array(memory, 0, 4096),
          new Uint8Array(memory, 2048),
          new Uint32Array(memory, 8, 600),
        ],
        ...[new DataView(memory, 0, 4096), new DataView(memory, 1025)],
      ];
      memory.resize(1024);
      for (const view of views) expectThrows(() => call(wrong(view)), GONE);
      // And takes them when they are back.
      memory.resize(4096);
      for (const view of views) call(wrong(view));
    });
  });

  it('in a hasher wrong data, and goes on as if it had not been there', () => {
    const parts = hasher().update(CHECK.subarray(0, 4));
    expect(() => parts.update(wrong('5'))).toThrow(TypeError);
    expect(() => parts.update(wrong(undefined))).toThrow(TypeError);
    expect(BigInt(parts.update(CHECK.subarray(4)).digest())).toBe(sum(CHECK));
  });

  const bits = name === 'crc32c' ? 32 : 64;
  const seeded: [string, (seed: never) => unknown][] = [
    [
      'the function',
      (seed) => (checksum[name] as (data: Buffer, seed: never) => unknown)(CHECK, seed),
    ],
    [
      'a hasher',
      (seed) => {
        const create = {
          crc32c: checksum.createCrc32c,
          crc64nvme: checksum.createCrc64nvme,
          xxh3: checksum.createXxh3,
        };
        return (create[name] as (seed: never) => unknown)(seed);
      },
    ],
  ];
  describe.each(seeded)('for a seed of %s', (_, call) => {
    it.each(rows(bits === 32 ? NOT_NUMBERS : NOT_BIGINTS))('%s', (_how, value) => {
      expectThrows(() => call(wrong(value)), { ...WRONG_TYPE, naming: ['"seed"', shown(value)] });
    });

    const beyond = bits === 32 ? [-1, 2 ** 32, ...NOT_INTEGERS] : [-1n, 2n ** 64n, -(2n ** 63n)];
    it.each(rows(beyond))('%s', (_how, value) => {
      const code = 'ERR_OUT_OF_RANGE';
      expectThrows(() => call(wrong(value)), {
        code,
        name: 'RangeError',
        naming: ['"seed"', inspect(value)],
      });
    });

    it('and takes the largest', () => {
      expect(() => call(wrong(bits === 32 ? 2 ** 32 - 1 : 2n ** 64n - 1n))).not.toThrow();
    });
  });

  it('and computes as before', () => {
    const before = sum(CHECK);
    expect(() => sum(wrong(null))).toThrow();
    expect(() => sum(wrong('x'), 5n)).toThrow();
    expect(sum(CHECK)).toBe(before);
  });
});

describe('combining refuses', () => {
  it.each([...rows(NOT_NUMBERS), ...rows([undefined])])('%s for a number', (_, value) => {
    const attempts: [string, () => unknown][] = [
      ['a', () => checksum.combineCrc32c(wrong(value), 0, 0)],
      ['b', () => checksum.combineCrc32c(0, wrong(value), 0)],
      ['bytesB', () => checksum.combineCrc32c(0, 0, wrong(value))],
      ['bytesB', () => checksum.combineCrc64nvme(0n, 0n, wrong(value))],
    ];
    for (const [name, attempt] of attempts) {
      expectThrows(attempt, { code: 'ERR_INVALID_ARG_TYPE', naming: [`"${name}"`] });
    }
  });

  it.each([...rows(NOT_BIGINTS), ...rows([undefined])])('%s for a bigint', (_, value) => {
    const code = 'ERR_INVALID_ARG_TYPE';
    expectThrows(() => checksum.combineCrc64nvme(wrong(value), 0n, 0), { code, naming: ['"a"'] });
    expectThrows(() => checksum.combineCrc64nvme(0n, wrong(value), 0), { code, naming: ['"b"'] });
  });

  it.each(rows([-1, ...NOT_INTEGERS, 2 ** 53]))('%s, which is out of range', (_, value) => {
    const code = 'ERR_OUT_OF_RANGE';
    const length = value as number;
    expectThrows(() => checksum.combineCrc32c(0, 0, length), { code, naming: ['"bytesB"'] });
    expectThrows(() => checksum.combineCrc64nvme(0n, 0n, length), { code, naming: ['"bytesB"'] });
    expectThrows(() => checksum.combineCrc32c(length, 0, 0), { code, naming: ['"a"'] });
    expectThrows(() => checksum.combineCrc32c(0, length, 0), { code, naming: ['"b"'] });
  });

  it.each(rows([-1n, 2n ** 64n]))('%s, which is out of range', (_, value) => {
    const code = 'ERR_OUT_OF_RANGE';
    const crc = value as bigint;
    expectThrows(() => checksum.combineCrc64nvme(crc, 0n, 0), { code, naming: ['"a"'] });
    expectThrows(() => checksum.combineCrc64nvme(0n, crc, 0), { code, naming: ['"b"'] });
  });
});

it('XXH3 is refused, with the reason, by a build without', ({ skip }) => {
  skip(HAS_XXH3, 'built with xxHash');
  const refusal = { code: 'ERR_RINGBOLT_UNSUPPORTED', name: 'RingboltError', naming: ['xxHash'] };
  expectThrows(() => checksum.xxh3(CHECK), refusal);
  expectThrows(() => checksum.createXxh3(), refusal);
  // What is wrong in itself is told first.
  expectThrows(() => checksum.xxh3(CHECK, -1n), { code: 'ERR_OUT_OF_RANGE' });
});

it('nobody can replace a function of `checksum`', () => {
  expect(Reflect.set(checksum, 'crc32c', () => 0)).toBe(false);
  expect(checksum.crc32c(CHECK)).toBe(0xe3069283);
});

describe('of the addon itself', () => {
  const { crc32c, crc64nvme, xxh3, combineCrc32c, combineCrc64nvme } = NativeChecksum;
  const { block, xxh3Update, xxh3Digest, xxh3StateBytes } = NativeChecksum;
  const ofData = [crc32c, crc64nvme, xxh3].filter((one) => one !== undefined);

  it('the functions compute nothing of what is no data, however they are called', () => {
    for (const one of ofData) {
      for (const value of [...NOT_DATA, ...LIARS]) expect(one(value)).toBe(true);
      expect((one as () => unknown)()).toBe(true);
      expect(Reflect.apply(one as () => unknown, 5, [CHECK, CHECK, CHECK])).toBeUndefined();
      expect(() => Reflect.construct(one, [CHECK]) as unknown).not.toThrow();
    }
  });

  it('combining refuses lengths that are none', () => {
    for (const one of [combineCrc32c, combineCrc64nvme]) {
      for (const value of [undefined, ...NOT_NUMBERS, ...NOT_INTEGERS, -1, 2 ** 53]) {
        expect(() => one(wrong(value))).toThrow(TypeError);
      }
    }
  });

  it('takes no state that is none, or has another size', ({ skip }) => {
    skip(!HAS_XXH3, NO_XXH3);
    const memory = new ArrayBuffer(xxh3StateBytes);
    const gone = new Uint8Array(memory);
    detach(memory);
    const sizes = [0, 1, xxh3StateBytes - 1, xxh3StateBytes + 1, 4096];
    const states = [...NOT_DATA, ...LIARS, gone, ...sizes.map((bytes) => new Uint8Array(bytes))];
    for (const state of states) {
      expect(xxh3Update!(state, CHECK)).toBe(true);
      expect(xxh3Digest!(state)).toBe(true);
    }
    expect((xxh3Update as () => unknown)()).toBe(true);
    expect((xxh3Digest as () => unknown)()).toBe(true);
  });

  it('takes for a state whatever has the size, and for the data the state itself', ({ skip }) => {
    skip(!HAS_XXH3, NO_XXH3);
    const random = new Random();
    for (let round = 0; round < 2000; round++) {
      const offset = random.below(16);
      const bytes = randomBytes(random, offset + xxh3StateBytes);
      const shared = new Uint8Array(new SharedArrayBuffer(bytes.length));
      shared.set(bytes);
      for (const state of [bytes.subarray(offset), shared.subarray(offset)]) {
        const data = round % 2 === 0 ? state : bytes;
        expect(xxh3Digest!(state)).toBeUndefined();
        expect(xxh3Update!(state, data)).toBeUndefined();
        expect(xxh3Digest!(state)).toBeUndefined();
      }
    }
  });

  it('computes on where its block was taken away, though nobody sees the result', () => {
    const moved = structuredClone(block, { transfer: [block] });
    for (const one of ofData) expect(one(CHECK)).toBeUndefined();
    new Uint8Array(moved).fill(0);
    expect(crc32c(CHECK)).toBeUndefined();
    expect(new Uint8Array(moved).length).toBe(16);
  });
});
