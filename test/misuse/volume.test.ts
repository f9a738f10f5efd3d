// Shows that a volume takes no harm from arguments that are wrong, lie about themselves, or change while they are waited for: what cannot be
// done is refused, what was promised is done, no block loses its checksum, and the volume can be used and closed afterwards.

import { statSync } from 'node:fs';
import path from 'node:path';
import { Volume, type Engine, type Lease, type Transfer } from 'ringbolt';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startEngine } from '../support/engine.js';
import { tempFolder } from '../support/temp-folder.js';
import { expectRefused, RANGE, TYPE, VALUE, wrong } from './refusal.js';
import { resizable } from './resizable.js';

const BLOCK = 4096;
const BLOCKS = 64;
const SIZE = BLOCKS * BLOCK;
const GONE = { ...VALUE, naming: ['detached or resized'] };

let engine: Engine;
let folder: string;
let volume: Volume;
/** What each block is to hold. */
let wanted: number[];

beforeEach(async () => {
  engine = await startEngine();
  folder = tempFolder();
  volume = await Volume.create(engine, path.join(folder, 'data'), { size: SIZE });
  await volume.write(0, Buffer.alloc(SIZE, 1));
  wanted = Array.from({ length: BLOCKS }, () => 1);
});

/** All blocks hold what they are to hold, verified; the volume is written to as before, and closes cleanly. */
afterEach(async () => {
  const into = Buffer.alloc(SIZE);
  await volume.read(0, into);
  expect(wanted.map((_, block) => into[block * BLOCK])).toEqual(wanted);
  expect(wanted.every((byte, i) => holds(into.subarray(i * BLOCK, (i + 1) * BLOCK), byte))).toBe(
    true,
  );
  await volume.write(0, Buffer.alloc(SIZE, 9), { durable: true });
  await volume.flush();
  expect(volume.status().state).toBe('open');
  await volume.close();
  const again = await Volume.open(engine, volume.path);
  expect(again.status().recovery).toMatchObject({ regions: 0 });
  await again.close();
});

function holds(bytes: Uint8Array, byte: number): boolean {
  return bytes.every((one) => one === byte);
}

/** `late` begins when it has to wait for another write of the same blocks, in whose place it comes. */
async function behindAnother(late: () => Promise<unknown>): Promise<unknown> {
  const first = volume.write(0, Buffer.alloc(4 * BLOCK, 2));
  wanted.fill(2, 0, 4);
  const second = late();
  await first;
  return second;
}

describe('memory that changes while its write waits for another', () => {
  it('is refused when it was transferred', async () => {
    const array = new Uint8Array(2 * BLOCK).fill(3);
    const write = () => {
      const writing = volume.write(0, array);
      structuredClone(array.buffer, { transfer: [array.buffer] });
      return writing;
    };
    await expectRefused(() => behindAnother(write), GONE);
  });

  it('is refused when it has become too small', async () => {
    const memory = resizable(2 * BLOCK, 4 * BLOCK);
    const write = () => {
      const writing = volume.write(0, new Uint8Array(memory));
      memory.resize(BLOCK);
      return writing;
    };
    await expectRefused(() => behindAnother(write), GONE);
  });

  it('is written as long as it was when it has grown', async () => {
    const memory = resizable(2 * BLOCK, 4 * BLOCK);
    const write = () => {
      const writing = volume.write(0, new Uint8Array(memory).fill(4));
      memory.resize(4 * BLOCK);
      return writing;
    };
    expect(await behindAnother(write)).toBe(2 * BLOCK);
    wanted.fill(4, 0, 2);
  });

  it('has the options that it had in the beginning', async () => {
    const options = { timeoutMs: 60_000 as unknown };
    const write = () => {
      const writing = volume.write(0, Buffer.alloc(BLOCK, 5), wrong(options));
      Object.assign(options, { stable: 5, signal: {}, timeoutMs: 'soon' });
      return writing;
    };
    expect(await behindAnother(write)).toBe(BLOCK);
    wanted[0] = 5;
  });
});

