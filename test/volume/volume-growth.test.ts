// Shows how a volume grows on a simulated disk: what was there stays, what is new is zeros, a ragged last block is never damaged by it, and a crash at
// any moment leaves the old size or the new one.

import { beforeEach, describe, expect, it } from 'vitest';
import type { Volume } from '../../dist/lib/volume/volume.js';
import { Random } from '../support/random.js';
import { BLOCK, blockOf, blocksOf, SimulatedVolume, versionsOf } from './simulated-volume.js';

const withCode = (code: string, more: object = {}) =>
  expect.objectContaining({ code, ...more }) as Error;
const COUNT = 248 + 50;
const SIZES = [COUNT * BLOCK, (COUNT + 1) * BLOCK, 700 * BLOCK, 700 * BLOCK + 77, 701 * BLOCK];

let random: Random;
let simulated: SimulatedVolume;

async function newVolume(bytes: number, contents: 'zeros' | 'unknown' = 'zeros') {
  simulated = new SimulatedVolume(random, bytes, { data: 1 });
  simulated.data.limit = simulated.sidecar.limit = 2 ** 24;
  await simulated.create(contents);
  return simulated.open();
}

async function readAll(volume: Volume): Promise<Uint8Array> {
  const into = new Uint8Array(Math.ceil(volume.size / BLOCK) * BLOCK);
  expect(await volume.read(0, into)).toBe(volume.size);
  return into.subarray(0, volume.size);
}

/** The same, in larger units. */
function unitsOf(disk: ReturnType<SimulatedVolume['data']['open']>, blockSize: number) {
  return Object.defineProperty(disk, 'blockSize', { value: blockSize });
}

/** `bytes`, and zeros behind. */
function padded(bytes: Uint8Array, size: number): Buffer {
  return Buffer.concat([bytes, new Uint8Array(size - bytes.length)]);
}

async function readBlock(volume: Volume, block: number): Promise<number> {
  const into = new Uint8Array(BLOCK);
  await volume.read(block * BLOCK, into);
  return versionsOf(block, into)[0]!;
}

/** Of so many bytes, whatever blocks these are. */
function contents(bytes: number): Buffer {
  return Buffer.from(blocksOf(0, Math.ceil(bytes / BLOCK), 3)).subarray(0, bytes);
}

beforeEach(() => {
  random = new Random();
});

