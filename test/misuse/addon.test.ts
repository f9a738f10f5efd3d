// Shows that nothing which anybody does with the addon itself, past lib/ and all its checks, harms the process: calls throw,
// or return false or nothing, or their promises settle.

import { inspect } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LAYOUT, NativeEngine, OpKind, QUEUE_STATS_NUMBERS } from '../../dist/lib/native.js';
import type { NativeOpenRequest } from '../../dist/lib/native.js';
import { numberedFile } from '../lifecycle/numbered-file.js';
import { runForJson, runProgram } from '../lifecycle/run-program.js';
import { Random } from '../support/random.js';
import { NOT_NUMBERS, NOT_OBJECTS, rows, wrong } from './refusal.js';
import { resizable } from './resizable.js';

type Engine = InstanceType<typeof NativeEngine>;
type EngineOptions = ConstructorParameters<typeof NativeEngine>[0];

const OPTIONS: EngineOptions = {
  queueCpus: [[], []],
  depth: 8,
  maxFiles: 4,
  poolParts: [{ node: -1, bytes: 2 ** 20 }],
  largeBytes: 4 * 2 ** 20,
  hugePages: 0,
  slabClasses: [4096, 65536],
  backend: 0,
  faults: undefined,
  without: [],
};
/** One slab of the first part. */
function takeSlab(of: Engine, slabClass: number): number {
  const out = new Uint32Array(1);
  expect(of.takeSlabs(0, slabClass, out)).toBe(1);
  return out[0]!;
}

function giveSlab(to: Engine, unit: number): number {
  return to.giveSlabs(Uint32Array.of(unit), 1);
}

const REQUEST: NativeOpenRequest = {
  path: '/nowhere',
  access: 0,
  create: 0,
  truncate: false,
  direct: 0,
  lock: 0,
  size: 0,
};

let engine: Engine;
let deliver: (queue: number, count: number) => void;
let delivered: number;

function make(options: unknown = OPTIONS): Engine {
  return new NativeEngine(wrong(options), (queue, count) => {
    deliver(queue, count);
  });
}

beforeEach(async () => {
  delivered = 0;
  deliver = (_, count) => (delivered += count);
  engine = make();
  await engine.start();
});
afterEach(async () => {
  // It still works: from one end to the other, on both queues.
  deliver = (_, count) => (delivered += count);
  delivered = 0;
  for (const queue of [0, 1]) {
    new Uint8Array(engine.queueBlocks(queue).submissions).fill(OpKind.noop);
    expect(engine.kick(queue, 1)).toBe(true);
  }
  while (delivered < 2) await new Promise(setImmediate);
  await engine.stop();
});

const garbage: readonly unknown[] = [
  undefined,
  ...NOT_NUMBERS,
  NaN,
  -1,
  -0.5,
  2 ** 32,
  2 ** 53,
  Infinity,
];

