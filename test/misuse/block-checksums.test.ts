// Shows that wrong `checksum` options are refused before anything has begun, by a rejection that names what was wrong; that
// arrays which go away under way make their own operation reject and nothing else; and that the engine works afterwards.

import { readFileSync } from 'node:fs';
import { Engine, type BlockChecksums, type BlockFile } from 'ringbolt';
import {
  afterAll,
  afterEach,
  beforeAll,
  beforeEach,
  describe,
  expect,
  it,
  onTestFinished,
} from 'vitest';
import { BLOCK, numberedFile } from '../lifecycle/numbered-file.js';
import { setBits } from '../support/checksums.js';
import { startEngine } from '../support/engine.js';
import {
  expectRefused,
  expectStillWorks,
  NOT_INTEGERS,
  NOT_NUMBERS,
  NOT_OBJECTS,
  RANGE,
  type Refusal,
  rejection,
  rows,
  shown,
  TYPE,
  VALUE,
  wrong,
} from './refusal.js';
import { resizable } from './resizable.js';

const MAX = Number.MAX_SAFE_INTEGER;
const UNSUPPORTED = { code: 'ERR_RINGBOLT_UNSUPPORTED', name: 'RingboltError' };

let engine: Engine;
let file: BlockFile;
let contents: Buffer;
beforeAll(async () => {
  engine = await Engine.start({ pool: { bytes: 8 * 2 ** 20 } });
});
afterAll(async () => {
  await engine.close();
});
beforeEach(async () => {
  const name = numberedFile();
  contents = readFileSync(name);
  file = await engine.open(name, { access: 'read-write' });
  onTestFinished(() => file.close());
});
afterEach(async () => {
  await expectStillWorks(engine, file);
  expect(readFileSync(file.path).equals(contents)).toBe(true);
});

/** Good ones for four blocks, with something else in them. */
function but(changes: object): never {
  const good = { algorithm: 'crc32c', blockSize: BLOCK, out: new BigUint64Array(4) };
  return wrong({ ...good, ...changes });
}

/** All ways of a transfer of four blocks, or only the reads. */
async function expectAllRefused(checksum: unknown, refusal: Refusal, reads = false): Promise<void> {
  const options = wrong({ checksum });
  const before = engine.stats();
  using lease = engine.pool.acquire(4 * BLOCK);
  for (const buffer of [lease, new Uint8Array(4 * BLOCK)]) {
    await expectRefused(() => file.read(0, buffer, options), refusal);
    await expectRefused(() => file.readBatch([{ offset: 0, buffer }], options), refusal);
    if (reads) continue;
    await expectRefused(() => file.write(0, buffer, options), refusal);
    await expectRefused(() => file.writeBatch([{ offset: 0, buffer }], options), refusal);
  }
  const after = engine.stats();
  expect(after.classes.foreground).toMatchObject({
    readsTotal: before.classes.foreground.readsTotal,
    writesTotal: before.classes.foreground.writesTotal,
  });
  expect(after.copied).toEqual(before.copied);
}

