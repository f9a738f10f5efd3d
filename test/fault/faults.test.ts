// Shows that whatever a backend may do (errors, short transfers, answers late and in any order) each operation settles once,
// what was acknowledged is so, and nothing is left behind: on each backend, against a model in memory.
//
// RINGBOLT_FAULT_OPERATIONS says how many operations for each backend; `npm run soak` has 100,000.

import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Engine, type BlockFile, type IoOptions, type Lease, type WriteOptions } from 'ringbolt';
import { describe, expect, it } from 'vitest';
import { withFaults, type FaultPlan } from '../../dist/lib/engine/faults.js';
import { expectRefused, rejection, wrong } from '../misuse/refusal.js';
import { BACKENDS, needBackend, type Backend } from '../support/backends.js';
import { Random } from '../support/random.js';
import { tempFolder } from '../support/temp-folder.js';
import { startFaulty } from './start-faulty.js';

const OPERATIONS = Number(process.env['RINGBOLT_FAULT_OPERATIONS'] ?? 3000);
/** How long is too long. */
const LIMIT_MS = 60_000 + OPERATIONS * 10;
const BLOCK = 512;
const LANES = 32;
const LANE_BLOCKS = 64;
const FILE_BYTES = LANES * LANE_BLOCKS * BLOCK;
/** More than half of what goes through leases is done in parts. */
const MAX_IO_BYTES = 8192;

const RATES = {
  eintr: 0.02,
  eagain: 0.02,
  eio: 0.02,
  enospc: 0.01,
  erofs: 0.01,
  shortTransfers: 0.2,
  delays: 0.3,
  lostCancels: 0.5,
};
/** What an operation may fail with; EINTR and EAGAIN are dealt with inside. */
const EXPECTED_CODES = ['EIO', 'ENOSPC', 'EROFS', 'ABORT_ERR'];

interface Failure {
  readonly code: string;
  readonly bytesDone?: number;
}

/** Two queues with faults. */
function startTwo(backend: Backend, plan: FaultPlan): Promise<Engine> {
  const pool = { bytes: 8 * 2 ** 20 };
  return startFaulty({ backend, queues: 2, depth: 16, maxIoBytes: MAX_IO_BYTES, pool }, plan);
}

/** A file, and what of it is known: what was acknowledged, until a write there failed. */
class Model {
  readonly #file: BlockFile;
  readonly #name: string;
  readonly #bytes = Buffer.alloc(FILE_BYTES);
  readonly #known = Buffer.alloc(FILE_BYTES, 1);
  mismatches = 0;

  constructor(file: BlockFile, name: string) {
    this.#file = file;
    this.#name = name;
  }