describe('memory that lies about itself', () => {
  const lying = (get: () => number) => {
    const array = new Uint8Array(2 * BLOCK).fill(6);
    Object.defineProperty(array, 'length', { get });
    return array;
  };
  const once = () => {
    let asked = 0;
    return () => {
      if (asked++ > 0) throw new Error('asked twice');
      return BLOCK;
    };
  };
  it.each<[string, () => () => number]>([
    ['longer', () => () => 4 * BLOCK],
    ['shorter', () => () => BLOCK],
    ['another each time', once],
  ])('by a length that is %s is taken for what it is', async (_, length) => {
    expect(await volume.write(0, lying(length()))).toBe(2 * BLOCK);
    wanted.fill(6, 0, 2);
    const into = lying(length());
    expect(await volume.read(BLOCKS * BLOCK - 2 * BLOCK, into)).toBe(2 * BLOCK);
    expect(holds(Buffer.from(into.buffer), 1)).toBe(true);
    const buffer = lying(length());
    expect(await volume.writeBatch([{ offset: 0, buffer }])).toMatchObject({
      bytesTotal: 2 * BLOCK,
    });
  });

  it('by the buffer of a lease is taken for what it is', async () => {
    const lease = engine.pool.acquire(2 * BLOCK);
    lease.buffer.fill(7);
    let asked = 0;
    Object.defineProperty(lease, 'buffer', {
      get: () => {
        if (asked++ > 0) throw new Error('asked twice');
        return { length: BLOCK };
      },
    });
    expect(await volume.write(0, lease)).toBe(2 * BLOCK);
    wanted.fill(7, 0, 2);
    lease.release();
  });

  it.each<[string, unknown, object]>([
    ['empty', new Uint8Array(0), VALUE],
    ['shared', new Uint8Array(new SharedArrayBuffer(BLOCK)), TYPE],
    ['a proxy', new Proxy(new Uint8Array(BLOCK), {}), TYPE],
    ['of the prototype alone', Object.create(Uint8Array.prototype), TYPE],
    ['of larger elements', new Uint16Array(BLOCK), TYPE],
  ])('or is %s is refused', async (_, memory, refusal) => {
    const options = { code: '', ...refusal };
    await expectRefused(() => volume.read(0, wrong(memory)), options);
    await expectRefused(() => volume.write(0, wrong(memory)), options);
    const batch = [{ offset: 0, buffer: memory }];
    await expectRefused(() => volume.readBatch(wrong(batch)), options);
    await expectRefused(() => volume.writeBatch(wrong(batch)), options);
  });
});

describe('a batch', () => {
  const one = (offset: number): Transfer => ({ offset, buffer: Buffer.alloc(BLOCK, 8) });

  it.each<[string, unknown, object]>([
    ['with a hole', Object.assign([one(0)], { 2: one(BLOCK) }), { ...TYPE, naming: ['ops[1]'] }],
    ['with something else', [one(0), 5, one(BLOCK)], { ...TYPE, naming: ['ops[1]', '5'] }],
    ['of nobody knows how many', new Proxy([], { get: () => -1 }), RANGE],
  ])('%s is refused, and nothing of it begins', async (_, ops, refusal) => {
    const options = { code: '', ...refusal };
    for (const onError of ['wait', 'abort', 'collect'] as const) {
      await expectRefused(() => volume.writeBatch(wrong(ops), { onError }), options);
      await expectRefused(() => volume.readBatch(wrong(ops), { onError }), options);
    }
  });

  it('whose transfers change when they are looked at again is that of the first look', async () => {
    for (const onError of ['wait', 'abort', 'collect'] as const) {
      let looks = 0;
      const changing = {
        offset: 0,
        get buffer() {
          return Buffer.alloc(looks++ === 0 ? BLOCK : 3, 8);
        },
      };
      expect(await volume.writeBatch([changing], { onError })).toMatchObject({ bytesTotal: BLOCK });
    }
    wanted[0] = 8;
  });

  it('is read whole, though a lease of it is released in flight', async () => {
    const leases = [0, 1, 2].map(() => engine.pool.acquire(BLOCK));
    const ops = leases.map((buffer, block) => ({ offset: block * BLOCK, buffer }));
    const reading = volume.readBatch(ops);
    leases[1]!.release();
    expect(await reading).toMatchObject({ bytesTotal: 3 * BLOCK });
    for (const lease of [leases[0]!, leases[2]!]) lease.release();
  });
});

