// Shows that read, write, readBatch and writeBatch refuse every wrong offset, buffer and option, by a rejection that names
// it, before anything has begun, and that the engine works afterwards.

import { Engine, Lease, type BlockFile } from 'ringbolt';
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
import { readFileSync } from 'node:fs';
import { BLOCK, numberedFile } from '../lifecycle/numbered-file.js';
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

const MISALIGNED = { code: 'ERR_RINGBOLT_MISALIGNED', name: 'RingboltError' };

let engine: Engine;
let file: BlockFile;
/** The same file, not direct: any offset and length will do. */
let buffered: BlockFile;
let contents: Buffer;
beforeAll(async () => {
  engine = await Engine.start({ pool: { bytes: 8 * 2 ** 20 } });
});
afterAll(async () => {
  await engine.close();
});

async function openFiles(): Promise<void> {
  const name = numberedFile();
  contents = readFileSync(name);
  file = await engine.open(name, { access: 'read-write' });
  buffered = await engine.open(name, { access: 'read-write', direct: false });
  onTestFinished(async () => {
    await Promise.all([file.close(), buffered.close()]);
  });
}

/** All four ways of a transfer, given the same wrong thing. */
async function expectAllRefused(
  on: BlockFile,
  offset: unknown,
  buffer: unknown,
  options: unknown,
  refusal: Refusal,
): Promise<void> {
  const [at, memory, rest] = [wrong(offset), wrong(buffer), wrong(options)];
  const before = engine.stats().classes.foreground;
  const good = { offset: 0, buffer: new Uint8Array(BLOCK) };
  const batch = [good, { offset: at, buffer: memory }, good];
  await expectRefused(() => on.read(at, memory, rest), refusal);
  await expectRefused(() => on.write(at, memory, rest), refusal);
  await expectRefused(() => on.readBatch(batch, rest), refusal);
  await expectRefused(() => on.writeBatch(batch, rest), refusal);
  const after = engine.stats().classes.foreground;
  expect([after.readsTotal, after.writesTotal]).toEqual([before.readsTotal, before.writesTotal]);
}

