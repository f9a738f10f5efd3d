// Shows that a lease cannot be used twice at once, nor after it was given back, nor elsewhere, nor be forged, and that whatever
// is done to its memory stays its user's problem: the slab goes back to the pool once, and to one holder at a time.

import { BlockFile, BufferPool, Engine, Lease } from 'ringbolt';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { BLOCK, isNumbered, numberedFile } from '../lifecycle/numbered-file.js';
import { runForJson } from '../lifecycle/run-program.js';
import { startEngine } from '../support/engine.js';
import {
  expectRefused,
  expectStillWorks,
  expectThrows,
  NOT_INTEGERS,
  NOT_NUMBERS,
  RANGE,
  type Refusal,
  rows,
  shown,
  TYPE,
  wrong,
} from './refusal.js';

const BUSY = { code: 'ERR_RINGBOLT_BUSY', name: 'RingboltError' };
const RELEASED = { code: 'ERR_RINGBOLT_RELEASED', name: 'RingboltError' };
const EXHAUSTED = { code: 'ERR_RINGBOLT_POOL_EXHAUSTED', name: 'RingboltError' };

const POOL_BYTES = 4 * 2 ** 20;

let engine: Engine;
let file: BlockFile;
beforeEach(async () => {
  engine = await startEngine({
    pool: { bytes: POOL_BYTES, classes: [BLOCK, 4 * BLOCK], largeBytes: 0 },
  });
  file = await engine.open(numberedFile(), { access: 'read-write' });
});
/** Every test ends with nothing leased: what it did cost nothing. */
afterEach(async () => {
  expect(engine.pool.stats().bytesInUse).toBe(0);
  await expectStillWorks(engine, file);
});

/** All the pool's small slabs at once: each must be somebody's own. */
function expectSlabsApart(): void {
  const leases = Array.from({ length: POOL_BYTES / BLOCK }, () => engine.pool.acquire(BLOCK));
  for (const [i, lease] of leases.entries()) lease.buffer.writeUInt32LE(i);
  for (const [i, lease] of leases.entries()) expect(lease.buffer.readUInt32LE()).toBe(i);
  for (const lease of leases) lease.release();
}

async function expectAllRefused(lease: unknown, refusal: Refusal): Promise<void> {
  const buffer = wrong(lease);
  await expectRefused(() => file.read(0, buffer), refusal);
  await expectRefused(() => file.write(0, buffer), refusal);
  await expectRefused(() => file.readBatch([{ offset: 0, buffer }]), refusal);
  await expectRefused(() => file.writeBatch([{ offset: 0, buffer }]), refusal);
}

describe('pool.acquire refuses', () => {
  it.each(rows([undefined, ...NOT_NUMBERS]))('%s', (_, bytes) => {
    const refusal = { ...TYPE, naming: ['"bytes"', shown(bytes)] };
    expectThrows(() => engine.pool.acquire(wrong(bytes)), refusal);
  });

  it.each([...NOT_INTEGERS, 0, -0, -1, 4 * BLOCK + 1, 2 ** 32 + 1, 2 ** 53])('%d', (bytes) => {
    const refusal = { ...RANGE, naming: ['"bytes"', shown(bytes)] };
    expectThrows(() => engine.pool.acquire(bytes), refusal);
  });

  it('more than there is, until something is released', async () => {
    const leases = Array.from({ length: POOL_BYTES / BLOCK }, () => engine.pool.acquire(BLOCK));
    const refusal = { ...EXHAUSTED, naming: [String(BLOCK), String(POOL_BYTES)] };
    expectThrows(() => engine.pool.acquire(BLOCK), refusal);
    expectThrows(() => engine.pool.acquire(4 * BLOCK), EXHAUSTED);
    await expectRefused(() => file.read(0, new Uint8Array(BLOCK)), EXHAUSTED);
    await expectRefused(() => file.write(0, new Uint8Array(BLOCK)), EXHAUSTED);
    // Leases that are there go on working.
    expect(await file.read(5 * BLOCK, leases[0]!)).toBe(BLOCK);
    expect(isNumbered(leases[0]!.buffer, 5)).toBe(true);

    leases.pop()!.release();
    expect(await file.read(0, new Uint8Array(BLOCK))).toBe(BLOCK);
    leases.push(engine.pool.acquire(BLOCK));
    expectThrows(() => engine.pool.acquire(BLOCK), EXHAUSTED);
    for (const lease of leases) lease.release();
    engine.pool.acquire(4 * BLOCK).release();
    expectSlabsApart();
  });

  it('nothing that a copied transfer waits for: it gets its turn', async () => {
    const held = Array.from({ length: POOL_BYTES / BLOCK - 2 }, () => engine.pool.acquire(BLOCK));
    const copies = Array.from({ length: 50 }, () => new Uint8Array(BLOCK));
    const reads = copies.map((copy, block) => file.read(block * BLOCK, copy));
    expect(await Promise.all(reads)).toEqual(copies.map(() => BLOCK));
    for (const [block, copy] of copies.entries()) {
      expect(isNumbered(Buffer.from(copy.buffer), block)).toBe(true);
    }
    for (const lease of held) lease.release();
  });
});

