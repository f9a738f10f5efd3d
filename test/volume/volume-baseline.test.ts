// Shows what a volume does about data that was there before it, or that is another than it was: baseline, rebaseline, and volumes that are out of
// step or truncated; on a simulated disk.

import { RingboltError } from 'ringbolt';
import { beforeEach, describe, expect, it } from 'vitest';
import type { OpenVolumeOptions } from '../../dist/lib/volume/open.js';
import type { Volume } from '../../dist/lib/volume/volume.js';
import { Random } from '../support/random.js';
import { BLOCK, blockOf, blocksOf, SimulatedVolume, versionsOf } from './simulated-volume.js';

const withCode = (code: string, more: object = {}) =>
  expect.objectContaining({ code, ...more }) as Error;
const corrupt = (...blocks: number[]) => withCode('ERR_RINGBOLT_CORRUPT', { blocks });
const outOfStep = withCode('ERR_RINGBOLT_OUT_OF_STEP');
const COUNT = 5 * 248 + 50;

let random: Random;
let simulated: SimulatedVolume;

/** Around data that was there: version 5 of all blocks. */
async function protect(settings: Partial<OpenVolumeOptions> = {}): Promise<Volume> {
  simulated = new SimulatedVolume(random, COUNT * BLOCK);
  simulated.data.medium.overwrite(0, blocksOf(0, COUNT, 5));
  await simulated.create('unknown');
  return open(settings);
}

/** All of it written, as version 1. */
async function written(): Promise<Volume> {
  simulated = new SimulatedVolume(random, COUNT * BLOCK);
  await simulated.create();
  const volume = await open();
  await volume.write(0, blocksOf(0, COUNT, 1));
  return volume;
}

function open(settings: Partial<OpenVolumeOptions> = {}): Promise<Volume> {
  return simulated.open({ random: () => random.below(2 ** 20) / 2 ** 20, ...settings });
}

async function readBlock(volume: Volume, block: number): Promise<number> {
  const into = new Uint8Array(BLOCK);
  await volume.read(block * BLOCK, into);
  return versionsOf(block, into)[0]!;
}

/** Until `isSo`. */
async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await simulated.world.turns.pass(1);
}

const restored = () => {
  simulated.data.medium.overwrite(0, blocksOf(0, COUNT, 8));
};

beforeEach(() => {
  random = new Random();
});