describe('what is refused durably', () => {
  it('is no failure of the volume', async () => {
    const other = await startEngine();
    const foreign = other.pool.acquire(BLOCK);
    const durable = { durable: true };
    await expectRefused(() => volume.write(0, foreign, durable), {
      code: 'ERR_RINGBOLT_UNSUPPORTED',
      naming: ['another engine'],
    });
    foreign.release();
    const lease = engine.pool.acquire(BLOCK);
    const twice = [0, BLOCK].map((offset) => ({ offset, buffer: lease }));
    await expectRefused(() => volume.writeBatch(twice, durable), { code: 'ERR_RINGBOLT_BUSY' });
    const reading = volume.read(0, lease);
    await expectRefused(() => volume.write(0, lease, durable), { code: 'ERR_RINGBOLT_BUSY' });
    await reading;
    lease.release();
    await expectRefused(() => volume.write(0, lease, durable), { code: 'ERR_RINGBOLT_RELEASED' });
  });

  it('with options that throw, is none either', async () => {
    const options = {
      get signal(): AbortSignal {
        throw new Error('mine');
      },
    };
    await expect(volume.flush(options)).rejects.toThrow('mine');
    await expect(volume.write(0, Buffer.alloc(BLOCK), options)).rejects.toThrow('mine');
  });
});

describe('a baseline or rebaseline', () => {
  it.each<[string, unknown, object]>([
    ['null', null, TYPE],
    ['a number', 5, TYPE],
    ['a misspelt name', { onprogress: () => 0 }, VALUE],
    ['a signal that is none', { signal: {} }, { ...TYPE, naming: ['options.signal'] }],
    ['no signal but null', { signal: null }, TYPE],
    ['a listener that is none', { onProgress: 5 }, { ...TYPE, naming: ['options.onProgress'] }],
  ])('with %s for options is refused', async (_, options, refusal) => {
    const expected = { code: '', ...refusal };
    await expectRefused(() => volume.baseline(wrong(options)), expected);
    await expectRefused(() => volume.rebaseline(undefined, wrong(options)), expected);
  });

  it.each<[unknown, object]>([
    [null, TYPE],
    [5, TYPE],
    [{}, TYPE],
    [{ offset: 0, length: BLOCK, end: 0 }, VALUE],
    [
      { offset: 0, length: 2 * SIZE },
      { ...RANGE, naming: ['length', `${SIZE}`] },
    ],
    [{ offset: 0, length: 5 }, { code: 'ERR_RINGBOLT_MISALIGNED' }],
  ])('of %o is refused', async (range, refusal) => {
    const before = volume.stats().data.reads;
    await expectRefused(() => volume.rebaseline(wrong(range)), { code: '', ...refusal });
    expect(volume.stats().data.reads).toBe(before);
  });
});

describe('a place', () => {
  it('that is none is named, as an error of ringbolt', async () => {
    const nowhere = path.join(folder, 'nowhere', 'data');
    const refusal = { code: 'ENOENT', name: 'RingboltError', naming: [nowhere] };
    await expectRefused(() => Volume.create(engine, nowhere, { size: SIZE }), refusal);
    const name = path.join(folder, 'other');
    const options = { size: SIZE, metaPath: nowhere };
    await expectRefused(() => Volume.create(engine, name, options), refusal);
    expect(() => statSync(name)).toThrow('ENOENT');
  });
});

describe('a pool of which nothing is left', () => {
  it('does not keep a volume from growing, though those who have it all wait for that', async () => {
    const leases = allLeases();
    const growing = volume.grow(SIZE + BLOCK);
    const reading = leases.map(async (lease) => {
      await volume.read(0, lease);
      lease.release();
    });
    await Promise.all([growing, ...reading]);
    expect(volume.size).toBe(SIZE + BLOCK);
  });

  it('does not keep a volume from being closed', async () => {
    await volume.write(0, Buffer.alloc(BLOCK, 1));
    const leases = allLeases();
    await volume.close();
    for (const lease of leases) lease.release();
    volume = await Volume.open(engine, volume.path);
  });

  function allLeases(): Lease[] {
    const leases: Lease[] = [];
    for (let bytes = 2 ** 20; bytes >= BLOCK; bytes /= 2) {
      try {
        for (;;) leases.push(engine.pool.acquire(bytes));
      } catch (error) {
        expect(error).toMatchObject({ code: 'ERR_RINGBOLT_POOL_EXHAUSTED' });
      }
    }
    return leases;
  }
});