describe('a transfer refuses', () => {
  it.each(rows(NOT_OBJECTS))('%s in place of checksums', async (_, checksum) => {
    const refusal = { ...TYPE, naming: ['"options.checksum"', shown(checksum)] };
    await expectAllRefused(checksum, refusal);
  });

  it('checksums with an option that there is not, or with nothing to do', async () => {
    const unknown = { ...VALUE, naming: ['options.checksum.block_size'] };
    await expectAllRefused(but({ block_size: 1 }), unknown);
    await expectAllRefused(but({ out: undefined }), { ...VALUE, naming: ["'out'", "'expected'"] });
  });

  it.each(
    rows([undefined, null, 1, 'crc32', 'CRC32C', 'md5', 'toString', Symbol('crc32c'), ['xxh3']]),
  )('the algorithm %s', async (_, algorithm) => {
    await expectAllRefused(but({ algorithm }), {
      ...VALUE,
      naming: ['options.checksum.algorithm'],
    });
  });

  it.each([
    ...rows([undefined, ...NOT_NUMBERS]).map((row) => [...row, TYPE] as const),
    ...rows([...NOT_INTEGERS, 0, -1, 2 ** 31, MAX]).map((row) => [...row, RANGE] as const),
  ])('the block size %s', async (_, blockSize, refusal) => {
    const naming = ['options.checksum.blockSize'];
    await expectAllRefused(but({ blockSize }), { ...refusal, naming });
  });

  it.each([
    ...rows([null, 0, 1, '1', true, {}]).map((row) => [...row, TYPE] as const),
    ...rows([-1n, 2n ** 32n, 2n ** 64n, 2n ** 100n]).map((row) => [...row, RANGE] as const),
  ])('the seed %s for CRC-32C', async (_, seed, refusal) => {
    await expectAllRefused(but({ seed }), { ...refusal, naming: ['options.checksum.seed'] });
  });

  it('seeds of more than 64 bits for the others', async () => {
    for (const algorithm of ['crc64nvme', 'xxh3']) {
      await expectAllRefused(but({ algorithm, seed: 2n ** 64n }), RANGE);
      await expectAllRefused(but({ algorithm, seed: -1n }), RANGE);
      const out = new BigUint64Array(1);
      const checksum = but({ algorithm, seed: 2n ** 64n - 1n, out });
      expect(await file.read(0, new Uint8Array(BLOCK), { checksum })).toBe(BLOCK);
    }
  });

  it.each([
    ...rows([null, '1', true, 1n, {}]).map((row) => [...row, TYPE] as const),
    ...rows([...NOT_INTEGERS, -1, MAX - 2, MAX, MAX + 1]).map((row) => [...row, RANGE] as const),
  ])('the first block %s', async (_, firstBlock, refusal) => {
    await expectAllRefused(but({ firstBlock }), {
      ...refusal,
      naming: ['options.checksum.firstBlock'],
    });
  });

  const NOT_VALUES: readonly (readonly [string, () => unknown, Refusal])[] = [
    ['null', () => null, TYPE],
    ['a number', () => 4, TYPE],
    ['an array', () => [0n, 0n, 0n, 0n], TYPE],
    ['a BigInt64Array', () => new BigInt64Array(4), TYPE],
    ['a Float64Array', () => new Float64Array(4), TYPE],
    ['a Uint8Array', () => new Uint8Array(32), TYPE],
    ['an ArrayBuffer', () => new ArrayBuffer(32), TYPE],
    ['a proxy', () => new Proxy(new BigUint64Array(4), {}), TYPE],
    ['what inherits from one', () => Object.create(new BigUint64Array(4)) as unknown, TYPE],
    ['shared memory', () => new BigUint64Array(new SharedArrayBuffer(32)), TYPE],
    ['one that is too short', () => new BigUint64Array(3), RANGE],
    [
      'one that lies about its length',
      () => Object.defineProperty(new BigUint64Array(3), 'length', { value: 4 }),
      RANGE,
    ],
    ['one that is detached', () => detach(new BigUint64Array(4)), RANGE],
    ['one whose memory shrank', () => shrunk(), RANGE],
  ];
  it.each(NOT_VALUES)('%s in place of a BigUint64Array', async (_, make, refusal) => {
    await expectAllRefused(but({ out: make() }), { ...refusal, naming: ['options.checksum.out'] });
    const mismatches = new Uint32Array(1);
    const expected = make();
    const naming = ['options.checksum.expected'];
    await expectAllRefused(but({ expected, mismatches }), { ...refusal, naming });
    expect(mismatches[0]).toBe(0); // untouched
  });

  it('a place for mismatches that is none, too short, missing or without use', async () => {
    const expected = new BigUint64Array(4);
    for (const [mismatches, refusal] of [
      [null, TYPE],
      [[0], TYPE],
      [new Int32Array(1), TYPE],
      [new BigUint64Array(1), TYPE],
      [new Uint32Array(new SharedArrayBuffer(4)), TYPE],
      [new Uint32Array(0), RANGE],
    ] as const) {
      const naming = ['options.checksum.mismatches'];
      await expectAllRefused(but({ expected, mismatches }), { ...refusal, naming });
    }
    const without = { ...VALUE, naming: ["'mismatches'"] };
    await expectAllRefused(but({ expected }), without, true);
    const alone = { ...VALUE, naming: ['options.checksum.mismatches'] };
    await expectAllRefused(but({ mismatches: new Uint32Array(1) }), alone);
  });

  it('more blocks of a lease than an operation may have', async () => {
    using lease = engine.pool.acquire(4 * BLOCK);
    const out = new BigUint64Array(16384);
    const refusal = { ...RANGE, naming: ['options.checksum.blockSize', '>= 4', '4096'] };
    await expectRefused(
      () => file.read(0, lease, { checksum: but({ blockSize: 3, out }) }),
      refusal,
    );
    expect(await file.read(0, lease, { checksum: but({ blockSize: 4, out }) })).toBe(4 * BLOCK);
    // Copied memory goes in pieces, however small the blocks.
    const array = new Uint8Array(4 * BLOCK);
    expect(await file.read(0, array, { checksum: but({ blockSize: 1, out }) })).toBe(4 * BLOCK);
    expect(out[0]).toBe(0x527d5351n); // of one byte 0
  });

  it('blocks that copied memory cannot be cut at, and nothing else', async () => {
    const array = new Uint8Array(128 * BLOCK);
    const out = new BigUint64Array(128);
    for (const blockSize of [65 * BLOCK, 128 * BLOCK, 131071]) {
      const refusal = { ...UNSUPPORTED, naming: [String(blockSize), 'lease'] };
      await expectRefused(
        () => file.read(0, array, { checksum: but({ blockSize, out }) }),
        refusal,
      );
      const few = array.subarray(0, 64 * BLOCK); // one piece
      expect(await file.read(0, few, { checksum: but({ blockSize, out }) })).toBe(64 * BLOCK);
      using lease = engine.pool.acquire(128 * BLOCK);
      expect(await file.read(0, lease, { checksum: but({ blockSize, out }) })).toBe(128 * BLOCK);
    }
  });

  it('numbers of blocks in a batch that go with nothing', async () => {
    const [one, two] = [new Uint8Array(BLOCK), new Uint8Array(BLOCK)];
    const ops = (first: unknown, second: unknown) => [
      { offset: 0, buffer: one, firstBlock: wrong(first) },
      { offset: 0, buffer: two, firstBlock: wrong(second) },
    ];
    const naming = ['ops[1].firstBlock'];
    await expectRefused(() => file.readBatch(ops(undefined, 5)), { ...VALUE, naming });
    const checksum = but({});
    await expectRefused(() => file.readBatch(ops(undefined, 5), { checksum }), {
      ...VALUE,
      naming,
    });
    await expectRefused(() => file.readBatch(ops(1, '5'), { checksum }), { ...TYPE, naming });
    await expectRefused(() => file.readBatch(ops(1, -1), { checksum }), { ...RANGE, naming });
    await expectRefused(() => file.readBatch(ops(MAX, undefined), { checksum }), RANGE);
    expect((await file.readBatch(ops(1, MAX), { checksum })).bytesTotal).toBe(2 * BLOCK);
  });

  it('to flush with checksums', async () => {
    const refusal = { ...VALUE, naming: ['options.checksum'] };
    await expectRefused(() => file.flush(wrong({ checksum: but({}) })), refusal);
  });

  it('what its options throw when they are read, each read once', async () => {
    const thrown = new Error('as asked');
    const properties = [
      'algorithm',
      'blockSize',
      'seed',
      'firstBlock',
      'out',
      'expected',
      'recheck',
    ];
    for (const property of properties) {
      const checksum = Object.defineProperty(but({}), property, {
        enumerable: true,
        get() {
          throw thrown;
        },
      });
      const error = await rejection(() => file.read(0, new Uint8Array(BLOCK), wrong({ checksum })));
      expect(error).toBe(thrown);
    }
    const good: BlockChecksums = but({ seed: 1n, firstBlock: 2 });
    let reads = 0;
    const counted = new Proxy(good, {
      get: (target, key) => (reads++, Reflect.get(target, key) as unknown),
    });
    await file.read(0, new Uint8Array(BLOCK), { checksum: counted });
    expect(reads).toBe(8);
  });
});