describe('the constructor throws', () => {
  it.each<[string, readonly unknown[]]>([
    ['without arguments', []],
    ['without a callback', [OPTIONS]],
    ['with a callback that is none', [OPTIONS, {}]],
    ['without options', [undefined, () => undefined]],
    ['with null for options', [null, () => undefined]],
    ['with arguments the wrong way round', [() => undefined, OPTIONS]],
    ['with no options in them', [{}, () => undefined]],
  ])('%s', (_, args) => {
    expect(() => Reflect.construct(NativeEngine, args) as unknown).toThrow(TypeError);
  });

  const integers = ['depth', 'maxFiles'] as const;
  const tooMuch = [...garbage.filter((value) => value !== 2 ** 32), 2 ** 41];
  it.each(integers.flatMap((name) => rows(tooMuch).map(([how, value]) => [name, how, value])))(
    'with the %s %s',
    (name, _, value) => {
      expect(() => make({ ...OPTIONS, [name as string]: value })).toThrow(Error);
    },
  );

  const WRONG: (readonly [keyof EngineOptions, unknown])[] = [
    ['depth', 0],
    ['depth', LAYOUT.maxDepth + 1],
    ['maxFiles', 0],
    ['maxFiles', 2 ** 31],
    ['poolParts', undefined],
    ['poolParts', {}],
    ['poolParts', []],
    ['poolParts', [null]],
    ['poolParts', [{}]],
    ['poolParts', new Array(1)],
    ['poolParts', new Array(257).fill({ node: -1, bytes: 2 ** 20 })],
    ['poolParts', new Array(2 ** 32 - 1)],
    ['poolParts', [{ node: -2, bytes: 2 ** 20 }]],
    ['poolParts', [{ node: 1024, bytes: 2 ** 20 }]],
    ['poolParts', [{ node: '0', bytes: 2 ** 20 }]],
    ...[0, 4095, 32768, 2 ** 41].map((bytes) => ['poolParts', [{ node: -1, bytes }]] as const),
    ['largeBytes', -1],
    ['largeBytes', 2 ** 41],
    ['largeBytes', '0'],
    ['hugePages', 3],
    ['hugePages', true],
    ['hugePages', undefined],
    ['queueCpus', []],
    ['queueCpus', undefined],
    ['queueCpus', {}],
    ['queueCpus', [[-1]]],
    ['queueCpus', [[2 ** 31]]],
    ['queueCpus', [['0']]],
    ['queueCpus', [[0.5]]],
    ['queueCpus', [5]],
    ['queueCpus', new Array(1)],
    ['queueCpus', new Array(257).fill([])],
    ['queueCpus', new Array(2 ** 32 - 1)],
    ['queueCpus', [new Array(2 ** 32 - 1)]],
    ['slabClasses', []],
    ['slabClasses', [0]],
    ['slabClasses', [4095]],
    ['slabClasses', [12288]],
    ['slabClasses', [4096, 4096]],
    ['slabClasses', [8192, 4096]],
    ['slabClasses', [2 ** 31]],
    ['slabClasses', new Array(17).fill(4096)],
    ['slabClasses', new Array(2 ** 32 - 1)],
    ['backend', 4],
    ['backend', -1],
    ['backend', 'threads'],
    ['backend', undefined],
    ['faults', null],
    ['faults', {}],
    ['faults', 1],
    ['faults', { seed: 1, eio: 2 ** 20 }],
    ['without', undefined],
    ['without', [5]],
    ['without', 'FIXED_FILES'],
  ];
  const named = WRONG.map(([name, value]) => {
    const length = Array.isArray(value) ? ` of ${value.length}` : '';
    return [name, inspect(value, { depth: 0, maxArrayLength: 2 }) + length, value] as const;
  });
  it.each(named)('with the %s %s', (name, _, value) => {
    expect(() => make({ ...OPTIONS, [name]: value })).toThrow(Error);
  });

  it('without new', () => {
    expect(() => Reflect.apply(wrong(NativeEngine), undefined, [OPTIONS, () => undefined])).toThrow(
      TypeError,
    );
  });

  it('what its options throw when they are read', async () => {
    const end = await runProgram('misuse/programs/addon-constructor.cjs');
    expect(end).toMatchObject({ code: 0, signal: null, hung: false, stderr: '' });
    const outcomes = JSON.parse(end.stdout) as string[];
    expect(outcomes).toContain('as asked');
    expect(outcomes).not.toContain('nothing');
  });
});

