// Shows the ring that the event loop polls itself: which reads it gets, that they are as right as all others, that what it
// answers at once starves nobody, and that where it cannot be had the reason stands in engine.info.

import { setImmediate as nextTurn } from 'node:timers/promises';
import type { BlockFile, Engine, EngineOptions } from 'ringbolt';
import { describe, expect, it, onTestFinished, vi, type TestContext } from 'vitest';
import { withFaults } from '../../dist/lib/engine/faults.js';
import { BLOCK, isNumbered, numberedFile } from '../lifecycle/numbered-file.js';
import { needBackend } from '../support/backends.js';
import { startEngine } from '../support/engine.js';
import { Random } from '../support/random.js';

const BLOCKS = 256;
const READS = 20_000;
/** COPY_BYTES_PER_TURN of them. */
const READS_A_TURN = 64;

interface Stage {
  readonly engine: Engine;
  readonly file: BlockFile;
}

async function stage(
  skip: TestContext['skip'],
  direct: boolean,
  options: EngineOptions = {},
): Promise<Stage> {
  const engine = await startEngine(options);
  const { active, reason } = engine.info.loopRing;
  if (!active) skip(reason);
  const file = await engine.open(numberedFile(BLOCKS), { access: 'read-write', direct });
  return { engine, file };
}

/** Reads that the loop's ring did, and that the queues did. */
function reads(engine: Engine): { readonly loop: number; readonly queues: number } {
  const { loopRing, queues } = engine.stats();
  const loop = loopRing?.classes.foreground.readsTotal ?? 0;
  const all = queues.map(({ classes }) => classes.foreground.readsTotal);
  return { loop, queues: all.reduce((sum, count) => sum + count, 0) };
}

describe.each([true, false])('on a file opened with direct: %s', (direct) => {
  it('a small read that is alone goes by it', async ({ skip }) => {
    const { engine, file } = await stage(skip, direct);
    using lease = engine.pool.acquire(4 * BLOCK);
    const copy = new Uint8Array(BLOCK);
    expect(await file.read(3 * BLOCK, lease)).toBe(4 * BLOCK);
    expect(isNumbered(lease.buffer, 3)).toBe(true);
    expect(await file.read(9 * BLOCK, copy)).toBe(BLOCK);
    expect(isNumbered(Buffer.from(copy), 9)).toBe(true);
    expect(await file.read((BLOCKS - 1) * BLOCK, lease)).toBe(BLOCK); // the end of the file
    expect(await file.read(BLOCKS * BLOCK, lease)).toBe(0);
    expect(reads(engine)).toEqual({ loop: 4, queues: 0 });
  });

  it('what is larger, hashed, or one of several goes to the queues, and so do writes', async ({
    skip,
  }) => {
    const { engine, file } = await stage(skip, direct);
    using large = engine.pool.acquire(8 * BLOCK);
    using small = engine.pool.acquire(BLOCK);
    using other = engine.pool.acquire(BLOCK);
    await file.read(0, large);
    const out = new BigUint64Array(1);
    await file.read(0, small, { checksum: { algorithm: 'crc32c', blockSize: BLOCK, out } });
    await Promise.all([file.read(BLOCK, small), file.read(2 * BLOCK, other)]);
    expect([isNumbered(small.buffer, 1), isNumbered(other.buffer, 2)]).toEqual([true, true]);
    await file.readBatch([
      { offset: 3 * BLOCK, buffer: small },
      { offset: 4 * BLOCK, buffer: other },
    ]);
    expect([isNumbered(small.buffer, 3), isNumbered(other.buffer, 4)]).toEqual([true, true]);
    await file.write(0, small);
    expect(reads(engine)).toEqual({ loop: 0, queues: 6 });
  });

  it('any mixture of reads gets what was asked for, seeded', async ({ skip }) => {
    const { engine, file } = await stage(skip, direct, { queues: 2, depth: 4 });
    const random = new Random();
    for (let round = 0; round < 300; round++) {
      const some = Array.from({ length: 1 + random.below(round % 3 === 0 ? 12 : 2) }, async () => {
        for (let turns = random.below(3); turns > 0; turns--) await nextTurn();
        const blocks = 1 + random.below(8);
        const at = random.below(BLOCKS - blocks);
        const lease = engine.pool.acquire(blocks * BLOCK);
        const gone = random.below(8) === 0;
        const controller = new AbortController();
        const read = file.read(at * BLOCK, lease, { signal: controller.signal });
        if (gone) controller.abort();
        const outcome = await read.then(
          (bytes) => bytes === blocks * BLOCK && isNumbered(lease.buffer, at),
          (error: unknown) => gone && (error as Error).name === 'AbortError',
        );
        lease.release();
        return outcome;
      });
      expect(await Promise.all(some)).not.toContain(false);
    }
    const { loop, queues } = reads(engine);
    expect(loop).toBeGreaterThan(10);
    expect(queues).toBeGreaterThan(10);
  });

  it('closing waits for it, and ending the file early does no harm', async ({ skip }) => {
    const { engine, file } = await stage(skip, direct);
    const lease = engine.pool.acquire(BLOCK);
    const read = file.read(5 * BLOCK, lease);
    const closed = engine.close();
    expect(await read).toBe(BLOCK);
    expect(isNumbered(lease.buffer, 5)).toBe(true);
    await closed;
  });
});