describe('the baseline', () => {
  it('begins by itself, ends with tags for all blocks, and damage is found from then on', async () => {
    const heard: number[] = [];
    const onBaselineProgress = ({ blocksDone }: { blocksDone: number }) => heard.push(blocksDone);
    let volume = await protect({ onBaselineProgress });
    expect(volume.status().baseline).toMatchObject({ state: 'running', blocks: COUNT });
    await volume.baseline();
    expect(volume.status().baseline).toMatchObject({ state: 'done', blocksDone: COUNT });
    expect(heard.at(-1)).toBe(COUNT);
    expect([...heard].sort((a, b) => a - b)).toEqual(heard);
    simulated.damage(700, 0, 9);
    await expect(readBlock(volume, 700)).rejects.toThrow(corrupt(700));
    expect(await readBlock(volume, 701)).toBe(5);
    await volume.close();
    const reads = simulated.data.counts.read;
    volume = await open();
    expect(volume.status()).toMatchObject({ state: 'open', baseline: { state: 'done' } });
    expect(simulated.data.counts.read - reads).toBeLessThanOrEqual(64); // of rule 12 alone
  });

  it('leaves blocks unverified until it has been there, and what was written meanwhile alone', async () => {
    const volume = await protect({ baseline: false });
    expect(volume.status().baseline).toMatchObject({ state: 'stopped', blocksDone: 0 });
    await volume.write(300 * BLOCK, blockOf(300, 6));
    simulated.damage(300, 0, 9);
    simulated.damage(301, 0, 9);
    expect(await readBlock(volume, 301)).toBe(9);
    const baseline = volume.baseline();
    const writes = Array.from({ length: 40 }, async () => {
      const block = random.below(300);
      await volume.write(block * BLOCK, blockOf(block, 7));
    });
    await Promise.all([baseline, ...writes]);
    expect(await readBlock(volume, 301)).toBe(9); // as it was when the baseline came
    await expect(readBlock(volume, 300)).rejects.toThrow(corrupt(300));
    simulated.damage(301, 1, 9);
    await expect(readBlock(volume, 301)).rejects.toThrow(corrupt(301));
  });

  it('reads in the background, in pieces, a few at a time', async () => {
    simulated = new SimulatedVolume(random, COUNT * BLOCK);
    await simulated.create('unknown');
    const data = simulated.data.open();
    let [running, most, longest] = [0, 0, 0];
    const classes = new Set<unknown>();
    const read = data.read.bind(data);
    data.read = async (offset, into, options) => {
      classes.add(options?.ioClass);
      most = Math.max(most, ++running);
      longest = Math.max(longest, (into as Uint8Array).length);
      try {
        return await read(offset, into, options);
      } finally {
        running--;
      }
    };
    const volume = await open({ data });
    await volume.baseline();
    expect([...classes]).toEqual(['background']);
    expect(most).toBeLessThanOrEqual(4);
    expect(longest).toBeLessThanOrEqual(2 ** 20);
  });

  it('holds no lock while it reads: writes pass it by', async () => {
    simulated = new SimulatedVolume(random, COUNT * BLOCK);
    await simulated.create('unknown');
    const data = simulated.data.open();
    const read = data.read.bind(data);
    let stuck: (() => void) | undefined;
    data.read = async (offset, into, options) => {
      if (options?.ioClass === 'background' && stuck === undefined) {
        await new Promise<void>((resolve) => (stuck = resolve));
      }
      return read(offset, into, options);
    };
    const volume = await open({ data });
    await until(() => stuck !== undefined);
    await volume.write(0, blocksOf(0, COUNT, 6));
    stuck!();
    await volume.baseline();
    simulated.damage(3, 0, 9);
    await expect(readBlock(volume, 3)).rejects.toThrow(corrupt(3));
    expect(await readBlock(volume, 4)).toBe(6);
  });

  it('goes on where it was, and a crash costs what was done since the last epoch', async () => {
    let volume = await protect();
    await until(() => volume.status().baseline.blocksDone > 600);
    await volume.settle();
    simulated.world.crash('none');
    volume = await open({ baseline: false });
    const { blocksDone } = volume.status().baseline;
    expect(blocksDone).toBeGreaterThan(600);
    simulated.damage(3, 0, 9);
    await expect(readBlock(volume, 3)).rejects.toThrow(corrupt(3));
    const first: number[] = [];
    simulated.data.onOperation = ({ kind, offset }) => {
      if (kind === 'read') first.push(offset / BLOCK);
    };
    await volume.baseline();
    expect(Math.min(...first)).toBeGreaterThanOrEqual(blocksDone);
    expect(volume.status().baseline.state).toBe('done');
  });

  it('takes a tag that was zeroed for damage, before the cursor', async () => {
    const volume = await protect();
    await volume.baseline();
    await volume.close();
    simulated.sidecar.medium.overwrite(simulated.geometry.offsetOfPage(1), new Uint8Array(4096));
    const again = await open();
    await expect(readBlock(again, 248)).rejects.toThrow(corrupt(248));
  });

  it('is paused, by a signal too, and goes on; closing stops it', async () => {
    const volume = await protect({ baseline: false });
    const controller = new AbortController();
    const aborted = volume.baseline({
      signal: controller.signal,
      onProgress: ({ blocksDone }) => {
        if (blocksDone > 200) controller.abort();
      },
    });
    await expect(aborted).rejects.toThrow(withCode('ABORT_ERR'));
    const { blocksDone, state } = volume.status().baseline;
    expect(state).toBe('stopped');
    expect(blocksDone).toBeGreaterThan(200);
    expect(blocksDone).toBeLessThan(COUNT);
    const paused = volume.baseline();
    await until(() => volume.status().baseline.state === 'running');
    await volume.pauseBaseline();
    await expect(paused).rejects.toThrow(withCode('ABORT_ERR'));
    const closed = volume.baseline();
    const before = simulated.data.counts.read;
    const closing = volume.close();
    await expect(closed).rejects.toThrow(withCode('ABORT_ERR'));
    await closing;
    expect(simulated.data.counts.read - before).toBeLessThanOrEqual(4);
    await expect(volume.baseline()).rejects.toThrow(withCode('ERR_RINGBOLT_CLOSED'));
    const again = await open();
    expect(again.status().baseline.blocksDone).toBeGreaterThanOrEqual(blocksDone);
    await again.baseline();
  });

  it('passes blocks that cannot be read: nothing is known of them', async () => {
    simulated = new SimulatedVolume(random, COUNT * BLOCK);
    simulated.data.medium.overwrite(0, blocksOf(0, COUNT, 5));
    simulated.data.medium.breakSector(20 * BLOCK);
    await simulated.create('unknown');
    let volume = await open();
    await volume.baseline();
    expect(volume.status().baseline).toMatchObject({ state: 'done', unreadable: 1 });
    await expect(readBlock(volume, 20)).rejects.toThrow(withCode('EIO'));
    await volume.close();
    volume = await open();
    await volume.write(20 * BLOCK, blockOf(20, 6));
    expect(await readBlock(volume, 20)).toBe(6);
  });

  it('does not pass blocks whose tags cannot be read', async () => {
    await (await protect({ baseline: false })).close();
    const page = simulated.geometry.offsetOfPage(1);
    simulated.sidecar.medium.breakSector(page + 512);
    let volume = await open();
    const unreadable = withCode('EIO');
    await expect(volume.baseline()).rejects.toThrow(unreadable);
    expect(volume.status()).toMatchObject({ state: 'open', baseline: { state: 'stopped' } });
    expect(volume.status().baseline.blocksDone).toBeLessThanOrEqual(248 + 31);
    await volume.close();
    simulated.sidecar.medium.mendSector(page + 512);
    volume = await open();
    await volume.baseline();
    expect(await readBlock(volume, 248 + 31)).toBe(5);
  });

  it('is not disturbed by queues that are full', async () => {
    await (await protect({ baseline: false })).close();
    const refusing = (disk: ReturnType<typeof simulated.data.open>, kinds: readonly string[]) =>
      new Proxy(disk, {
        get: (target, name) => {
          const value: unknown = Reflect.get(target, name, target);
          if (typeof value !== 'function') return value;
          return (...args: unknown[]) => {
            const isRefused = kinds.includes(String(name)) && random.below(4) === 0;
            if (!isRefused) return (value as (...all: unknown[]) => unknown).apply(target, args);
            return Promise.reject(new RingboltError('ERR_RINGBOLT_OVERLOADED', 'full'));
          };
        },
      });
    const reads = ['read', 'flush', 'writeZeroes'];
    simulated.data.limit = simulated.sidecar.limit = 2 ** 24;
    const volume = await open({
      data: refusing(simulated.data.open(), ['flush', 'writeZeroes']),
      sidecar: refusing(simulated.sidecar.open(), [...reads, 'write', 'writeBatch']),
    });
    await volume.baseline();
    await volume.grow((COUNT + 300) * BLOCK);
    await volume.baseline();
    expect(volume.status()).toMatchObject({ state: 'open', baseline: { state: 'done' } });
    await volume.close();
    const again = await open();
    for (let block = 0; block < COUNT; block++) expect(await readBlock(again, block)).toBe(5);
  });

  it('says what it failed with', async () => {
    const volume = await protect({ baseline: false });
    simulated.sidecar.faults.flush = 1;
    await expect(volume.baseline()).rejects.toThrow(withCode('EIO'));
    expect(volume.status()).toMatchObject({
      state: 'failed',
      baseline: { state: 'stopped', failure: { code: 'EIO' } },
    });
  });

  it('is none where the volume was made as zeros, or is only read', async () => {
    const zeros = await written();
    expect(zeros.status().baseline.state).toBe('none');
    await zeros.baseline();
    await (await protect({ baseline: false })).close();
    const volume = await open({ access: 'read' });
    expect(volume.status().baseline).toMatchObject({ state: 'stopped', blocksDone: 0 });
    await expect(volume.baseline()).rejects.toThrow(withCode('ERR_RINGBOLT_UNSUPPORTED'));
  });
});