describe('a lease', () => {
  it('that was released cannot be used, released or looked into', async () => {
    const lease = engine.pool.acquire(BLOCK);
    lease.release();
    await expectAllRefused(lease, RELEASED);
    expectThrows(() => lease.buffer, RELEASED);
    for (let i = 0; i < 3; i++) {
      expectThrows(() => {
        lease.release();
      }, RELEASED);
    }
    lease[Symbol.dispose](); // which may come after a release
    expectSlabsApart();
  });

  it('that is in flight cannot be used again, until it has come back', async () => {
    const lease = engine.pool.acquire(BLOCK);
    const read = file.read(0, lease);
    await expectAllRefused(lease, BUSY);
    expect(await read).toBe(BLOCK);
    expect(await file.read(BLOCK, lease)).toBe(BLOCK);
    lease.release();
  });

  it('that was released in flight goes back to the pool when it has come back, and once', async () => {
    const lease = engine.pool.acquire(BLOCK);
    const read = file.read(0, lease);
    lease.release();
    expect(engine.pool.stats().bytesInUse).toBe(BLOCK);
    await expectAllRefused(lease, RELEASED);
    expectThrows(() => {
      lease.release();
    }, RELEASED);
    expectThrows(() => lease.buffer, RELEASED);
    lease[Symbol.dispose]();
    expect(await read).toBe(BLOCK);
    expect(engine.pool.stats().bytesInUse).toBe(0);
    expectSlabsApart();
  });

  it('that waits for its turn is in flight already', async () => {
    const small = await startEngine({ depth: 1, pool: { bytes: POOL_BYTES } });
    const numbered = await small.open(file.path);
    const leases = Array.from({ length: 20 }, () => small.pool.acquire(BLOCK));
    const reads = leases.map((lease, block) => numbered.read(block * BLOCK, lease));
    for (const lease of leases) await expectRefused(() => numbered.read(0, lease), BUSY);
    for (const lease of leases) lease.release();
    await Promise.all(reads);
    expect(small.pool.stats().bytesInUse).toBe(0);
  });

  it('cannot be in a batch twice, and the batch does not begin', async () => {
    const lease = engine.pool.acquire(BLOCK);
    const other = engine.pool.acquire(BLOCK);
    const batch = [lease, other, lease].map((buffer, i) => ({ offset: i * BLOCK, buffer }));
    await expectRefused(() => file.readBatch(batch), BUSY);
    await expectRefused(() => file.writeBatch(batch), BUSY);
    expect(engine.stats().classes.foreground.readsTotal).toBe(0);
    expect((await file.readBatch(batch.slice(1))).bytesTotal).toBe(2 * BLOCK);
    lease.release();
    other.release();
  });

  it('of another engine is refused', async () => {
    const other = await startEngine();
    const lease = other.pool.acquire(BLOCK);
    await expectAllRefused(lease, { code: 'ERR_RINGBOLT_UNSUPPORTED', naming: ['another engine'] });
    // Its memory may be read into like any other.
    expect(await file.read(7 * BLOCK, lease.buffer)).toBe(BLOCK);
    expect(isNumbered(lease.buffer, 7)).toBe(true);
    lease.release();
  });

  it('of an engine that has closed is refused by others, and can be released', async () => {
    const other = await startEngine();
    const lease = other.pool.acquire(BLOCK);
    await other.close();
    await expectAllRefused(lease, { code: 'ERR_RINGBOLT_UNSUPPORTED' });
    lease.release();
  });

  it('cannot be cloned or posted', () => {
    const lease = engine.pool.acquire(BLOCK);
    expect(structuredClone(lease)).not.toBeInstanceOf(Lease);
    lease.release();
  });
});