describe('growth', () => {
  it.each([COUNT * BLOCK, (COUNT - 1) * BLOCK + 100, 30])(
    'of a volume of %d bytes leaves what was there and adds zeros, all of it verified',
    async (bytes) => {
      let volume = await newVolume(bytes);
      const all = contents(bytes);
      await volume.write(0, all);
      for (const size of SIZES) {
        await volume.settle();
        await volume.grow(size);
        expect([volume.size, volume.status().dirtyRegions]).toEqual([size, 0]);
        expect(padded(all, size).equals(await readAll(volume))).toBe(true);
        if (random.below(2) === 0) await volume.close();
        else simulated.world.crash('none');
        volume = await simulated.open();
        expect(volume.status().recovery).toMatchObject({ recalculated: 0 });
        expect(padded(all, size).equals(await readAll(volume))).toBe(true);
      }
      await volume.write(600 * BLOCK, blocksOf(600, 20, 4));
      simulated.damage(610, 0, 9);
      simulated.damage(650, 0, 9);
      const damaged = withCode('ERR_RINGBOLT_CORRUPT', { blocks: [610, 650] });
      await expect(readAll(volume)).rejects.toThrow(damaged);
    },
  );

  it('waits for operations, and they for it', async () => {
    const volume = await newVolume(COUNT * BLOCK);
    const writes = Array.from({ length: 30 }, (_, i) => volume.write(i * BLOCK, blockOf(i, 1)));
    const grown = volume.grow(700 * BLOCK);
    const behind = volume.write(699 * BLOCK, blockOf(699, 2));
    const twice = volume.grow(800 * BLOCK);
    const read = readBlock(volume, 799);
    await Promise.all([...writes, grown, behind, twice]);
    expect(await read).toBe(0);
    expect([await readBlock(volume, 29), await readBlock(volume, 699)]).toEqual([1, 2]);
    const last = volume.grow(801 * BLOCK);
    await volume.close();
    await last;
    expect((await simulated.open()).size).toBe(801 * BLOCK);
  });

  it('begins when nobody wants a bit any more who has gone meanwhile', async () => {
    for (let round = 0; round < 20; round++) {
      const volume = await newVolume(COUNT * BLOCK);
      await volume.close();
      const bounded = await simulated.open({ maxDirtyBytes: 1 });
      const first = bounded.write(0, blockOf(0, 1));
      const impatient = new AbortController();
      const gone = bounded.write(250 * BLOCK, blockOf(250, 2), { signal: impatient.signal });
      gone.catch(() => undefined);
      await first;
      impatient.abort();
      const marked: boolean[] = [];
      simulated.sidecar.onOperation = ({ kind, offset }) => {
        if (kind !== 'write' || offset >= 4 * BLOCK) return; // superblocks
        marked.push(simulated.isMarked(0), simulated.isMarked(1));
      };
      await bounded.grow(700 * BLOCK);
      simulated.sidecar.onOperation = undefined;
      expect(marked).toContain(false);
      expect(marked).not.toContain(true);
      await expect(gone).rejects.toThrow(withCode('ABORT_ERR'));
      expect(await readBlock(bounded, 0)).toBe(1);
      await bounded.close();
    }
  });

  it('is refused where the volume would become smaller, is only read, or has no room', async () => {
    let volume = await newVolume(COUNT * BLOCK);
    await expect(volume.grow(BLOCK)).rejects.toThrow(withCode('ERR_OUT_OF_RANGE'));
    await expect(volume.grow(1.5)).rejects.toThrow(withCode('ERR_OUT_OF_RANGE'));
    await volume.grow(COUNT * BLOCK);
    for (const drive of [simulated.data, simulated.sidecar]) {
      drive.limit = drive.medium.size;
      await expect(volume.grow(700 * BLOCK)).rejects.toThrow(withCode('ENOSPC'));
      expect(volume.status()).toMatchObject({ state: 'open', truncated: false });
      await volume.write(0, blockOf(0, 1));
      drive.limit = 2 ** 24;
    }
    await volume.close();
    await expect(volume.grow(700 * BLOCK)).rejects.toThrow(withCode('ERR_RINGBOLT_CLOSED'));
    volume = await simulated.open({ access: 'read' });
    const unsupported = withCode('ERR_RINGBOLT_UNSUPPORTED');
    await expect(volume.grow(700 * BLOCK)).rejects.toThrow(unsupported);
    expect(await readBlock(volume, 0)).toBe(1);
    simulated = new SimulatedVolume(random, COUNT * BLOCK, { data: 512 });
    await simulated.create();
    await expect((await simulated.open()).grow(700 * BLOCK + 1)).rejects.toThrow(unsupported);
  });

  it('that has not come to its end leaves data behind the volume, which nobody minds', async () => {
    const bytes = (COUNT - 1) * BLOCK + 100;
    const volume = await newVolume(bytes);
    await volume.write(0, contents(bytes));
    await volume.close();
    simulated.data.medium.resize(700 * BLOCK);
    simulated.data.medium.overwrite(bytes, blocksOf(0, 10, 7));
    for (const data of [simulated.data.open(), unitsOf(simulated.data.open(), 512)]) {
      const again = await simulated.open({ access: 'read', data });
      for (const length of [BLOCK, 100]) {
        const into = new Uint8Array(length).fill(5);
        expect(await again.read((COUNT - 1) * BLOCK, into)).toBe(100);
        expect(contents(bytes).subarray(-100).equals(into.subarray(0, 100))).toBe(true);
      }
      expect(contents(bytes).equals(await readAll(again))).toBe(true);
      await again.close();
    }
  });

  it('makes zeros of what was behind the end of the volume', async () => {
    const volume = await newVolume(COUNT * BLOCK);
    simulated.data.medium.resize(700 * BLOCK);
    simulated.data.medium.overwrite(COUNT * BLOCK, blocksOf(COUNT, 10, 7));
    await volume.grow(600 * BLOCK);
    expect(await readBlock(volume, COUNT)).toBe(0);
  });

  it('is refused while the last block is short and damaged; a torn or discarded one stays what it is', async () => {
    const bytes = (COUNT - 1) * BLOCK + 100;
    let volume = await newVolume(bytes);
    await volume.write(0, contents(bytes));
    simulated.data.medium.flipBit(bytes - 1);
    const damaged = withCode('ERR_RINGBOLT_CORRUPT', { blocks: [COUNT - 1] });
    await expect(volume.grow(700 * BLOCK)).rejects.toThrow(damaged);
    await expect(volume.read(bytes - 100, new Uint8Array(100))).rejects.toThrow(damaged);
    await volume.grow(700 * BLOCK); // known to be bad, and it stays so
    await expect(readBlock(volume, COUNT - 1)).rejects.toThrow(damaged);
    await volume.write((COUNT - 1) * BLOCK, blockOf(COUNT - 1, 4));
    expect(await readBlock(volume, COUNT - 1)).toBe(4);
    volume = await newVolume(bytes);
    await volume.write(0, contents(bytes));
    await volume.discard(bytes - 100, 100);
    await volume.grow(700 * BLOCK);
    await volume.read((COUNT - 1) * BLOCK, new Uint8Array(BLOCK));
  });

  it('lets the baseline go on over what is new', async () => {
    const volume = await newVolume(COUNT * BLOCK - 50, 'unknown');
    await volume.baseline();
    await volume.grow(700 * BLOCK);
    expect(volume.status().baseline).toMatchObject({ state: 'running', blocks: 700 });
    await volume.baseline();
    for (const block of [COUNT - 1, COUNT, 699]) {
      expect(await readBlock(volume, block)).toBe(0);
      simulated.damage(block, 0, 9);
      const damaged = withCode('ERR_RINGBOLT_CORRUPT', { blocks: [block] });
      await expect(readBlock(volume, block)).rejects.toThrow(damaged);
    }
    const running = await newVolume(COUNT * BLOCK, 'unknown');
    await Promise.all([running.grow(600 * BLOCK), running.grow(900 * BLOCK), running.baseline()]);
    expect(running.status().baseline).toMatchObject({ state: 'done', blocksDone: 900 });
  });

  it('that fails half way ends all writing, or leaves the volume as it was', async () => {
    const seen = { grown: 0, old: 0, final: 0, harmless: 0 };
    for (let step = 1; seen.grown < 3; step++) {
      const bytes = (COUNT - 1) * BLOCK + 512;
      let volume = await newVolume(bytes);
      await volume.write(0, contents(bytes));
      await volume.settle();
      const size = 600 * BLOCK + 99;
      let steps = 0;
      for (const drive of [simulated.data, simulated.sidecar]) {
        drive.onOperation = ({ kind, durable }) => {
          if (kind === 'read' || ++steps !== step) return;
          drive.failNext(kind === 'flush' || durable ? 'flush' : 'write');
        };
      }
      const error = await volume.grow(size).catch((thrown: unknown) => thrown);
      for (const drive of [simulated.data, simulated.sidecar]) drive.onOperation = undefined;
      const { state } = volume.status();
      if (error === undefined) seen.grown++;
      else expect(error).toMatchObject({ code: 'EIO' });
      if (error !== undefined) seen[state === 'failed' ? 'final' : 'harmless']++;
      if (state === 'open') {
        expect(volume.size).toBe(error === undefined ? size : bytes);
        await volume.write(0, contents(BLOCK), { durable: true });
      } else {
        await expect(volume.write(0, contents(BLOCK))).rejects.toThrow(withCode('EIO'));
      }
      simulated.world.crash();
      volume = await simulated.open();
      if (volume.size === bytes) seen.old++;
      else expect(volume.size).toBe(size);
      expect(padded(contents(bytes), volume.size).equals(await readAll(volume))).toBe(true);
      if (volume.size === bytes) await volume.grow(size);
      expect(padded(contents(bytes), size).equals(await readAll(volume))).toBe(true);
    }
    console.log(JSON.stringify(seen));
    for (const [what, count] of Object.entries(seen)) expect(count, what).toBeGreaterThan(1);
  }, 60_000);

  it('is old or new after a crash at any moment, and nothing is damaged', async () => {
    const seen = { old: 0, new: 0, recalculated: 0 };
    for (let round = 0; round < 120; round++) {
      const bytes = (COUNT - 1) * BLOCK + 1 + random.below(BLOCK);
      const volume = await newVolume(bytes);
      const all = contents(bytes);
      await volume.write(0, all);
      await volume.flush();
      const size = bytes + 1 + random.below(random.below(2) === 0 ? BLOCK : 400 * BLOCK);
      let sizeBefore = bytes;
      void volume.grow(size).then(() => {
        sizeBefore = volume.size;
      });
      await simulated.world.turns.pass(1 + random.below(90));
      simulated.world.crash();
      const possible = [sizeBefore, size];
      const again = await simulated.open();
      expect(possible).toContain(again.size);
      expect(again.status().truncated).toBe(false);
      expect(padded(all, again.size).equals(await readAll(again))).toBe(true);
      seen[again.size === bytes ? 'old' : 'new']++;
      seen.recalculated += again.status().recovery!.recalculated;
      // The same once more, from whatever was left behind.
      await again.grow(size + 5000);
      expect(padded(all, again.size).equals(await readAll(again))).toBe(true);
    }
    console.log(JSON.stringify(seen));
    for (const [what, count] of Object.entries(seen)) expect(count, what).toBeGreaterThan(2);
  }, 60_000);
});