describe('rebaseline', () => {
  it('takes what is there for good, in its range alone: damage that was found, and tags that are lost', async () => {
    let volume = await written();
    await volume.settle();
    for (const block of [3, 4, 900]) simulated.damage(block, 0, 9);
    await expect(readBlock(volume, 3)).rejects.toThrow(corrupt(3)); // and 4 was not found yet
    await expect(readBlock(volume, 900)).rejects.toThrow(corrupt(900));
    await volume.close();
    simulated.sidecar.medium.flipBit(simulated.geometry.offsetOfPage(0) + 512 + 100);
    volume = await open();
    await expect(readBlock(volume, 31)).rejects.toThrow(corrupt(31));
    const progress: number[] = [];
    const report = await volume.rebaseline(
      { offset: 0, length: 500 * BLOCK },
      { onProgress: ({ blocksDone }) => progress.push(blocksDone) },
    );
    expect(report).toEqual({ blocks: 500, changed: 2 + 31, unreadable: 0 });
    expect(progress.at(-1)).toBe(500);
    simulated.world.crash('none');
    volume = await open();
    expect(await readBlock(volume, 3)).toBe(9);
    expect([await readBlock(volume, 31), await readBlock(volume, 61)]).toEqual([1, 1]);
    await expect(readBlock(volume, 900)).rejects.toThrow(corrupt(900));
    simulated.damage(3, 1, 10);
    await expect(readBlock(volume, 3)).rejects.toThrow(corrupt(3));
  });

  it('keeps the tags of what cannot be read, and ends early when it is told to', async () => {
    const volume = await written();
    await volume.settle();
    simulated.data.medium.breakSector(7 * BLOCK);
    const report = await volume.rebaseline();
    expect(report).toEqual({ blocks: COUNT, changed: 0, unreadable: 1 });
    const controller = new AbortController();
    const onProgress = () => {
      controller.abort();
    };
    const aborted = volume.rebaseline(undefined, { signal: controller.signal, onProgress });
    await expect(aborted).rejects.toThrow(withCode('ABORT_ERR'));
    const closed = volume.rebaseline();
    await volume.close();
    await expect(closed).rejects.toThrow(withCode('ERR_RINGBOLT_CLOSED'));
  });

  it('refuses ranges that are none', async () => {
    const volume = await written();
    const range = (offset: number, length: number) => volume.rebaseline({ offset, length });
    await expect(range(512, BLOCK)).rejects.toThrow(withCode('ERR_RINGBOLT_MISALIGNED'));
    await expect(range(0, (COUNT + 1) * BLOCK)).rejects.toThrow(withCode('ERR_OUT_OF_RANGE'));
    expect(await range(0, 0)).toMatchObject({ blocks: 0 });
  });

  it('refuses options that are none, as a baseline does', async () => {
    const volume = await written();
    const type = withCode('ERR_INVALID_ARG_TYPE');
    for (const options of [null, { signal: {} }, { onProgress: 1 }] as object[]) {
      await expect(volume.rebaseline(undefined, options)).rejects.toThrow(type);
      await expect(volume.baseline(options)).rejects.toThrow(type);
    }
    const value = withCode('ERR_INVALID_ARG_VALUE');
    await expect(volume.baseline({ timeoutMs: 1 } as object)).rejects.toThrow(value);
    await expect(volume.rebaseline(null as never)).rejects.toThrow(type);
    expect(volume.status().state).toBe('open');
  });
});

