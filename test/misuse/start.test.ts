// Shows that Engine.start refuses every wrong option, saying which and why, and leaves nothing behind when it fails.

import { Engine, type EngineOptions } from 'ringbolt';
import { describe, expect, it } from 'vitest';
import { BLOCK, numberedFile } from '../lifecycle/numbered-file.js';
import { runForJson, runProgram } from '../lifecycle/run-program.js';
import { startEngine } from '../support/engine.js';
import {
  expectRefused,
  expectStillWorks,
  NOT_INTEGERS,
  NOT_NUMBERS,
  NOT_OBJECTS,
  RANGE,
  rows,
  shown,
  TYPE,
  VALUE,
  wrong,
} from './refusal.js';

/** An engine that should not have started must not outlive its test. */
async function start(options: unknown): Promise<void> {
  const engine = await Engine.start(wrong(options));
  await engine.close();
}

const INTEGERS: readonly [string, readonly number[], (value: unknown) => unknown][] = [
  ['options.queues', [-1, 0, 257, 2 ** 53], (queues) => ({ queues })],
  ['options.depth', [-1, 0, 16385, 2 ** 32, 2 ** 53], (depth) => ({ depth })],
  ['options.maxQueued', [-1, 2 ** 24 + 1, 2 ** 53], (maxQueued) => ({ maxQueued })],
  [
    'options.maxIoBytes',
    [-4096, 0, 1, 4095, 4097, 2 ** 20 + 512, 2 ** 26 + 4096, 2 ** 53],
    (maxIoBytes) => ({ maxIoBytes }),
  ],
  ['options.maxFiles', [-1, 0, 65537, 2 ** 53], (maxFiles) => ({ maxFiles })],
  [
    'options.pool.bytes',
    [-1, 0, 1, BLOCK, 2 ** 20 - 1, 2 ** 36 + 1, 2 ** 53],
    (bytes) => ({ pool: { bytes } }),
  ],
  ['options.affinity', [-1, 8192, 2 ** 31, 2 ** 53], (cpu) => ({ affinity: [[cpu]] })],
  [
    'options.pool.largeBytes',
    [-1, 2 ** 36 + 1, 2 ** 53],
    (largeBytes) => ({ pool: { largeBytes } }),
  ],
  [
    'options.pool.classes',
    [-4096, 0, 1, 2048, 4097, 5000, 2 ** 27, 2 ** 53],
    (size) => ({ pool: { classes: [size] } }),
  ],
];

describe('Engine.start refuses', () => {
  it.each(rows(NOT_OBJECTS))('%s in place of options', async (_, options) => {
    await expectRefused(() => start(options), { ...TYPE, naming: ['"options"', shown(options)] });
  });

  it.each([
    ['a misspelt option', { queue: 2 }, 'options.queue'],
    ['a misspelt option that is undefined', { dept: undefined }, 'options.dept'],
    ['an option of something else', { backlog: 5 }, 'options.backlog'],
    ['a misspelt option of the pool', { pool: { size: 2 ** 24 } }, 'options.pool.size'],
  ])('%s', async (_, options, name) => {
    await expectRefused(() => start(options), { ...VALUE, naming: [name] });
  });

  describe.each(INTEGERS)('%s', (name, outOfRange, options) => {
    it.each(rows(NOT_NUMBERS))('%s, which is no number', async (_, value) => {
      await expectRefused(() => start(options(value)), { ...TYPE, naming: [name, shown(value)] });
    });

    it.each(rows([...NOT_INTEGERS, ...outOfRange]))(
      '%s, which is out of range',
      async (_, value) => {
        await expectRefused(() => start(options(value)), {
          ...RANGE,
          naming: [name, shown(value)],
        });
      },
    );
  });

  it.each([
    ['a word that is none', 'all', VALUE],
    ['null', null, TYPE],
    ['a number', 0, TYPE],
    ['an object', { 0: [0], length: 1 }, TYPE],
    ['no list', [], VALUE],
    ['a list for no queue', Array.from({ length: 257 }, () => [0]), VALUE],
    ['an empty list', [[]], VALUE],
    ['a list with more CPUs than there can be', [new Array(8192).fill(0)], VALUE],
    ['numbers in place of lists', [0, 1], TYPE],
    ['a typed array in place of a list', [Uint8Array.of(0)], TYPE],
    ['a list that is not there', new Array(1), TYPE],
    ['a CPU that is not there', [new Array(1)], TYPE],
  ])('an affinity that is %s', async (_, affinity, refusal) => {
    await expectRefused(() => start({ affinity }), { ...refusal, naming: ['options.affinity'] });
  });

  it('an affinity of another number of queues', async () => {
    const options: EngineOptions = { queues: 3, affinity: [[0], [0]] };
    await expectRefused(() => start(options), { ...VALUE, naming: ['options.affinity', '3'] });
  });

  it.each(rows(NOT_OBJECTS))('%s in place of pool options', async (_, pool) => {
    await expectRefused(() => start({ pool }), { ...TYPE, naming: ['options.pool', shown(pool)] });
  });

  it.each([
    ['is null', null, TYPE],
    ['is a number', 4096, TYPE],
    ['is like an array', { 0: 4096, length: 1 }, TYPE],
    ['is a typed array', Uint32Array.of(4096), TYPE],
    ['is empty', [], VALUE],
    ['has more than 16', Array.from({ length: 17 }, (_, i) => 2 ** (12 + i)), VALUE],
    ['has one twice', [4096, 4096], RANGE],
    ['descends', [8192, 4096], RANGE],
    ['has no power of two', [4096, 12288], RANGE],
    ['has a hole', new Array(1), TYPE],
  ])('a list of slab classes that %s', async (_, classes, refusal) => {
    const options = { pool: { classes } };
    await expectRefused(() => start(options), { ...refusal, naming: ['options.pool.classes'] });
  });

  it.each(rows([true, false, null, 1, 'on', 'AUTO', {}, ['auto']]))(
    'hugePages: %s',
    async (_, hugePages) => {
      const refusal = { ...VALUE, naming: ['options.pool.hugePages', "'off', 'auto', 'require'"] };
      await expectRefused(() => start({ pool: { hugePages } }), refusal);
    },
  );

  it.each(rows([null, 1, 'yes', {}]))('debug: %s', async (_, debug) => {
    const refusal = { ...TYPE, naming: ['options.pool.debug'] };
    await expectRefused(() => start({ pool: { debug } }), refusal);
  });
});

