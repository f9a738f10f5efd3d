// Shows that the rest of the engine's methods refuse what is wrong: noop, noopBatch, stats and watch.

import { BLOCK, numberedFile } from '../lifecycle/numbered-file.js';
import type { BlockFile, Engine } from 'ringbolt';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startEngine } from '../support/engine.js';
import {
  expectRefused,
  expectStillWorks,
  expectThrows,
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

let engine: Engine;
let file: BlockFile;
beforeEach(async () => {
  engine = await startEngine({ depth: 4, maxQueued: 16 });
  file = await engine.open(numberedFile());
});
afterEach(async () => {
  await expectStillWorks(engine, file);
});

describe('noopBatch refuses', () => {
  it.each(rows([undefined, ...NOT_NUMBERS]))('%s', async (_, count) => {
    const refusal = { ...TYPE, naming: ['"count"', shown(count)] };
    await expectRefused(() => engine.noopBatch(wrong(count)), refusal);
  });

  it.each([...NOT_INTEGERS, 0, -0, -1, 2 ** 24 + 1, 2 ** 53])('%d', async (count) => {
    const refusal = { ...RANGE, naming: ['"count"', shown(count)] };
    await expectRefused(() => engine.noopBatch(count), refusal);
  });

  it('more than may wait, as a whole', async () => {
    await expectRefused(() => engine.noopBatch(21), { code: 'ERR_RINGBOLT_OVERLOADED' });
    expect(engine.stats().classes.foreground.noopsTotal).toBe(0);
    await engine.noopBatch(20);
    expect(engine.stats().classes.foreground.noopsTotal).toBe(20);
  });
});

describe('watch', () => {
  async function count(
    watch: AsyncIterable<unknown>,
    onSample: (samples: number) => void = () => undefined,
  ): Promise<number> {
    let samples = 0;
    for await (const sample of watch) {
      expect(sample).toHaveProperty('iops');
      onSample(++samples);
    }
    return samples;
  }

  it.each(rows(NOT_OBJECTS))('refuses %s', (_, options) => {
    expectThrows(() => engine.watch(wrong(options)), { ...TYPE, naming: ['"options"'] });
  });

  it.each(rows(NOT_NUMBERS))('refuses intervalMs: %s', (_, intervalMs) => {
    const refusal = { ...TYPE, naming: ['options.intervalMs', shown(intervalMs)] };
    expectThrows(() => engine.watch(wrong({ intervalMs })), refusal);
  });

  it.each([...NOT_INTEGERS, 0, 9, -1, 3_600_001, 2 ** 53])(
    'refuses intervalMs: %d',
    (intervalMs) => {
      const refusal = { ...RANGE, naming: ['options.intervalMs', shown(intervalMs)] };
      expectThrows(() => engine.watch({ intervalMs }), refusal);
    },
  );

  it.each(rows([null, 5, 'signal', {}, new EventTarget(), { aborted: false }, AbortSignal]))(
    'refuses signal: %s',
    (_, signal) => {
      const refusal = { ...TYPE, naming: ['options.signal'] };
      expectThrows(() => engine.watch(wrong({ signal })), refusal);
    },
  );

  it('refuses an unknown option', () => {
    expectThrows(() => engine.watch(wrong({ interval: 100 })), { ...VALUE, naming: ['interval'] });
  });

  it('ends at once with a signal that has aborted', async () => {
    expect(await count(engine.watch({ signal: AbortSignal.abort() }))).toBe(0);
  });

  it('ends when its signal aborts, and does not mind what else happens', async () => {
    const control = new AbortController();
    const watch = engine.watch({ intervalMs: 10, signal: control.signal });
    const abort = (samples: number) => {
      if (samples === 3) control.abort();
    };
    expect(await count(watch, abort)).toBe(3);
  });

  it('may be left, thrown out of, and never begun', async () => {
    engine.watch();
    const fail = () => {
      throw new Error('as asked');
    };
    await expect(count(engine.watch({ intervalMs: 10 }), fail)).rejects.toThrow('as asked');
    const iterator = engine.watch({ intervalMs: 10 })[Symbol.asyncIterator]();
    await iterator.return?.();
    expect(await iterator.next()).toEqual({ done: true, value: undefined });
  });
});

describe('stats', () => {
  it('returns a reading of its own, which may be changed', () => {
    const reading = engine.stats();
    Object.assign(reading.classes.foreground, { readsTotal: 99 });
    Object.assign(reading.pool.classes[0]!, { inUse: 99 });
    Object.assign(reading.queues, { length: 0 });
    const next = engine.stats();
    expect(next.classes.foreground.readsTotal).toBe(0);
    expect(next.pool.classes[0]!.inUse).toBe(0);
    expect(next.queues).toHaveLength(1);
  });

  it('counts what was refused as nothing done', async () => {
    await expectRefused(() => file.read(1, new Uint8Array(BLOCK)), {
      code: 'ERR_RINGBOLT_MISALIGNED',
    });
    const { readsTotal, errorsTotal } = engine.stats().classes.foreground;
    expect([readsTotal, errorsTotal, engine.stats().queues[0]!.rejectedTotal]).toEqual([0, 0, 0]);
  });
});