it('endless reads from the page cache leave timers and other callbacks their turn', async ({
  skip,
}) => {
  const { engine, file } = await stage(skip, false);
  using lease = engine.pool.acquire(BLOCK);
  const timer = vi.fn();
  setTimeout(timer, 1);
  let done = 0;
  let turns = 0;
  const count = (): void => {
    turns++;
    if (done < READS) setImmediate(count);
  };
  setImmediate(count);
  for (; done < READS; done++) await file.read((done % BLOCKS) * BLOCK, lease);
  expect(reads(engine).loop).toBe(READS);
  expect(timer).toHaveBeenCalled();
  expect(turns).toBeGreaterThanOrEqual(READS / READS_A_TURN - 1);
});

it('a signal ends a read that is under way in it', async ({ skip }) => {
  const { engine, file } = await stage(skip, true);
  using lease = engine.pool.acquire(BLOCK);
  const outcomes = [];
  for (let i = 0; i < 50; i++) {
    const controller = new AbortController();
    const read = file.read(i * BLOCK, lease, { signal: controller.signal });
    process.nextTick(() => {
      process.nextTick(() => {
        controller.abort();
      });
    }); // after it was submitted
    outcomes.push(await read.catch((error: unknown) => (error as Error).name));
    await vi.waitFor(() => {
      expect(engine.stats().loopRing!.inFlight).toBe(0);
    });
  }
  // The device may have been quicker, once in a while.
  expect(new Set(outcomes)).toContain('AbortError');
  expect(new Set([...outcomes, BLOCK])).toEqual(new Set(['AbortError', BLOCK]));
  expect(await file.read(0, lease)).toBe(BLOCK);
});

describe('where it is not to be had, engine.info says why, and reads are as right', () => {
  async function expectWithout(engine: Engine, reason: RegExp): Promise<void> {
    expect(engine.info.loopRing).toMatchObject({ name: 'LOOP_RING', active: false });
    expect(engine.info.loopRing.reason).toMatch(reason);
    expect(engine.stats().loopRing).toBeUndefined();
    const file = await engine.open(numberedFile(16));
    using lease = engine.pool.acquire(BLOCK);
    expect(await file.read(7 * BLOCK, lease)).toBe(BLOCK);
    expect(isNumbered(lease.buffer, 7)).toBe(true);
  }

  it('by request', async () => {
    vi.stubEnv('RINGBOLT_DISABLE', 'LOOP_RING');
    onTestFinished(() => {
      vi.unstubAllEnvs();
    });
    const engine = await startEngine();
    const io_uring = engine.info.backend === 'io_uring';
    await expectWithout(engine, io_uring ? /^disabled by request$/ : /./);
  });

  it.for(['aio', 'threads'] as const)('backend %s', async (backend, { skip }) => {
    await needBackend(backend, skip);
    await expectWithout(await startEngine({ backend }), new RegExp(`backend ${backend}$`));
  });

  it('with injected faults', async () => {
    const engine = await startEngine(withFaults({}, { seed: 1 }));
    await expectWithout(engine, /^faults are injected|backend/);
  });
});