describe("a lease's memory", () => {
  /** Takes the memory away as far as Node allows: some versions refuse, some copy. */
  const transferTo = (transfer: (memory: ArrayBuffer) => unknown) => (lease: Lease) => {
    try {
      transfer(lease.buffer.buffer as ArrayBuffer);
    } catch (error) {
      expect(error).toMatchObject({ name: 'DataCloneError' });
    }
  };
  const WAYS: [string, (lease: Lease) => void][] = [
    ['structuredClone()', transferTo((memory) => structuredClone(memory, { transfer: [memory] }))],
    [
      'postMessage()',
      transferTo((memory) => {
        const { port1, port2 } = new MessageChannel();
        try {
          port1.postMessage(memory, [memory]);
        } finally {
          port1.close();
          port2.close();
        }
      }),
    ],
  ];

  it.each(WAYS)('may be transferred by %s before a transfer', async (_, take) => {
    const lease = engine.pool.acquire(BLOCK);
    take(lease);
    if (lease.buffer.length === 0) {
      await expectAllRefused(lease, { code: 'ERR_INVALID_ARG_VALUE', naming: ['detached'] });
    } else {
      expect(await file.read(0, lease)).toBe(BLOCK);
    }
    lease.release();
    expectSlabsApart();
  });

  it.each(WAYS)('may be transferred by %s in flight', async (_, take) => {
    const lease = engine.pool.acquire(BLOCK);
    const read = file.read(3 * BLOCK, lease);
    take(lease);
    expect(await read).toBe(BLOCK);
    if (lease.buffer.length > 0) expect(isNumbered(lease.buffer, 3)).toBe(true);
    lease.release();
    expectSlabsApart();
  });

  // Nothing in Node 20 detaches such memory without this flag; later versions have it by themselves.
  it.each(['before', 'in flight'])(
    'may be taken away by ArrayBuffer.prototype.transfer(): %s',
    async (when) => {
      const got = await runForJson('misuse/programs/transferred-lease.cjs', {
        node: ['--expose-gc', '--harmony-rab-gsab-transfer'],
        args: [numberedFile(), when],
      });
      expect(got).toEqual({ heldByTwo: 0, bytesInUse: 0 });
    },
  );

  it.each<[string, (buffer: Buffer) => void]>([
    ['a length', (buffer) => Object.defineProperty(buffer, 'length', { value: 2 ** 30 })],
    ['no length', (buffer) => Object.defineProperty(buffer, 'length', { value: undefined })],
    ['a length that is none', (buffer) => Object.defineProperty(buffer, 'length', { value: 'x' })],
    [
      'a length that changes',
      (buffer) => {
        let looks = 0;
        const get = () => (looks++ % 2 === 0 ? BLOCK : Symbol('length'));
        Object.defineProperty(buffer, 'length', { get });
      },
    ],
    ['another prototype', (buffer) => Reflect.setPrototypeOf(buffer, null)],
    ['another subarray()', (buffer) => Object.assign(buffer, { subarray: () => Buffer.alloc(9) })],
  ])('may be given %s: nothing comes of it', async (_, change) => {
    const lease = engine.pool.acquire(BLOCK);
    const memory = new Uint8Array(lease.buffer.buffer);
    change(lease.buffer);
    await Promise.allSettled([file.read(BLOCK, lease)]);
    await Promise.allSettled([file.readBatch([{ offset: 2 * BLOCK, buffer: lease }])]);
    lease.release();
    memory.fill(0);
    // The next holder of the slab has nothing of it.
    const next = engine.pool.acquire(100);
    expect(next.buffer).toBeInstanceOf(Buffer);
    expect(next.buffer).toHaveLength(100);
    next.release();
    expectSlabsApart();
    await file.close();
    file = await engine.open(file.path);
  });
});