describe('a volume whose data is another', () => {
  it('is out of step: it is verified, but neither mended nor written, until it is rebaselined', async () => {
    await (await written()).close();
    restored();
    let volume = await open();
    expect(volume.status()).toMatchObject({ state: 'out-of-step', recovery: undefined });
    await expect(readBlock(volume, 3)).rejects.toThrow(corrupt(3));
    for (const refused of [
      volume.write(0, blockOf(0, 2)),
      volume.writeZeroes(0, BLOCK),
      volume.discard(0, BLOCK),
      volume.settle(),
      volume.baseline(),
      volume.grow(2 * COUNT * BLOCK),
    ]) {
      await expect(refused).rejects.toThrow(outOfStep);
    }
    await volume.flush();
    await volume.close();
    volume = await open({ access: 'read' });
    expect(volume.status().state).toBe('out-of-step');
    await volume.close();
    volume = await open(); // closing did not make it clean
    expect(volume.status().state).toBe('out-of-step');
    // Nothing was marked as bad: the data comes back, and all is well.
    simulated.data.medium.overwrite(0, blocksOf(0, COUNT, 1));
    await volume.close();
    volume = await open();
    expect(volume.status().state).toBe('open');
    expect(await readBlock(volume, 3)).toBe(1);
    await volume.close();
    restored();
    volume = await open();
    expect(await volume.rebaseline()).toMatchObject({ blocks: COUNT, changed: COUNT });
    expect(volume.status()).toMatchObject({ state: 'open', recovery: { regions: 0 } });
    expect(await readBlock(volume, 3)).toBe(8);
    await volume.write(0, blockOf(0, 2));
    await volume.close();
    volume = await open();
    expect(volume.status().state).toBe('open');
    expect([await readBlock(volume, 0), await readBlock(volume, 1)]).toEqual([2, 8]);
  });

  it('comes into step by a part, if most of the rest is', async () => {
    await (await written()).close();
    simulated.data.medium.overwrite(0, blocksOf(0, 1200, 8));
    const volume = await open();
    expect(volume.status().state).toBe('out-of-step');
    await volume.rebaseline({ offset: 0, length: 248 * BLOCK });
    expect(volume.status().state).toBe('out-of-step');
    await volume.rebaseline({ offset: 0, length: 1000 * BLOCK });
    expect(volume.status().state).toBe('open');
    expect(await readBlock(volume, 3)).toBe(8);
    await expect(readBlock(volume, 1100)).rejects.toThrow(corrupt(1100));
  });

  it('keeps its dirty regions as they are, and what is in them is not called damaged', async () => {
    let volume = await written();
    await volume.settle();
    await volume.write(3 * BLOCK, blockOf(3, 2), { durable: true });
    simulated.world.crash('none');
    restored();
    for (let round = 0; round < 2; round++) {
      volume = await open();
      expect(volume.status().state).toBe('out-of-step');
      expect(simulated.isMarked(0)).toBe(true);
      expect(await readBlock(volume, 3)).toBe(8);
      await expect(readBlock(volume, 300)).rejects.toThrow(corrupt(300));
      await volume.close();
    }
    volume = await open();
    await volume.rebaseline();
    expect(volume.status()).toMatchObject({ state: 'open', recovery: { regions: 1 } });
    expect(simulated.isMarked(0)).toBe(false);
  });

  it('is not looked at where it is what it was, and little is read of a large one', async () => {
    const identity = { size: COUNT * BLOCK, inode: 7n, mtimeNs: 8n };
    const identify = () => Promise.resolve(identity);
    await (await written()).close();
    await (await open({ identify })).close();
    restored();
    const { data, sidecar } = simulated;
    let before = data.counts.read;
    const same = await open({ identify });
    expect(same.status()).toMatchObject({ state: 'open', changedWhileClosed: false });
    expect(data.counts.read).toBe(before);
    await same.close();
    before = data.counts.read + sidecar.counts.read;
    const other = await open({ identify: () => Promise.resolve({ ...identity, mtimeNs: 9n }) });
    expect(other.status()).toMatchObject({ state: 'out-of-step', changedWhileClosed: true });
    expect(data.counts.read + sidecar.counts.read - before).toBeLessThan(64 + 64 + 16);
  });

  it('is damaged, and not out of step, where few blocks do not match', async () => {
    await (await written()).close();
    simulated.data.medium.overwrite(0, blocksOf(0, COUNT / 3, 8));
    const volume = await open();
    expect(volume.status().state).toBe('open');
    await (await protect({ baseline: false })).close();
    expect((await open()).status().state).toBe('open'); // nothing is known of it
  });
});