describe('a method', () => {
  const METHODS = [
    ...(['start', 'stop', 'openFile', 'closeFile', 'queueBlocks', 'queueStats'] as const),
    ...(['kick', 'takeSlabs', 'giveSlabs', 'takeLarge', 'giveLarge', 'trimPool'] as const),
    ...(['detachBuffer', 'giveLargeLater'] as const),
    ...(['slabBuffer', 'poolStats', 'takeForgotten', 'putForgotten'] as const),
    ...(['fillSlab', 'readSlab'] as const),
    ...(['prepareChecksums', 'putExpected', 'takeChecksums', 'copyChecksummed'] as const),
  ];

  const method = (name: string) =>
    Reflect.get(NativeEngine.prototype, name) as (...args: unknown[]) => unknown;

  it.each(METHODS)('%s throws on another "this"', (name) => {
    const others: unknown[] = [undefined, null, {}, Object.create(engine), new Proxy(engine, {})];
    for (const self of [...others, new Map(), NativeEngine, NativeEngine.prototype]) {
      expect(() => Reflect.apply(method(name), self, [0, 0])).toThrow(TypeError);
    }
  });

  /** Or -1, of methods that return a number. */
  const NOTHING = [undefined, false, -1, 0];

  /** Calls with every kind of garbage; what comes back must be nothing. */
  function callWithGarbage(on: Engine, name: (typeof METHODS)[number]): void {
    for (const first of garbage) {
      for (const args of [[], [first], [first, first], [first, 0]]) {
        let result: unknown;
        try {
          result = Reflect.apply(method(name), on, args);
        } catch (error) {
          expect(error).toBeInstanceOf(Error);
        }
        expect(NOTHING).toContain(result);
      }
    }
  }

  const GUARDED = [
    'kick',
    'queueBlocks',
    'queueStats',
    'slabBuffer',
    'giveSlabs',
    'fillSlab',
    'readSlab',
    'openFile',
  ] as const;
  const CHECKSUMS = ['putExpected', 'takeChecksums', 'copyChecksummed'] as const;
  it.each([
    ...GUARDED,
    ...CHECKSUMS,
    'putForgotten',
    'giveLarge',
    'detachBuffer',
    'prepareChecksums',
  ] as const)('%s does nothing with garbage', (name) => {
    callWithGarbage(engine, name);
    expect(delivered).toBe(0);
  });

  it('takeSlabs does nothing with a part or a class that there is not, or an array that is none', () => {
    const out = new Uint32Array(4);
    for (const none of [undefined, null, NaN, -1, 2, 255, 2 ** 32, 1e300, '0', Symbol('0')]) {
      expect(engine.takeSlabs(0, wrong(none), out)).toBe(0);
      expect(engine.takeSlabs(wrong(none), 0, out)).toBe(0);
    }
    const gone = new Uint32Array(4);
    structuredClone(gone, { transfer: [gone.buffer] });
    for (const none of [undefined, null, [], {}, new Float64Array(4), gone, new Uint32Array(0)]) {
      expect(engine.takeSlabs(0, 0, wrong(none))).toBe(0);
    }
    expect([...out]).toEqual([0, 0, 0, 0]);
    expect(engine.poolStats().parts).toEqual([{ slabs: [0, 0], remote: 0 }]);
  });

  it('takeLarge does nothing with a size that cannot be had', () => {
    for (const none of [undefined, null, NaN, -1, 0, 2 ** 22 + 1, 2 ** 53, 2 ** 64, '1', [1]]) {
      expect(engine.takeLarge(wrong(none))).toBe(-1);
    }
  });

  it('closeFile says EBADF to what is not open, or throws', async () => {
    for (const value of [0, 3, 4, 2 ** 32 - 1]) {
      expect(await engine.closeFile(value, value)).toMatchObject({ errno: 9, syscall: 'close' });
    }
    for (const value of garbage) {
      expect(() => engine.closeFile(wrong(value), 0)).toThrow(Error);
      expect(() => engine.closeFile(0, wrong(value))).toThrow(Error);
    }
  });

  it.each(rows(NOT_OBJECTS))('openFile throws at %s', (_, request) => {
    expect(() => engine.openFile(wrong(request))).toThrow(Error);
  });

  it.each<[keyof NativeOpenRequest, readonly unknown[]]>([
    ['path', [undefined, null, 5, {}, Symbol('path'), Buffer.from('/')]],
    ['access', [undefined, 'read', -1, 3, 255, 0.5, NaN]],
    ['create', [undefined, true, -1, 3, 256]],
    ['direct', [undefined, true, -1, 3, 256]],
    ['lock', [undefined, true, -1, 3, 256]],
    ['truncate', [undefined, 0, null, 'true']],
    ['size', [undefined, '0', -1, 0.5, NaN, 2 ** 53, Infinity, 1n]],
  ])('openFile throws at another %s', (name, values) => {
    for (const value of values) {
      expect(() => engine.openFile(wrong({ ...REQUEST, [name]: value }))).toThrow(Error);
    }
  });

  it('openFile cuts no path at a null byte', async () => {
    const name = numberedFile(1);
    const open = async () => engine.openFile({ ...REQUEST, path: `${name}\0.txt` });
    const outcome = await open().catch((error: unknown) => error);
    expect(outcome).not.toHaveProperty('slot');
  });

  it('queueStats throws at what it cannot fill', () => {
    const detached = new Float64Array(QUEUE_STATS_NUMBERS);
    structuredClone(detached.buffer, { transfer: [detached.buffer] });
    const shrunk = resizable(8 * QUEUE_STATS_NUMBERS, 2 ** 20);
    const following = new Float64Array(shrunk);
    shrunk.resize(8);
    for (const out of [
      undefined,
      [],
      new Float64Array(0),
      new Float64Array(QUEUE_STATS_NUMBERS - 1),
      new Float32Array(QUEUE_STATS_NUMBERS),
      new BigInt64Array(QUEUE_STATS_NUMBERS),
      new DataView(new ArrayBuffer(8 * QUEUE_STATS_NUMBERS)),
      detached,
      following,
      Object.create(Float64Array.prototype),
    ]) {
      expect(() => {
        engine.queueStats(0, wrong(out));
      }).toThrow(TypeError);
    }
  });

  /** Every way for an array of eight elements of eight bytes not to be there. */
  function badValues(): unknown[] {
    const detached = new BigUint64Array(8);
    structuredClone(detached.buffer, { transfer: [detached.buffer] });
    const shrunk = resizable(64, 2 ** 16);
    const [following, fixed] = [new BigUint64Array(shrunk), new BigUint64Array(shrunk, 0, 8)];
    shrunk.resize(8);
    const others = [new BigInt64Array(8), new Float64Array(8), new DataView(new ArrayBuffer(64))];
    const proxy = new Proxy(new BigUint64Array(8), {});
    return [
      ...garbage.slice(0, 4),
      detached,
      following,
      fixed,
      ...others,
      proxy,
      new BigUint64Array(7),
    ];
  }

  it('putExpected and takeChecksums touch no array that is not long enough', () => {
    expect(engine.prepareChecksums(0)).toBe(0);
    expect(engine.prepareChecksums(0)).toBe(0);
    const good = BigUint64Array.from({ length: 8 }, (_, i) => BigInt(i));
    for (const values of badValues()) {
      if (values !== null) expect(engine.putExpected(0, 0, wrong(values), 0, 8)).toBe(false);
      if (values === null) continue;
      expect(engine.takeChecksums(0, 0, 8, 0, wrong(values), null)).toBe(-1);
    }
    const numbers = [-1, 0.5, NaN, 2 ** 32 - 1, 2 ** 32, 1e300].map((value) => wrong(value));
    for (const number of numbers) {
      expect(engine.putExpected(number, 0, good, 0, 8)).toBe(number === 0.5);
      expect(engine.putExpected(0, 0, good, number, 8)).toBe(number === 0.5);
      expect(engine.takeChecksums(0, 0, 8, number, good, null)).toBe(number === 0.5 ? 0 : -1);
      expect(engine.takeChecksums(0, 0, 4, number, null, new Uint32Array(1))).toBe(
        number === 0.5 ? 0 : -1,
      );
      if (number === 0.5) continue;
      expect(engine.takeChecksums(0, number, 8, 0, good, null)).toBe(-1);
      expect(engine.takeChecksums(0, 0, number, 0, good, null)).toBe(-1);
      expect(engine.putExpected(0, 0, good, 0, number)).toBe(false);
    }
    expect(engine.putExpected(0, 0, good, 1, 8)).toBe(false);
    expect(engine.takeChecksums(0, 0, 33, 0, null, new Uint32Array(1))).toBe(-1);
    expect(engine.takeChecksums(0, 0, 1, 32, null, new Uint32Array(1))).toBe(-1);
    expect(engine.putExpected(0, 63, good, 0, 8)).toBe(true);
    expect(engine.putExpected(0, 64, good, 0, 8)).toBe(false); // more than the queue may have
    expect(engine.putExpected(1, 0, good, 0, 8)).toBe(false); // not prepared
    const back = new BigUint64Array(9);
    expect(engine.takeChecksums(0, 63, 8, 1, back, null)).toBe(0);
    expect([...back]).toEqual([0n, ...good]);
  });

  it('copyChecksummed copies nothing unless everything fits', () => {
    const unit = takeSlab(engine, 0);
    const slab = new Uint8Array(engine.slabBuffer(unit).buffer).fill(9);
    const source = new Uint8Array(8 * 512).fill(1);
    const room = () => [new BigUint64Array(8), new BigUint64Array(8), new Uint32Array(1)];
    const good: unknown[] = [unit, source, 0, 4096, 0x106, 512, 5, 0, 7, 0, ...room()];
    const copy = (args: readonly unknown[]) =>
      Reflect.apply(method('copyChecksummed'), engine, args) as number;
    const bad: Record<number, readonly unknown[]> = {
      0: [unit + 1, 2 ** 32 - 1, -1, undefined],
      1: [null, [], new Uint8Array(4095), new Uint8ClampedArray(4096), new Proxy(source, {})],
      2: [1, 4096, 2 ** 32 - 1, -1],
      3: [4097, 2 ** 32 - 1, -1, undefined],
      4: [0, 6, 0x10006, 2 ** 32, -1, undefined],
      5: [0, 100, undefined].slice(0, 2),
      7: [1], // a seed of more than 32 bits for CRC-32C
      8: [-1, 2 ** 53, NaN, undefined],
      9: [1, 2 ** 32 - 1, -1, undefined],
      10: badValues().filter((value) => value !== null),
      11: badValues().filter((value) => value !== null),
      12: [new Uint32Array(0), new Int32Array(1), new BigUint64Array(8), undefined],
    };
    for (const [index, values] of Object.entries(bad)) {
      for (const value of values) {
        expect(copy(good.with(Number(index), value)), `${index}: ${inspect(value)}`).toBe(-1);
        expect(slab.every((byte) => byte === 9)).toBe(true);
      }
    }
    expect(copy(good)).toBe(8);
    expect(slab.every((byte) => byte === 1)).toBe(true);
    // From the slab itself, and one byte beside: as memmove does it.
    const [first] = slab.fill(2, 0, 2048);
    expect(first).toBe(2);
    expect(copy([unit, slab, 1, 4095, ...good.slice(4, 10), null, null, null])).toBe(0);
    expect([slab[2046], slab[2047], slab[4094]]).toEqual([2, 1, 1]);
    giveSlab(engine, unit);
  });

  it('fillSlab and readSlab touch nothing outside the slab', () => {
    const unit = takeSlab(engine, 0);
    const slab = new Uint8Array(engine.slabBuffer(unit).buffer).fill(9);
    const [long, gone] = [new Uint8Array(4097).fill(1), new Uint8Array(8)];
    structuredClone(gone, { transfer: [gone.buffer] });
    const bad: readonly unknown[][] = [
      [unit, 0, long],
      [unit, 4096, long.subarray(0, 1)],
      [unit, -1, long.subarray(0, 1)],
      [unit, 2 ** 32 - 1, long.subarray(0, 2)],
      [unit + 1, 0, long.subarray(0, 1)],
      ...[gone, null, [], new Int8Array(1), new ArrayBuffer(1)].map((array) => [unit, 0, array]),
    ];
    for (const args of bad) {
      expect(Reflect.apply(method('fillSlab'), engine, args), inspect(args)).toBe(false);
      expect(Reflect.apply(method('readSlab'), engine, args), inspect(args)).toBe(false);
    }
    expect([slab.every((byte) => byte === 9), long.every((byte) => byte === 1)]).toEqual([
      true,
      true,
    ]);
    expect(engine.fillSlab(unit, 4094, long.subarray(0, 2))).toBe(true);
    expect([slab[4093], slab[4094], slab[4095]]).toEqual([9, 1, 1]);
    const back = new Uint8Array(3);
    expect(engine.readSlab(unit, 4093, back)).toBe(true);
    expect([...back]).toEqual([9, 1, 1]);
    expect(engine.fillSlab(unit, 0, slab.subarray(4094))).toBe(true); // of the slab itself
    expect([slab[0], slab[1], slab[2]]).toEqual([1, 1, 9]);
    giveSlab(engine, unit);
  });

  it('slabBuffer may be called twice, and the slab released under its feet', () => {
    const unit = takeSlab(engine, 0);
    const [one, two] = [engine.slabBuffer(unit).buffer, engine.slabBuffer(unit).buffer];
    new Uint8Array(one).fill(5);
    expect(new Uint8Array(two)[4095]).toBe(5);
    expect(giveSlab(engine, unit)).toBe(1);
    expect(giveSlab(engine, unit)).toBe(0);
    expect(() => engine.slabBuffer(unit)).toThrow(RangeError);
    expect(new Uint8Array(one)[0]).toBe(5);
    for (let i = 0; i < 4096; i++) expect(giveSlab(engine, i)).toBe(0);
  });

  it('giveSlabs takes each once, and giveLarge nothing else', () => {
    const out = new Uint32Array(3);
    expect(engine.takeSlabs(0, 0, out)).toBe(3);
    expect(engine.giveSlabs(Uint32Array.of(out[0]!, out[0]!, 2 ** 32 - 1, out[1]!), 4)).toBe(2);
    expect(engine.giveSlabs(out, 4)).toBe(0); // more than there are
    engine.giveLarge(out[2]!);
    expect(engine.giveSlabs(out, 3)).toBe(1);
    const large = engine.takeLarge(2 ** 21);
    expect(giveSlab(engine, large)).toBe(0);
    const memory = new Uint8Array(engine.slabBuffer(large).buffer).fill(1);
    expect(memory).toHaveLength(2 ** 21);
    engine.giveLarge(large);
    engine.giveLarge(large);
    expect(memory[0]).toBe(0);
    expect(() => engine.slabBuffer(large)).toThrow(RangeError);
  });

  it('slabBuffer refuses what is longer than a Buffer may be', async () => {
    const late = make({ ...OPTIONS, largeBytes: 2 ** 36 });
    await late.start();
    const unit = late.takeLarge(2 ** 36);
    expect(unit).toBeGreaterThan(0);
    for (let i = 0; i < 10; i++) {
      try {
        expect(late.slabBuffer(unit).buffer.byteLength).toBe(2 ** 36); // Node 22 and later
      } catch (error) {
        expect(error).toMatchObject({ code: 'ERR_BUFFER_TOO_LARGE' });
      }
    }
    late.giveLarge(unit);
    await late.stop();
  });

  it('an engine has up to 256 parts of memory', async () => {
    const parts = (count: number) => Array.from({ length: count }, () => OPTIONS.poolParts[0]);
    expect(() => make({ ...OPTIONS, poolParts: parts(257) })).toThrow(TypeError);
    const many = make({ ...OPTIONS, poolParts: parts(256) });
    await many.start();
    expect(many.takeSlabs(255, 0, new Uint32Array(1))).toBe(1);
    await many.stop();
  });

  it('start throws the second time', async () => {
    expect(() => engine.start()).toThrow(Error);
    const other = make();
    const started = other.start();
    expect(() => other.start()).toThrow(Error);
    await started;
    await other.stop();
  });

  it.each(METHODS)('%s does nothing before the start', async (name) => {
    const early = make();
    if (!['start', 'stop', 'takeForgotten'].includes(name)) callWithGarbage(early, name);
    for (const args of [[0, 1], [0, new Float64Array(QUEUE_STATS_NUMBERS)], [REQUEST]]) {
      if (['start', 'stop', 'takeForgotten'].includes(name)) continue;
      try {
        const result = Reflect.apply(method(name), early, args);
        expect(NOTHING).toContain(result);
      } catch (error) {
        expect(error).toBeInstanceOf(Error);
      }
    }
    await early.stop();
  });

  it.each(METHODS)('%s does no harm after the end', async (name) => {
    const late = make();
    await late.start();
    const unit = takeSlab(late, 0);
    const memory = new Uint8Array(late.slabBuffer(unit).buffer);
    const { submissions, completions } = late.queueBlocks(0);
    await late.stop();
    for (const args of [
      [],
      [0, 1],
      [unit],
      [0, new Float64Array(QUEUE_STATS_NUMBERS)],
      [REQUEST],
    ]) {
      try {
        void Reflect.apply(method(name), late, args);
      } catch (error) {
        expect(error).toBeInstanceOf(Error);
      }
    }
    // The memory outlives the engine that it came from.
    memory.fill(1);
    new Uint8Array(submissions).fill(1);
    new Uint8Array(completions).fill(1);
  });
});