describe('Engine.start', () => {
  it('leaves it to the machine what is undefined', async () => {
    const pool = { bytes: undefined, classes: undefined, hugePages: undefined };
    await start({
      queues: undefined,
      depth: undefined,
      maxQueued: undefined,
      maxIoBytes: undefined,
      affinity: undefined,
    });
    await start({ pool: undefined });
    await start({ pool });
  });

  it('takes options from any object: frozen, inherited, without a prototype', async () => {
    await start(Object.freeze({ depth: 1 }));
    await start(Object.create({ depth: 1 }));
    await start(Object.assign(Object.create(null) as object, { depth: 1 }));
  });

  it('rejects with what an option throws when it is read', async () => {
    const thrown = new Error('as asked');
    const fail = () => {
      throw thrown;
    };
    await expect(
      start({
        get depth() {
          return fail();
        },
      }),
    ).rejects.toBe(thrown);
    await expect(
      start({
        get pool() {
          return fail();
        },
      }),
    ).rejects.toBe(thrown);
    await expect(
      start({
        pool: {
          get bytes() {
            return fail();
          },
        },
      }),
    ).rejects.toBe(thrown);
    await expect(start(new Proxy({}, { ownKeys: fail }))).rejects.toBe(thrown);
  });

  it('refuses a revoked proxy', async () => {
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    await expect(start(proxy)).rejects.toBeInstanceOf(TypeError);
    await expect(start({ affinity: proxy })).rejects.toBeInstanceOf(TypeError);
    await expect(start({ pool: proxy })).rejects.toBeInstanceOf(TypeError);
  });

  it('uses the options as they were when it was called', async () => {
    const affinity = [[0], [0]];
    const classes = [BLOCK, 2 * BLOCK];
    const options = { depth: 4, affinity, pool: { bytes: 2 ** 20, classes } };
    const started = Engine.start(options);
    Object.assign(options, { depth: -1, affinity: 'nowhere', pool: null });
    affinity.length = 1;
    affinity[0]![0] = 1e9;
    classes[0] = NaN;
    await using engine = await started;
    expect(engine.info.depth).toBe(4);
    expect(engine.info.queues.map(({ cpusAsked }) => cpusAsked)).toEqual([[0], [0]]);
    expect(engine.pool.maxSlabBytes).toBe(2 * BLOCK);
  });

  // In a process of its own: what was read twice has reached native code unchecked, and ended the process.
  it.each([
    'a CPU that throws the second time',
    'a list that throws the second time',
    'a CPU that changes',
  ])('reads %s once', async (hostile) => {
    const end = await runProgram('misuse/programs/hostile-affinity.cjs', { args: [hostile] });
    expect(end).toEqual({ code: 0, signal: null, hung: false, stdout: 'started', stderr: '' });
  });

  it.each([
    ['memory', 'ENOMEM', ['mmap']],
    ['descriptors', 'EMFILE', []],
  ])(
    'rejects where there is not enough of %s, and works when there is',
    async (what, code, naming) => {
      const got = await runForJson<{
        code: string;
        message: string;
        bytes: number;
        threads: string[];
      }>('misuse/programs/short-of.cjs', {
        args: [numberedFile(), what],
        under: ['prlimit', '--nofile=256'],
      });
      expect(got).toMatchObject({ code, bytes: BLOCK, threads: [] });
      for (const text of naming) expect(got.message).toContain(text);
    },
  );

  it('disturbs no other engine when it fails', async () => {
    const engine = await startEngine();
    const file = await engine.open(numberedFile());
    await expectRefused(() => start({ depth: -1 }), RANGE);
    await expectRefused(() => start({ pool: { classes: [1] } }), RANGE);
    await expectStillWorks(engine, file);
  });
});