describe('a transfer refuses', () => {
  beforeEach(openFiles);
  afterEach(async () => {
    await expectStillWorks(engine, file);
    expect(readFileSync(file.path).equals(contents)).toBe(true);
  });

  it.each(rows([undefined, ...NOT_NUMBERS]))(
    'the offset %s, which is no number',
    async (_, offset) => {
      const refusal = { ...TYPE, naming: ['offset', shown(offset)] };
      using lease = engine.pool.acquire(BLOCK);
      await expectAllRefused(file, offset, new Uint8Array(BLOCK), undefined, refusal);
      await expectAllRefused(file, offset, lease, undefined, refusal);
    },
  );

  it.each(rows([...NOT_INTEGERS, -1, -BLOCK, -MAX, MAX + 1, 2 ** 63, 1e300]))(
    'the offset %s, which is out of range',
    async (_, offset) => {
      const refusal = { ...RANGE, naming: ['offset', shown(offset)] };
      await expectAllRefused(file, offset, new Uint8Array(BLOCK), undefined, refusal);
      await expectAllRefused(buffered, offset, new Uint8Array(1), undefined, refusal);
    },
  );

  it.each([
    [MAX, 1],
    [MAX - 1, 2],
    [MAX - BLOCK + 1, BLOCK],
  ])('an end beyond what can be counted: offset %d, length %d', async (offset, length) => {
    const refusal = { ...RANGE, naming: ['offset + length'] };
    await expectAllRefused(buffered, offset, new Uint8Array(length), undefined, refusal);
  });

  it.each([1, 511, 513, BLOCK + 1, 2 ** 32 + 8, MAX - 2 * BLOCK])(
    'the misaligned offset %d of a direct file',
    async (offset) => {
      const refusal = { ...MISALIGNED, naming: [`offset ${offset}`, `${file.blockSize} bytes`] };
      await expectAllRefused(file, offset, new Uint8Array(BLOCK), undefined, refusal);
      const error = await rejection(() => file.read(offset, new Uint8Array(BLOCK)));
      expect(error).toMatchObject({ path: file.path, offset, length: BLOCK });
    },
  );

  it.each([1, 511, BLOCK - 1, BLOCK + 1, 100_000])(
    'the misaligned length %d on a direct file',
    async (length) => {
      const refusal = { ...MISALIGNED, naming: [`length ${length}`, `${file.blockSize} bytes`] };
      using lease = engine.pool.acquire(length);
      await expectAllRefused(file, 0, new Uint8Array(length), undefined, refusal);
      await expectAllRefused(file, 0, lease, undefined, refusal);
    },
  );

  it.each<[string, unknown]>([
    ['undefined', undefined],
    ['null', null],
    ['a number', BLOCK],
    ['a string', 'x'.repeat(BLOCK)],
    ['an object', {}],
    ['a function', () => new Uint8Array(BLOCK)],
    ['an array', new Array(BLOCK).fill(0)],
    ['an ArrayBuffer', new ArrayBuffer(BLOCK)],
    ['a DataView', new DataView(new ArrayBuffer(BLOCK))],
    ['a Uint8ClampedArray', new Uint8ClampedArray(BLOCK)],
    ['an Int8Array', new Int8Array(BLOCK)],
    ['a Uint16Array', new Uint16Array(BLOCK / 2)],
    ['a Float64Array', new Float64Array(BLOCK / 8)],
    ['what looks like a Buffer', { length: BLOCK, buffer: new ArrayBuffer(BLOCK), byteOffset: 0 }],
    ['a proxy of a Uint8Array', new Proxy(new Uint8Array(BLOCK), {})],
    ['what inherits from a Uint8Array', Object.create(new Uint8Array(BLOCK))],
    ['what inherits from Uint8Array.prototype', Object.create(Uint8Array.prototype)],
    ['what inherits from Lease.prototype', Object.create(Lease.prototype)],
    ['the class Lease', Lease],
    ['a SharedArrayBuffer', new SharedArrayBuffer(BLOCK)],
    ['a Uint8Array over a SharedArrayBuffer', new Uint8Array(new SharedArrayBuffer(BLOCK))],
  ])('%s in place of a buffer', async (_, buffer) => {
    await expectAllRefused(file, 0, buffer, undefined, TYPE);
  });

  it('what inherits from a lease, or stands in for one', async () => {
    const lease = engine.pool.acquire(BLOCK);
    const copy: unknown = Object.assign({}, lease);
    for (const buffer of [Object.create(lease), new Proxy(lease, {}), copy, { lease }]) {
      await expectAllRefused(file, 0, buffer, undefined, TYPE);
    }
    lease.release();
  });

  it.each<[string, () => Uint8Array]>([
    ['an empty array', () => new Uint8Array(0)],
    ['an empty view', () => new Uint8Array(BLOCK).subarray(BLOCK)],
    [
      'a transferred array',
      () => {
        const array = new Uint8Array(BLOCK);
        structuredClone(array.buffer, { transfer: [array.buffer] });
        return array;
      },
    ],
    [
      'a view that its buffer has shrunk away from',
      () => {
        const memory = resizable(2 * BLOCK, 4 * BLOCK);
        const array = new Uint8Array(memory, BLOCK, BLOCK);
        memory.resize(BLOCK);
        return array;
      },
    ],
  ])('%s', async (_, make) => {
    await expectAllRefused(file, 0, make(), undefined, { ...VALUE, naming: ['empty or detached'] });
  });

  it.each(rows(NOT_OBJECTS))('%s in place of options', async (_, options) => {
    const refusal = { ...TYPE, naming: ['"options"', shown(options)] };
    await expectAllRefused(file, 0, new Uint8Array(BLOCK), options, refusal);
  });

  it.each([
    ['an unknown option', { timeout: 5 }, { ...VALUE, naming: ['options.timeout'] }],
    ['a class that is none', { ioClass: 'realtime' }, { ...VALUE, naming: ["'realtime'"] }],
    ['a class that is null', { ioClass: null }, { ...VALUE, naming: ['null'] }],
    ['a class by its number', { ioClass: 0 }, { ...VALUE, naming: ['options.ioClass', '0'] }],
  ])('%s', async (_, options, refusal) => {
    await expectAllRefused(file, 0, new Uint8Array(BLOCK), options, refusal);
    await expectRefused(() => file.flush(wrong(options)), refusal);
  });

  it.each(rows([null, 0, 1, 'true', {}]))('durable: %s', async (_, durable) => {
    const options = wrong({ durable });
    const batch = [{ offset: 0, buffer: new Uint8Array(BLOCK) }];
    const refusal = { ...TYPE, naming: ['options.durable', shown(durable)] };
    await expectRefused(() => file.write(0, batch[0]!.buffer, options), refusal);
    await expectRefused(() => file.writeBatch(batch, options), refusal);
  });

  it('durable reads and flushes', async () => {
    const options = wrong({ durable: true });
    const buffer = new Uint8Array(BLOCK);
    const refusal = { ...VALUE, naming: ['options.durable'] };
    await expectRefused(() => file.read(0, buffer, options), refusal);
    await expectRefused(() => file.readBatch([{ offset: 0, buffer }], options), refusal);
    await expectRefused(() => file.flush(options), refusal);
  });

  it('what its options throw when they are read', async () => {
    const thrown = new Error('as asked');
    const options = {
      get ioClass() {
        throw thrown;
      },
    };
    const buffer = new Uint8Array(BLOCK);
    for (const attempt of [
      () => file.read(0, buffer, wrong(options)),
      () => file.write(0, buffer, wrong(options)),
      () => file.readBatch([{ offset: 0, buffer }], wrong(options)),
      () => file.writeBatch([{ offset: 0, buffer }], wrong(options)),
      () => file.flush(wrong(options)),
    ]) {
      expect(await rejection(attempt)).toBe(thrown);
    }
  });

  it.each<[string, unknown, Refusal]>([
    ['undefined', undefined, TYPE],
    ['null', null, TYPE],
    ['an object', {}, TYPE],
    ['a string', 'batch', TYPE],
    ['a set', new Set([{ offset: 0, buffer: new Uint8Array(BLOCK) }]), TYPE],
    [
      'a generator',
      (function* () {
        yield { offset: 0, buffer: new Uint8Array(BLOCK) };
      })(),
      TYPE,
    ],
    ['what is like an array', { 0: { offset: 0, buffer: new Uint8Array(BLOCK) }, length: 1 }, TYPE],
    ['a typed array', new Uint8Array(8), TYPE],
    ['one transfer without an array', { offset: 0, buffer: new Uint8Array(BLOCK) }, TYPE],
    ['an empty array', [], VALUE],
    ['a hole', new Array(1), TYPE],
    ['null among transfers', [null], TYPE],
    ['a number among transfers', [0], TYPE],
    ['a lease among transfers', [new Uint8Array(BLOCK)], TYPE],
    ['a transfer without an offset', [{ buffer: new Uint8Array(BLOCK) }], TYPE],
    ['a transfer without a buffer', [{ offset: 0 }], TYPE],
  ])('%s in place of a batch', async (_, batch, refusal) => {
    for (const attempt of [
      () => file.readBatch(wrong(batch)),
      () => file.writeBatch(wrong(batch)),
    ]) {
      await expectRefused(attempt, refusal);
    }
  });

  it('a hole as large as an array can be', async () => {
    const code = /^ERR_(INVALID_ARG_TYPE|RINGBOLT_OVERLOADED)$/;
    const error = await rejection(() => file.readBatch(new Array<never>(2 ** 32 - 1)));
    expect(error).toMatchObject({ code: expect.stringMatching(code) as string });
  });
});