describe('a user cannot', () => {
  it.each([
    ['Lease', Lease],
    ['BufferPool', BufferPool],
    ['BlockFile', BlockFile],
    ['Engine', Engine],
  ])('make a %s', (_, Made) => {
    const make = Made as unknown as new (...args: unknown[]) => unknown;
    using held = engine.pool.acquire(BLOCK);
    const forge = () => new make(engine.pool, 0, Buffer.alloc(BLOCK), BLOCK);
    expect(forge).toThrow(TypeError);
    expect(() => new make()).toThrow(TypeError);
    expect(() => (make as unknown as () => unknown)()).toThrow(TypeError);
    expect(held.buffer).toHaveLength(BLOCK);
  });

  // What the types hide is there all the same, for whoever does without them.
  it.each<[string, () => object, readonly string[]]>([
    ['Lease', () => Lease.prototype, ['buffer', 'release']],
    [
      'BufferPool',
      () => BufferPool.prototype,
      ['acquire', 'acquireWhenFree', 'holders', 'maxBytes', 'maxSlabBytes', 'stats', 'trim'],
    ],
    [
      'BlockFile',
      () => BlockFile.prototype,
      [
        ...[
          'acquire',
          'blockSize',
          'close',
          'direct',
          'discard',
          'flush',
          'leases',
          'node',
          'path',
          'read',
          'readBatch',
        ],
        ...[
          'readable',
          'remarks',
          'setLimit',
          'size',
          'writable',
          'write',
          'writeBatch',
          'writeZeroes',
        ],
      ],
    ],
    [
      'Engine',
      () => Engine.prototype,
      [
        ...[
          'checksum',
          'close',
          'info',
          'noop',
          'noopBatch',
          'open',
          'pool',
          'pressure',
          'setLimits',
          'stats',
        ],
        ...['watch', 'whenRoom'],
      ],
    ],
  ])('reach what is internal to a %s', (_, prototype, documented) => {
    const found = Object.getOwnPropertyNames(prototype()).filter((name) => name !== 'constructor');
    expect(found.filter((name) => !documented.includes(name))).toEqual([]);
  });

  it.each(['release', 'buffer', Symbol.dispose])('use %s of something that is no lease', (name) => {
    const use = Object.values(Object.getOwnPropertyDescriptor(Lease.prototype, name)!);
    const method = use.find((value) => typeof value === 'function') as () => unknown;
    for (const self of [undefined, {}, Object.create(Lease.prototype), engine.pool, file]) {
      expect(() => Reflect.apply(method, self, [])).toThrow(TypeError);
    }
  });

  it('put anything else in the place of what an engine or a file is made of', async () => {
    const [victim, other] = [await startEngine(), await startEngine()];
    const own = { pool: victim.pool, info: victim.info };
    Reflect.set(victim, 'pool', other.pool);
    Reflect.set(victim, 'info', other.info);
    expect(victim.pool).toBe(own.pool);
    expect(victim.info).toBe(own.info);
    Reflect.set(victim.info.queues, 'length', 0);
    expect(victim.stats().queues).toHaveLength(1);
    Reflect.set(file, 'blockSize', 1);
    const misaligned = { code: 'ERR_RINGBOLT_MISALIGNED' };
    await expectRefused(() => file.read(1, new Uint8Array(BLOCK)), misaligned);
  });
});
