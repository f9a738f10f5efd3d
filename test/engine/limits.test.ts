// Shows that rate limits hold back what exceeds them and nothing else, in order, and can be changed while operations wait; and
// how callers see how full the engine is.

import type { BlockFile, Engine } from 'ringbolt';
import { expect, it, onTestFinished } from 'vitest';
import { BLOCK, numberedFile } from '../lifecycle/numbered-file.js';
import { expectRefused, rows, wrong } from '../misuse/refusal.js';
import { startEngine } from '../support/engine.js';

/** One passes, the next waits for an hour. */
const ONE = { bytesPerSecond: 1, burstMs: 1 } as const;
/** Any file. */
const PROBE = process.execPath;
const array = () => new Uint8Array(BLOCK);

async function stage(options: Parameters<typeof startEngine>[0] = {}) {
  const engine = await startEngine(options);
  const name = numberedFile();
  const [file, other] = await Promise.all([engine.open(name), engine.open(name)]);
  onTestFinished(() => {
    engine.setLimits({});
    file.setLimit(undefined);
  });
  return { engine, file, other };
}

async function settled(promise: Promise<unknown>, engine: Engine): Promise<boolean> {
  let done = false;
  void promise.finally(() => {
    done = true;
  });
  // As far as the control thread and back: time enough for what nothing holds up.
  await (await engine.open(PROBE)).close();
  return done;
}

it('in total: the second of two waits, until the limit is lifted', async () => {
  const { engine, file } = await stage({ limits: { total: ONE } });
  expect(await file.read(0, array())).toBe(BLOCK);
  const read = file.read(0, array());
  expect(engine.stats().waiting).toBe(1);
  expect(await settled(read, engine)).toBe(false);
  engine.setLimits({});
  expect(await read).toBe(BLOCK);
  expect(engine.stats().waiting).toBe(0);
});

it('by itself, when its time comes', async () => {
  const { file } = await stage({ limits: { total: { operationsPerSecond: 200, burstMs: 1 } } });
  const begun = performance.now();
  await Promise.all(Array.from({ length: 41 }, () => file.read(0, array())));
  // Timers are never early: what the limit says is a lower bound, whatever the machine.
  expect(performance.now() - begun).toBeGreaterThan((39 / 200) * 1000);
});

it('one that is larger than the bucket passes, and those behind it pay', async () => {
  const { engine, file } = await stage({ limits: { total: ONE } });
  expect(await file.read(0, new Uint8Array(4 * BLOCK))).toBe(4 * BLOCK);
  const read = file.read(0, array());
  expect(await settled(read, engine)).toBe(false);
  engine.setLimits({ total: { operationsPerSecond: 1000 } });
  expect(await read).toBe(BLOCK);
});

it('of a class: the other class is not held up', async () => {
  const { engine, file } = await stage({ limits: { background: ONE } });
  const background = () => file.read(0, array(), { ioClass: 'background' });
  expect(await background()).toBe(BLOCK);
  const read = background();
  for (let i = 0; i < 10; i++) expect(await file.read(0, array())).toBe(BLOCK);
  expect(await settled(read, engine)).toBe(false);
  engine.setLimits({ foreground: ONE });
  expect(await read).toBe(BLOCK);
});

it('of a file: others are not held up; lifted at run time', async () => {
  const { engine, file, other } = await stage();
  file.setLimit(ONE);
  expect(await file.read(0, array())).toBe(BLOCK);
  const read = file.read(0, array());
  for (let i = 0; i < 10; i++) expect(await other.read(0, array())).toBe(BLOCK);
  expect(await settled(read, engine)).toBe(false);
  file.setLimit(undefined);
  expect(await read).toBe(BLOCK);
});

it('of a file, when it is opened; closing waits for what waits', async () => {
  const { engine } = await stage();
  const limited: BlockFile = await engine.open(numberedFile(), {
    limit: { operationsPerSecond: 10, burstMs: 1 },
  });
  expect(await limited.read(0, array())).toBe(BLOCK);
  const read = limited.read(0, array());
  const closed = limited.close();
  expect(await read).toBe(BLOCK);
  await closed;
});

