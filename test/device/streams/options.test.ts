// Shows that wrong options of streams are refused before anything happens, with Node's errors, each naming what was wrong.

import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { Engine, type BlockFile } from 'ringbolt';
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { numberedFile } from '../../lifecycle/numbered-file.js';
import {
  expectThrows,
  NOT_INTEGERS,
  NOT_NUMBERS,
  NOT_OBJECTS,
  rows,
  shown,
  wrong,
} from '../../misuse/refusal.js';
import { tempFolder } from '../../support/temp-folder.js';

const TYPE = { code: 'ERR_INVALID_ARG_TYPE', name: 'TypeError' };
const RANGE = { code: 'ERR_OUT_OF_RANGE', name: 'RangeError' };
const VALUE = { code: 'ERR_INVALID_ARG_VALUE', name: 'TypeError' };
const METHODS = ['readable', 'writable', 'leases'] as const;
const NUMBERS = ['start', 'end', 'highWaterMark', 'chunkBytes'] as const;

let engine: Engine;
let file: BlockFile;
beforeAll(async () => {
  engine = await Engine.start({ pool: { bytes: 2 ** 20, classes: [4096, 65536] } });
});
beforeEach(async () => {
  file = await engine.open(numberedFile(1), { access: 'read-write' });
  onTestFinished(() => file.close());
});
afterAll(async () => {
  const { readsTotal, writesTotal } = engine.stats().classes.foreground;
  expect([readsTotal, writesTotal, engine.pool.stats().bytesInUse]).toEqual([0, 0, 0]);
  await engine.close();
});

describe.each(METHODS)('file.%s() refuses', (method) => {
  const attempt = (options: unknown) => () => file[method](wrong(options));

  it.each(rows(NOT_OBJECTS))('the options %s', (_, options) => {
    expectThrows(attempt(options), { ...TYPE, naming: ['options'] });
  });

  it('options it does not know', () => {
    expectThrows(attempt({ lenght: 1 }), { ...VALUE, naming: ['options.lenght'] });
    expectThrows(attempt({ encoding: 'utf8' }), { ...VALUE, naming: ['options.encoding'] });
  });

  describe.each(NUMBERS)('as %s', (name) => {
    it.each(rows(NOT_NUMBERS))('%s', (_, value) => {
      expectThrows(attempt({ [name]: value }), {
        ...TYPE,
        naming: [`options.${name}`, shown(value)],
      });
    });

    it.each(rows([...NOT_INTEGERS, -1, 2 ** 53]))('%s', (_, value) => {
      expectThrows(attempt({ [name]: value }), { ...RANGE, naming: [`options.${name}`] });
    });
  });

  it.each([
    ['an end before the start', { start: 10, end: 9 }, 'options.end'],
    ['a mark below a block', { highWaterMark: 511 }, 'options.highWaterMark'],
    ['a mark below a chunk', { highWaterMark: 8192, chunkBytes: 16384 }, 'options.highWaterMark'],
    ['a chunk below a block', { chunkBytes: 511 }, 'options.chunkBytes'],
    ['a chunk above the largest class', { chunkBytes: 65537 }, 'options.chunkBytes'],
  ])('%s', (_, options, name) => {
    expectThrows(attempt(options), { ...RANGE, naming: [name] });
  });

  it('what is no class of operations, or no signal', () => {
    expectThrows(attempt({ ioClass: 'urgent' }), { ...VALUE, naming: ['options.ioClass'] });
    for (const signal of [null, {}, 'abort', new AbortController()]) {
      expectThrows(attempt({ signal }), { ...TYPE, naming: ['options.signal'] });
    }
  });

  it('a file whose blocks no slab holds', async () => {
    const small = await Engine.start({ pool: { bytes: 8192, classes: [4096] } });
    const name = path.join(tempFolder(), 'data');
    writeFileSync(name, '');
    const other = await small.open(name);
    Object.defineProperty(other, 'blockSize', { value: 8192 });
    expectThrows(() => other[method](), { code: 'ERR_RINGBOLT_UNSUPPORTED' });
    await small.close();
  });
});

describe('file.writable() refuses', () => {
  it.each(['flush', 'padEnd'])('a %s that is no boolean', (name) => {
    for (const value of [0, 1, 'yes', null]) {
      expectThrows(() => file.writable({ [name]: value }), {
        ...TYPE,
        naming: [`options.${name}`],
      });
    }
  });
});

it('readers refuse what is for writers', () => {
  for (const option of [{ flush: true }, { padEnd: true }]) {
    expectThrows(() => file.readable(wrong(option)), VALUE);
    expectThrows(() => file.leases(wrong(option)), VALUE);
  }
});

it('sizes adapt to each other and to the pool', () => {
  for (const options of [
    {},
    { highWaterMark: 8192 },
    { chunkBytes: 65536 },
    { chunkBytes: 5000 },
  ]) {
    file.readable(options).destroy();
    expect(file.writable(options).destroy().writableHighWaterMark).toBe(
      options.highWaterMark ?? 4 * 2 ** 20,
    );
  }
});