  async write(
    offset: number,
    data: Buffer,
    from: Lease | Buffer,
    options: WriteOptions,
  ): Promise<void> {
    let [done, failed] = [data.length, false];
    try {
      expect(await this.#file.write(offset, from, options)).toBe(data.length);
    } catch (error) {
      const { bytesDone = 0 } = expectFailure(error);
      [done, failed] = [bytesDone, true];
    }
    data.copy(this.#bytes, offset, 0, done);
    this.#known.fill(1, offset, offset + done);
    if (failed) this.#known.fill(0, offset + done, offset + data.length);
  }

  async read(
    offset: number,
    into: Lease | Buffer,
    memory: Buffer,
    options: IoOptions,
  ): Promise<void> {
    try {
      expect(await this.#file.read(offset, into, options)).toBe(memory.length);
    } catch (error) {
      expectFailure(error);
      return;
    }
    this.#compare(memory, offset);
  }

  compareWithDisk(): void {
    this.#compare(readFileSync(this.#name), 0);
  }

  #compare(seen: Buffer, offset: number): void {
    for (let at = 0; at < seen.length; at++) {
      const place = offset + at;
      if (this.#known[place] === 1 && seen[at] !== this.#bytes[place]) this.mismatches++;
    }
  }
}

function expectFailure(error: unknown): Failure {
  const failure = error as Failure;
  if (!EXPECTED_CODES.includes(failure.code)) throw error;
  return failure;
}

function engineThreads(): number {
  return readdirSync('/proc/self/task').filter((task) => {
    try {
      return readFileSync(`/proc/self/task/${task}/comm`, 'utf8').startsWith('ringbolt');
    } catch {
      return false; // it ended meanwhile
    }
  }).length;
}

/** Reads and writes at random, each lane in a part of the file of its own, one thing at a time. */
async function exercise(engine: Engine, model: Model, random: Random, count: number) {
  let [left, settled] = [count, 0];
  /** One operation of eight is aborted, in this turn of the event loop or in one of the next. */
  const abort = (): { signal?: AbortSignal } => {
    if (random.below(8) !== 0) return {};
    const controller = new AbortController();
    const turns = random.below(3);
    void (async () => {
      await Promise.resolve(); // not before the call that takes the signal
      for (let turn = 0; turn < turns; turn++) await setImmediate();
      controller.abort();
    })();
    return { signal: controller.signal };
  };
  const lane = async (index: number): Promise<void> => {
    while (left-- > 0) {
      const start = random.below(LANE_BLOCKS);
      const blocks = 1 + random.below(Math.min(LANE_BLOCKS - start, 40));
      const offset = (index * LANE_BLOCKS + start) * BLOCK;
      const lease = random.below(3) > 0 ? engine.pool.acquire(blocks * BLOCK) : undefined;
      const memory = lease?.buffer ?? Buffer.alloc(blocks * BLOCK);
      if (random.below(2) === 0) {
        for (let at = 0; at < memory.length; at += 4)
          memory.writeUInt32LE(random.below(2 ** 32), at);
        // The copy, because a lease is the engine's from here on.
        const durable = random.below(50) === 0;
        await model.write(offset, Buffer.from(memory), lease ?? memory, { durable, ...abort() });
      } else {
        await model.read(offset, lease ?? memory, memory, abort());
      }
      settled++;
      lease?.release();
    }
  };
  await Promise.all(Array.from({ length: LANES }, (_, index) => lane(index)));
  expect(settled).toBe(count);
}

/** Of an aborted read the kernel may still have the memory. This waits until it has not, or until the test has run too long. */
async function memoryComesBack(engine: Engine): Promise<void> {
  while (engine.pool.stats().bytesInUse > 0) await setImmediate();
}

const collectGarbage = (() => {
  setFlagsFromString('--expose-gc');
  return runInNewContext('gc') as () => void;
})();

async function residentBytes(): Promise<number> {
  for (let i = 0; i < 5; i++) {
    collectGarbage();
    await setImmediate(); // finalizers run a turn later
  }
  return process.memoryUsage().rss;
}

/** Of few operations, the swings of V8's own heap are all there is to see. */
const ENOUGH_FOR_GROWTH = 50_000;
const GROWTH_BYTES = 24 * 2 ** 20;

/** Flushes may fail too, and then go on failing until the file is opened again. */
async function flushUntilItHolds(engine: Engine, name: string): Promise<void> {
  for (;;) {
    const file = await engine.open(name, { access: 'read-write' });
    try {
      await file.flush();
      return;
    } catch (error) {
      const { code } = expectFailure(error);
      await expect(file.flush()).rejects.toMatchObject({ code });
    } finally {
      await file.close();
    }
  }
}

it('what failed to be durable is told of as the cause of what is refused, and not as itself', async () => {
  const name = path.join(tempFolder(), 'data');
  writeFileSync(name, Buffer.alloc(FILE_BYTES), { flush: true });
  const engine = await startFaulty({ backend: 'threads' }, { seed: 1, eio: 1 });
  const file = await engine.open(name, { access: 'read-write' });
  const write = (offset: number, durable = true) =>
    rejection(() => file.write(offset, Buffer.alloc(BLOCK), { durable }));
  const first = await write(8 * BLOCK);
  expect(first).toMatchObject({ code: 'EIO', offset: 8 * BLOCK });
  const refused = await write(2 * BLOCK);
  const place = { path: name, offset: 2 * BLOCK, length: BLOCK, bytesDone: 0 };
  expect(refused).toMatchObject({ code: 'EIO', errno: -5, syscall: 'write', ...place });
  const flush = await rejection(() => file.flush());
  expect(flush).toMatchObject({ code: 'EIO', path: name });
  expect(flush).not.toHaveProperty('offset');
  for (const error of [refused, flush] as Error[]) {
    expect(error.message).toMatch('failed before');
    expect(error.cause).toMatchObject({ code: 'EIO', path: name });
    expect(error).not.toBe(await rejection(() => file.flush()));
  }
  expect(await write(0, false)).not.toHaveProperty('cause'); // failed by itself
  await file.close();
});

describe.each(BACKENDS)('%s with faults', (backend) => {
  it.for([
    ['direct', 'auto'],
    ['buffered', false],
  ] as const)(
    'keeps what it acknowledged: %s',
    { timeout: LIMIT_MS },
    async ([, direct], { skip }) => {
      await needBackend(backend, skip);
      const random = new Random();
      const name = path.join(tempFolder(), 'data');
      writeFileSync(name, Buffer.alloc(FILE_BYTES), { flush: true });
      const engine = await startTwo(backend, { seed: random.seed, ...RATES });
      const file = await engine.open(name, { access: 'read-write', direct });
      const model = new Model(file, name);
      const count = Math.ceil(OPERATIONS / 2);
      await exercise(engine, model, random, Math.ceil(count / 4));
      const before = await residentBytes();
      await exercise(engine, model, random, count - Math.ceil(count / 4));
      const grown = (await residentBytes()) - before;
      if (OPERATIONS >= ENOUGH_FOR_GROWTH) expect(grown, 'bytes').toBeLessThan(GROWTH_BYTES);
      expect(model.mismatches).toBe(0);
      expect(engine.stats().classes.foreground.errorsTotal).toBeGreaterThan(0);
      expect(engine.stats().waiting).toBe(0);
      await memoryComesBack(engine);
      await flushUntilItHolds(engine, name);
      await file.close();
      await engine.close();
      model.compareWithDisk();
      expect(model.mismatches).toBe(0);
      while (engineThreads() > 0) await setImmediate();
    },
  );

  it('settles every batch once all have ended', { timeout: LIMIT_MS }, async ({ skip }) => {
    await needBackend(backend, skip);
    const random = new Random();
    const name = path.join(tempFolder(), 'data');
    writeFileSync(name, Buffer.alloc(FILE_BYTES, 7), { flush: true });
    const engine = await startTwo(backend, { seed: random.seed, ...RATES, eio: 0.002 });
    const file = await engine.open(name, { access: 'read-write' });
    const leases = Array.from({ length: 64 }, () => engine.pool.acquire(BLOCK * 8));
    const batches = Math.ceil(OPERATIONS / 64);
    const ended = { whole: 0, failed: 0 };
    for (let count = 0; count < batches; count++) {
      const transfers = leases.map((lease, index) => {
        lease.buffer.fill(0);
        return { offset: index * BLOCK * 8, buffer: lease };
      });
      try {
        const { bytesTotal } = await file.readBatch(transfers);
        expect(bytesTotal).toBe(64 * BLOCK * 8);
        for (const lease of leases) expect(lease.buffer.every((byte) => byte === 7)).toBe(true);
        ended.whole++;
      } catch (error) {
        expectFailure(error);
        ended.failed++;
      }
    }
    expect(ended.whole + ended.failed).toBe(batches);
    expect(ended.whole).toBeGreaterThan(0);
    expect(engine.stats().classes.foreground.readsTotal).toBe(batches * 64);
    for (const lease of leases) lease.release();
    expect(engine.pool.stats().bytesInUse).toBe(0);
  });
});

describe('faults', () => {
  it.each([
    [{ seed: 0 }, 'ERR_OUT_OF_RANGE', 'faults.seed'],
    [{}, 'ERR_INVALID_ARG_TYPE', 'faults.seed'],
    [{ seed: 1, eio: 1.5 }, 'ERR_OUT_OF_RANGE', 'faults.eio'],
    [{ seed: 1, eio: NaN }, 'ERR_OUT_OF_RANGE', 'faults.eio'],
    [{ seed: 1, delays: '1' }, 'ERR_INVALID_ARG_TYPE', 'faults.delays'],
    [{ seed: 1, enoent: 0.1 }, 'ERR_INVALID_ARG_VALUE', 'faults.enoent'],
    [null, 'ERR_INVALID_ARG_TYPE', 'faults'],
  ])('are refused where the plan is wrong: %j', async (plan, code, named) => {
    await expectRefused(() => Engine.start(withFaults({}, wrong(plan))), { code, naming: [named] });
  });

  it('cannot be had by name', async () => {
    const byName = { faults: { seed: 1, eio: 1 } };
    await expectRefused(() => Engine.start(wrong(byName)), {
      code: 'ERR_INVALID_ARG_VALUE',
      naming: ['options.faults'],
    });
  });
});