it('foreground passes before background that came earlier', async () => {
  const { engine, file } = await stage({ limits: { total: ONE } });
  await file.read(0, array());
  const order: string[] = [];
  const reads = (['background', 'foreground', 'background', 'foreground'] as const).map(
    async (ioClass) => {
      await file.read(0, array(), { ioClass });
      order.push(ioClass);
    },
  );
  engine.setLimits({ total: { operationsPerSecond: 100, burstMs: 1 } });
  await Promise.all(reads);
  expect(order).toEqual(['foreground', 'foreground', 'background', 'background']);
});

it('whoever waits for a limit counts against maxQueued', async () => {
  const { engine, file } = await stage({ depth: 1, maxQueued: 3, limits: { total: ONE } });
  await file.read(0, array());
  const leases = Array.from({ length: 5 }, () => engine.pool.acquire(BLOCK));
  const reads = leases.slice(0, 4).map((lease) => file.read(0, lease));
  expect(engine.pressure).toBe(1);
  await expect(file.read(0, leases[4]!)).rejects.toMatchObject({
    code: 'ERR_RINGBOLT_OVERLOADED',
  });
  const room = engine.whenRoom(2);
  expect(await settled(room, engine)).toBe(false);
  engine.setLimits({});
  await room;
  expect(await file.read(0, leases[4]!)).toBe(BLOCK);
  await Promise.all(reads);
  expect(engine.pressure).toBe(0);
});

it('those who wait for room are told in order, and no more of them than there is room for', async () => {
  const { engine, file } = await stage({ depth: 1, maxQueued: 1, limits: { total: ONE } });
  await file.read(0, array());
  const reads = [file.read(0, array()), file.read(0, array())];
  const order: number[] = [];
  const seekers = [2, 1, 1].map(async (count, index) => {
    await engine.whenRoom(count);
    order.push(index);
    await Promise.all(
      Array.from({ length: count }, () => file.read(0, engine.pool.acquire(BLOCK))),
    );
  });
  engine.setLimits({});
  await Promise.all([...reads, ...seekers]); // none is refused as too many
  expect(order).toEqual([0, 1, 2]);
});

it.each<[string, unknown, string]>([
  ['a number', 5, 'ERR_INVALID_ARG_TYPE'],
  ['null', null, 'ERR_INVALID_ARG_TYPE'],
  ['an unknown class', { idle: ONE }, 'ERR_INVALID_ARG_VALUE'],
  ['no rate', { total: {} }, 'ERR_INVALID_ARG_TYPE'],
  ['rate 0', { total: { bytesPerSecond: 0 } }, 'ERR_OUT_OF_RANGE'],
  ['rate NaN', { total: { operationsPerSecond: Number.NaN } }, 'ERR_OUT_OF_RANGE'],
  ['rate Infinity', { foreground: { bytesPerSecond: Infinity } }, 'ERR_OUT_OF_RANGE'],
  ['a string as rate', { background: { bytesPerSecond: '1M' } }, 'ERR_INVALID_ARG_TYPE'],
  ['burst 0', { total: { bytesPerSecond: 1, burstMs: 0 } }, 'ERR_OUT_OF_RANGE'],
  ['a misspelt rate', { total: { bytesPerSec: 1 } }, 'ERR_INVALID_ARG_VALUE'],
])('limits: %s is refused, and the old ones stay', async (_, limits, code) => {
  const { engine } = await stage();
  expect(() => {
    engine.setLimits(wrong(limits));
  }).toThrow(expect.objectContaining({ code }) as Error);
  await expectRefused(() => startEngine({ limits: wrong(limits) }), { code });
});

it.each(rows([0, -1, 1.5, Number.NaN, 1e9]))('whenRoom(%s) is refused', async (_, count) => {
  const { engine } = await stage();
  await expectRefused(() => engine.whenRoom(wrong(count)), { code: 'ERR_OUT_OF_RANGE' });
});