describe('a transfer', () => {
  beforeEach(openFiles);

  it('takes -0 for 0', async () => {
    const lease = engine.pool.acquire(BLOCK);
    lease.buffer.fill(1);
    expect(await file.read(-0, lease)).toBe(BLOCK);
    expect(lease.buffer.equals(contents.subarray(0, BLOCK))).toBe(true);
    expect(await file.write(-0, lease)).toBe(BLOCK);
    lease.release();
  });

  it.each([
    ['at the end', 256 * BLOCK],
    ['beyond the end', 257 * BLOCK],
    ['far beyond the end', 2 ** 40],
    ['as far as can be counted', 2 ** 53 - 2 * BLOCK],
  ])('that reads %s reads nothing', async (_, offset) => {
    using lease = engine.pool.acquire(BLOCK);
    expect(await file.read(offset, lease)).toBe(0);
    expect(await file.read(offset, new Uint8Array(BLOCK))).toBe(0);
    expect(await buffered.read(offset + 1, new Uint8Array(3))).toBe(0);
    const { bytesTotal, transferred } = await file.readBatch([
      { offset, buffer: lease },
      { offset: 0, buffer: new Uint8Array(BLOCK) },
    ]);
    expect([bytesTotal, ...transferred]).toEqual([BLOCK, 0, BLOCK]);
  });

  it('that reads across the end reads what there is', async () => {
    using lease = engine.pool.acquire(4 * BLOCK);
    expect(await file.read(254 * BLOCK, lease)).toBe(2 * BLOCK);
    expect(await buffered.read(256 * BLOCK - 3, new Uint8Array(10))).toBe(3);
  });

  it('that writes where no file can reach rejects with EFBIG, and what was done of it', async () => {
    using lease = engine.pool.acquire(BLOCK);
    const offset = 2 ** 53 - 2 * BLOCK;
    for (const buffer of [lease, new Uint8Array(BLOCK)]) {
      const error = await rejection(() => file.write(offset, buffer));
      expect(error).toMatchObject({ code: 'EFBIG', offset, length: BLOCK, bytesDone: 0 });
      expect(error).toMatchObject({ path: file.path, syscall: 'write' });
    }
    const batch = [
      { offset: 0, buffer: new Uint8Array(contents.subarray(0, BLOCK)) },
      { offset, buffer: lease },
    ];
    const error = await rejection(() => file.writeBatch(batch));
    expect(error).toMatchObject({ code: 'EFBIG', offset });
    await expectStillWorks(engine, file);
  });

  it('may not write a file opened for reading, nor read one opened for writing: EBADF', async () => {
    const readOnly = await engine.open(file.path);
    const writeOnly = await engine.open(file.path, { access: 'write' });
    using lease = engine.pool.acquire(BLOCK);
    for (const buffer of [lease, new Uint8Array(BLOCK)]) {
      const refusal = { code: 'EBADF', naming: [file.path] };
      await expectRefused(() => readOnly.write(0, buffer), refusal);
      await expectRefused(() => readOnly.writeBatch([{ offset: 0, buffer }]), refusal);
      await expectRefused(() => writeOnly.read(0, buffer), refusal);
      await expectRefused(() => writeOnly.readBatch([{ offset: 0, buffer }]), refusal);
    }
    await expectStillWorks(engine, readOnly);
    expect(readFileSync(file.path).equals(contents)).toBe(true);
  });

  it('is refused with nothing lost when too many wait', async () => {
    const small = await startEngine({ depth: 2, maxQueued: 6, pool: { bytes: 8 * 2 ** 20 } });
    const numbered = await small.open(file.path);
    const leases = Array.from({ length: 9 }, () => small.pool.acquire(BLOCK));
    const reads = leases.slice(0, 8).map((lease, block) => numbered.read(block * BLOCK, lease));
    const spare = leases[8]!;
    const overloaded = { code: 'ERR_RINGBOLT_OVERLOADED', naming: ['maxQueued', '6'] };
    const batch = [{ offset: 0, buffer: spare }];
    await expectRefused(() => numbered.read(0, spare), overloaded);
    await expectRefused(() => numbered.read(0, new Uint8Array(BLOCK)), overloaded);
    await expectRefused(() => numbered.readBatch(batch), overloaded);
    await expectRefused(() => numbered.flush(), overloaded);
    expect(await Promise.all(reads)).toEqual(reads.map(() => BLOCK));
    for (const lease of leases) lease.release();
    await expectStillWorks(small, numbered);
    await numbered.flush();

    const tooMany = Array.from({ length: 9 }, (_, i) => ({
      offset: i * BLOCK,
      buffer: new Uint8Array(BLOCK),
    }));
    await expectRefused(() => numbered.readBatch(tooMany), overloaded);
    expect((await numbered.readBatch(tooMany.slice(1))).bytesTotal).toBe(8 * BLOCK);
  });

  // One operation of the user's, whatever the engine makes of it.
  it.each([1, 2, 8])(
    'of much copied memory is not refused by an idle engine of depth %d that lets nothing wait',
    async (depth) => {
      const small = await startEngine({ depth, maxQueued: 0, pool: { bytes: 4 * 2 ** 20 } });
      const numbered = await small.open(file.path, { access: 'read-write' });
      const copy = new Uint8Array(contents.length);
      expect(await numbered.read(0, copy)).toBe(copy.length);
      expect(contents.equals(copy)).toBe(true);
      expect(await numbered.write(0, copy)).toBe(copy.length);
    },
  );
});