describe('kick', () => {
  it('takes no more than there is room for', async () => {
    const { submissions } = engine.queueBlocks(0);
    const capacity = submissions.byteLength / LAYOUT.opSlotBytes;
    expect(engine.kick(0, capacity + 1)).toBe(false);
    expect(engine.kick(0, 2 ** 31)).toBe(false);
    expect(engine.kick(0, 2 ** 32 - 1)).toBe(false);
    expect(engine.kick(0, 0)).toBe(true);
    expect(engine.kick(0, capacity)).toBe(true);
    expect(engine.kick(0, 1)).toBe(false);
    expect(engine.kick(1, 1)).toBe(true);
    while (delivered < capacity + 1) await new Promise(setImmediate);
    expect(engine.kick(0, capacity)).toBe(true);
    while (delivered < 2 * capacity + 1) await new Promise(setImmediate);
  });

  it('brings every slot back once, whatever was in it', { timeout: 30_000 }, async () => {
    const random = new Random();
    const args = [numberedFile(), String(random.seed), '400'];
    const got = await runForJson<{ kicked: number; delivered: number }>(
      'misuse/programs/ring-fuzz.cjs',
      { args },
    );
    expect(got.kicked).toBeGreaterThan(1000);
    expect(got.delivered).toBe(got.kicked);
  });
});