function detach<T extends BigUint64Array | Uint32Array>(array: T): T {
  structuredClone(array.buffer, { transfer: [array.buffer as ArrayBuffer] });
  return array;
}

function shrunk(): BigUint64Array {
  const memory = resizable(64, 128);
  const array = new BigUint64Array(memory, 0, 4);
  memory.resize(16);
  return array;
}

describe('an array that goes away under way', () => {
  const buffers = () => [engine.pool.acquire(64 * BLOCK), new Uint8Array(64 * BLOCK)];
  const GONE = (name: string) => ({ ...VALUE, naming: [`options.checksum.${name}`, 'detached'] });
  const release = (buffer: object) => {
    if ('release' in buffer) (buffer as { release(): void }).release();
  };

  it.each(['crc32c', 'xxh3'] as const)('makes a read reject, with %s', async (algorithm) => {
    for (const buffer of buffers()) {
      for (const gone of ['out', 'expected', 'mismatches'] as const) {
        const arrays = {
          out: new BigUint64Array(64),
          expected: new BigUint64Array(64),
          mismatches: new Uint32Array(2),
        };
        const checksum = but({ algorithm, ...arrays });
        const other = { algorithm, blockSize: BLOCK, out: new BigUint64Array(1) };
        // More than the queue holds, so that some wait when it happens.
        const small = await startEngine({ depth: 1, pool: { bytes: 4 * 2 ** 20 } });
        const same = await small.open(file.path);
        const ahead = same.read(0, new Uint8Array(BLOCK), { checksum: other });
        const memory = 'release' in buffer ? small.pool.acquire(64 * BLOCK) : buffer;
        const read = same.read(0, memory, { checksum });
        detach(arrays[gone]);
        await expectRefused(() => read, GONE(gone));
        expect(await ahead).toBe(BLOCK);
        expect(other.out[0]).not.toBe(0n);
        if (gone !== 'mismatches') expect(setBits(arrays.mismatches).length).toBeGreaterThan(0);
        release(memory);
        expect(small.stats().pool.bytesInUse).toBe(0);
        await expectStillWorks(small, same);
      }
      release(buffer);
    }
  });

  it('makes a write reject, and what was not compared is not written', async () => {
    for (const algorithm of ['crc64nvme', 'xxh3'] as const) {
      const small = await startEngine({ depth: 1, pool: { bytes: 4 * 2 ** 20 } });
      const same = await small.open(file.path, { access: 'read-write' });
      for (const memory of [small.pool.acquire(BLOCK), new Uint8Array(2 ** 20)]) {
        const expected = new BigUint64Array(256);
        const ahead = [1, 2, 3].map(() => small.noop());
        // The first pieces of what is copied may have been compared by then, in vain.
        const write = same.write(0, memory, {
          checksum: but({ algorithm, out: undefined, expected }),
        });
        detach(expected);
        const error = await rejection(() => write);
        const code = /^ERR_(INVALID_ARG_VALUE|RINGBOLT_CORRUPT)$/;
        expect(error).toMatchObject({ code: expect.stringMatching(code) as string, bytesDone: 0 });
        await Promise.all(ahead);
        release(memory);
      }
      expect(small.stats().pool.bytesInUse).toBe(0);
      await expectStillWorks(small, same);
    }
  });

  it('of a batch makes the batch reject, once all has ended', async () => {
    const out = new BigUint64Array(64);
    const ops = Array.from({ length: 64 }, (_, block) => ({
      offset: block * BLOCK,
      buffer: block % 2 === 0 ? engine.pool.acquire(BLOCK) : new Uint8Array(BLOCK),
    }));
    const read = file.readBatch(ops, { checksum: but({ out }) });
    detach(out);
    await expectRefused(() => read, GONE('out'));
    for (const { buffer } of ops) release(buffer);
  });

  it('and shrinks is not written past its end', async () => {
    const memory = resizable(8 * 64, 8 * 64);
    const out = new BigUint64Array(memory);
    const lease = engine.pool.acquire(64 * BLOCK);
    const read = file.read(0, lease, { checksum: but({ out }) });
    memory.resize(8);
    await expectRefused(() => read, GONE('out'));
    memory.resize(8 * 64);
    expect([...out]).toEqual(new Array(64).fill(0n));
    lease.release();
  });

  it('and is an operation to itself does not matter: arrays may lie in the data', async () => {
    const data = new ArrayBuffer(64 * BLOCK);
    const [array, out] = [new Uint8Array(data), new BigUint64Array(data, 0, 64)];
    const mismatches = new Uint32Array(data, 512, 2);
    const checksum = but({ out, expected: out, mismatches });
    expect(await file.read(0, array, { checksum })).toBe(64 * BLOCK);
    await rejection(() => file.write(0, array, { checksum })); // whatever that may mean
    await file.write(0, contents.subarray(0, 64 * BLOCK));
  });
});