describe('a volume whose data became shorter', () => {
  it('says so: what is missing is damaged, and no write makes it longer by itself', async () => {
    await (await written()).close();
    const end = 1000 * BLOCK;
    simulated.data.medium.resize(end);
    const size = () => simulated.data.medium.size;
    for (const access of ['read', 'read-write'] as const) {
      const volume = await open({ access });
      const state = access === 'read' ? 'read-only' : 'open';
      expect(volume.status()).toMatchObject({ state, truncated: true });
      expect(await readBlock(volume, 999)).toBe(1);
      const read = volume.read(999 * BLOCK, new Uint8Array(3 * BLOCK));
      await expect(read).rejects.toMatchObject({
        code: 'ERR_RINGBOLT_CORRUPT',
        blocks: [1000, 1001],
        message: expect.stringContaining('truncated') as string,
      });
      await volume.close();
    }
    let volume = await open();
    const block = blockOf(1000, 2);
    for (const refused of [
      volume.write(end, block),
      volume.write(end - BLOCK, blocksOf(999, 2, 2)),
      volume.writeZeroes(end, BLOCK),
      volume.discard(end - BLOCK, 2 * BLOCK),
      volume.grow(2 * COUNT * BLOCK),
      volume.baseline(),
    ]) {
      await expect(refused).rejects.toThrow(outOfStep);
    }
    await volume.write(end - BLOCK, blockOf(999, 2));
    expect(await volume.rebaseline()).toMatchObject({ changed: 0, unreadable: COUNT - 1000 });
    await volume.close();
    expect(size()).toBe(end);
    simulated.data.medium.resize(COUNT * BLOCK);
    volume = await open();
    expect(volume.status().truncated).toBe(false);
    await expect(readBlock(volume, 1000)).rejects.toThrow(corrupt(1000));
    await volume.write(end, block);
    expect(await readBlock(volume, 1000)).toBe(2);
  });

  it('has no baseline, nor a read that is short where nothing was known', async () => {
    await (await protect({ baseline: false })).close();
    simulated.data.medium.resize(100 * BLOCK);
    const volume = await open();
    expect(volume.status()).toMatchObject({ truncated: true, baseline: { state: 'stopped' } });
    await expect(readBlock(volume, 100)).rejects.toThrow(corrupt(100));
    expect(await readBlock(volume, 99)).toBe(5);
  });

  it('is recovered as far as it goes', async () => {
    const first = await written();
    await first.settle();
    await first.write(1000 * BLOCK, blocksOf(1000, 4, 2), { durable: true });
    simulated.world.crash('none');
    simulated.data.medium.resize(1002 * BLOCK);
    const volume = await open();
    expect(volume.status()).toMatchObject({ truncated: true, recovery: { recalculated: 2 } });
    expect(await readBlock(volume, 1001)).toBe(2);
    await expect(readBlock(volume, 1002)).rejects.toThrow(corrupt(1002));
  });
});