describe('a callback that', () => {
  it.each([
    ['throws', true],
    ['kicks', false],
    ['stops', false],
    ['stops and forgets', false],
    ['abandons', false],
    ['starts again', true],
    ['closes what is not open', false],
  ])('%s does no harm', async (way, uncaught) => {
    const got = await runForJson('misuse/programs/addon-callbacks.cjs', {
      node: ['--expose-gc'],
      args: [way],
    });
    expect(got).toEqual({ uncaught, threads: [] });
  });
});

describe('an end', () => {
  it('may come before the start, during it, and twice', async () => {
    for (let round = 0; round < 20; round++) {
      const other = make();
      const started = round % 2 === 0 ? other.start() : undefined;
      const stopped = other.stop();
      expect(() => other.stop()).toThrow('stop() was called before');
      await Promise.all([started, stopped]);
      expect(() => other.stop()).toThrow('the engine has ended');
    }
  });

  it('settles what was asked for before it, and refuses what is asked for after it', async () => {
    for (let round = 0; round < 20; round++) {
      const other = make();
      await other.start();
      const before = [other.openFile(REQUEST), other.closeFile(0, 0), other.openFile(REQUEST)];
      const stopped = other.stop();
      const after: (() => unknown)[] = [
        () => other.start(),
        () => other.stop(),
        () => other.openFile(REQUEST),
        () => other.closeFile(0, 0),
      ];
      for (const ask of after) expect(ask).toThrow('stop() was called before');
      for (const outcome of await Promise.all(before)) expect(outcome).toHaveProperty('errno');
      await stopped;
    }
  });

  it(
    'that came before the start leaves no threads when that comes after all',
    { timeout: 30_000 },
    async () => {
      const got = await runForJson('misuse/programs/addon-late-start.cjs');
      expect(got).toEqual({ threads: [] });
    },
  );
});