describe('a method called with another "this"', () => {
  const own = (object: object, name: string) =>
    Reflect.get(object, name) as (...args: unknown[]) => unknown;

  beforeEach(openFiles);

  it.each(['read', 'write', 'readBatch', 'writeBatch', 'flush', 'close'] as const)(
    'BlockFile.prototype.%s is a TypeError',
    async (method) => {
      for (const self of [{}, undefined, engine, Object.create(file), new Proxy(file, {})]) {
        const call = async () => {
          await Reflect.apply(own(file, method), self, [0, new Uint8Array(BLOCK)]);
        };
        expect(await rejection(call)).toBeInstanceOf(TypeError);
      }
      await expectStillWorks(engine, file);
    },
  );

  it.each(['open', 'noop', 'noopBatch', 'stats', 'watch', 'close'] as const)(
    'Engine.prototype.%s is a TypeError',
    async (method) => {
      for (const self of [{}, undefined, file, Object.create(engine), new Proxy(engine, {})]) {
        const call = async () => {
          const result = Reflect.apply(own(engine, method), self, [file.path]);
          await (method === 'watch' ? (result as AsyncIterator<unknown>).next() : result);
        };
        expect(await rejection(call)).toBeInstanceOf(TypeError);
      }
      await expectStillWorks(engine, file);
    },
  );
});