describe('an engine without external buffers', () => {
  let other: Engine;
  beforeEach(async () => {
    other = make({ ...OPTIONS, without: ['EXTERNAL_BUFFERS'] });
    await other.start();
  });
  afterEach(async () => {
    await other.stop();
  });

  it('takes op slots from a copy, and none once that is gone', async () => {
    expect(other.kick(0, 1)).toBe(false); // it was never asked for
    const { submissions, completions } = other.queueBlocks(0);
    expect(other.queueBlocks(0)).toEqual({ submissions, completions });
    new Uint8Array(submissions).fill(OpKind.noop);
    const capacity = submissions.byteLength / LAYOUT.opSlotBytes;
    expect(other.kick(0, capacity + 1)).toBe(false);
    // Round and round: slots and completions stay where JavaScript looks for them.
    for (let round = 0; round < 5; round++) {
      const words = new Uint32Array(submissions);
      for (let i = 0; i < capacity - 1; i++) {
        const at = (round * (capacity - 1) + i) % capacity;
        words[(at * LAYOUT.opSlotBytes) / 4] = round * 1000 + i;
      }
      delivered = 0;
      expect(other.kick(0, capacity - 1)).toBe(true);
      while (delivered < capacity - 1) await new Promise(setImmediate);
      const results = new Uint32Array(completions);
      for (let i = 0; i < capacity - 1; i++) {
        const at = (round * (capacity - 1) + i) % capacity;
        expect(results[(at * LAYOUT.completionSlotBytes) / 4]).toBe(round * 1000 + i);
      }
    }
    for (const block of [completions, submissions]) {
      structuredClone(block, { transfer: [block] });
      delivered = 0;
      const taken = other.kick(0, 1);
      expect(taken).toBe(block === completions);
      while (taken && delivered < 1) await new Promise(setImmediate);
    }
  });

  it('gives slabs memory that is not theirs', () => {
    const unit = takeSlab(other, 0);
    const memory = new Uint8Array(other.slabBuffer(unit).buffer).fill(3);
    const back = new Uint8Array(4096).fill(1);
    expect(other.readSlab(unit, 0, back)).toBe(true);
    expect(back.includes(3)).toBe(false);
    expect(other.fillSlab(unit, 0, memory)).toBe(true);
    expect(other.readSlab(unit, 0, back)).toBe(true);
    expect(back.every((byte) => byte === 3)).toBe(true);
    giveSlab(other, unit);
  });
});
