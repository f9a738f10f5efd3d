// Shows that a sidecar is whole or none while it is made; that its superblock survives crashes that spoil whatever was being written
// (rule 1); that no generation is used twice, whatever crashes; and that what cannot be read is not valid.

import { randomBytes } from 'node:crypto';
import { beforeEach, describe, expect, it } from 'vitest';
import { Generations } from '../../dist/lib/volume/generations.js';
import {
  BITMAP_SECTORS,
  Geometry,
  planLayout,
  shapeOf,
  SUPERBLOCK_BYTES,
} from '../../dist/lib/volume/geometry.js';
import { createSidecar, Sidecar } from '../../dist/lib/volume/sidecar.js';
import { Random } from '../support/random.js';
import { SimulatedWorld, type SimulatedDrive } from './simulated-drive.js';

const shape = shapeOf(3 * 248 * 4096 - 100, 4096);
const geometry = new Geometry(shape, planLayout(shape));
const made = { shape, algorithm: 'crc64nvme', neverWritten: 'zeros' } as const;
const withCode = (code: string) => expect.objectContaining({ code }) as Error;

let random: Random;
let world: SimulatedWorld;
let drive: SimulatedDrive;

function newDrive(blockSize = 512): void {
  world = new SimulatedWorld(random.fork());
  drive = world.addDrive('sidecar', { size: geometry.sidecarBytes, blockSize });
}

beforeEach(() => {
  random = new Random();
  newDrive();
});

describe('a sidecar', () => {
  it('has clear bitmaps, tags that were never written and four superblocks once it is made', async () => {
    for (const blockSize of [1, 512, 4096]) {
      newDrive(blockSize);
      const uuid = randomBytes(16);
      const superblock = await createSidecar(drive.open(), { ...made, uuid });
      world.crash('none');
      const sidecar = await Sidecar.open(drive.open());
      expect(sidecar.superblocks.current).toEqual({ ...superblock, uuid: Uint8Array.from(uuid) });
      expect([sidecar.superblocks.toMend, sidecar.superblocks.writable]).toEqual([0, true]);
      expect(superblock).toMatchObject({ uuid, clean: true, baselineCursor: shape.blockCount });
      for (const bitmap of await sidecar.readBitmaps()) {
        for (let sector = 0; sector < BITMAP_SECTORS; sector++)
          expect([bitmap.isValid(sector), bitmap.isClear(sector)]).toEqual([true, true]);
      }
      const pages = new Uint8Array(3 * 4096).fill(1);
      expect(await sidecar.readPages(0, pages)).toBe(true);
      expect(pages.every((byte) => byte === 0)).toBe(true);
    }
  });

  it('is not made where there is something', async () => {
    await createSidecar(drive.open(), made);
    const before = drive.medium.visible().slice();
    await expect(createSidecar(drive.open(), made)).rejects.toThrow(withCode('EEXIST'));
    expect(Buffer.from(drive.medium.visible()).equals(before)).toBe(true);
  });

  it('is complete or none after a crash while it is made', async () => {
    const seen = { none: 0, complete: 0 };
    for (let round = 0; round < 60; round++) {
      newDrive();
      drive.faults.spoil = round % 2 === 0 ? 0 : 0.3;
      // What is left of something else; the superblocks' place is empty.
      const left = drive.medium.visible().subarray(4 * SUPERBLOCK_BYTES);
      drive.medium.overwrite(4 * SUPERBLOCK_BYTES, new Uint8Array(left.length).fill(7));
      void createSidecar(drive.open(), made);
      await world.turns.pass(1 + random.below(45));
      world.crash();
      try {
        const sidecar = await Sidecar.open(drive.open());
        for (const bitmap of await sidecar.readBitmaps()) {
          expect([...bitmap.dirty(geometry.regionCount)]).toEqual([]);
        }
        const pages = new Uint8Array(3 * 4096);
        await sidecar.readPages(0, pages);
        expect(pages.every((byte) => byte === 0)).toBe(true);
        seen.complete++;
      } catch (error) {
        expect(error).toMatchObject({ code: 'ERR_RINGBOLT_FORMAT' });
        seen.none++;
      }
    }
    expect(Math.min(...Object.values(seen)), JSON.stringify(seen)).toBeGreaterThan(5);
  });

  it('is none if it is too short, and cannot be written in large units', async () => {
    await createSidecar(drive.open(), made);
    drive.medium.resize(geometry.sidecarBytes - 4096);
    await expect(Sidecar.open(drive.open())).rejects.toThrow(withCode('ERR_RINGBOLT_FORMAT'));
    newDrive(8192);
    const unsupported = withCode('ERR_RINGBOLT_UNSUPPORTED');
    await expect(createSidecar(drive.open(), made)).rejects.toThrow(unsupported);
  });

  it('gives sectors that cannot be read as not valid, and their neighbours as they are', async () => {
    await createSidecar(drive.open(), made);
    const { bitmaps } = geometry.layout;
    drive.medium.breakSector(bitmaps[0].offset + 3 * 512);
    drive.medium.breakSector(geometry.offsetOfPage(1) + 512);
    const sidecar = await Sidecar.open(drive.open());
    const [first, second] = await sidecar.readBitmaps();
    expect([2, 3, 4].map((sector) => first.isValid(sector))).toEqual([true, false, true]);
    expect(second.isValid(3)).toBe(true);
    const page = new Uint8Array(4096);
    expect(await sidecar.readPages(1, page)).toBe(false);
    expect([...new Set(page.subarray(512, 1024))]).toEqual([0xff]);
    expect(page.every((byte, i) => byte === 0 || (i >= 512 && i < 1024))).toBe(true);
  });

  it('loses no superblock in any crash, mends its copies, and uses no generation twice', async () => {
    await createSidecar(drive.open(), made);
    drive.faults.spoil = 0.6;
    let known = { sequence: 1, nonce: '' };
    const begun = new Map<number, string>();
    let used = 0;
    const seen = { newer: 0, mended: 0, reserved: 0, used: 0 };
    for (let round = 0; round < 800; round++) {
      const { superblocks } = await Sidecar.open(drive.open());
      const { sequence, ownerNonce, generationReservation } = superblocks.current;
      expect(sequence).toBeGreaterThanOrEqual(known.sequence);
      if (sequence > 1) expect(Buffer.from(ownerNonce).toString('hex')).toBe(begun.get(sequence));
      expect(generationReservation).toBeGreaterThan(used);
      if (sequence > known.sequence) seen.newer++;
      if (superblocks.toMend > 0) seen.mended++;
      let alive = true;
      const update = async (limit: number) => {
        const nonce = randomBytes(16);
        await superblocks.update((current) => {
          if (alive) begun.set(current.sequence + 1, nonce.toString('hex'));
          return { ownerNonce: nonce, generationReservation: limit };
        });
        known = { sequence: superblocks.current.sequence, nonce: nonce.toString('hex') };
        seen.reserved++;
      };
      const work = async () => {
        await superblocks.mend();
        known = { ...known, sequence };
        await update(generationReservation + 8);
        const generations = new Generations({
          next: generationReservation,
          limit: generationReservation + 8,
          ahead: 8,
          reserve: update,
        });
        while (alive) {
          const generation = await generations.take();
          expect(generation).toBeGreaterThan(used);
          used = generation;
          seen.used++;
          await world.turns.pass(random.below(3));
        }
      };
      void work();
      await world.turns.pass(random.below(80));
      world.crash(random.below(4) === 0 ? 'process' : 'random');
      alive = false;
    }
    expect(Math.min(...Object.values(seen)), JSON.stringify(seen)).toBeGreaterThan(50);
  });

  it('has no further superblock after one that failed', async () => {
    await createSidecar(drive.open(), made);
    const { superblocks } = await Sidecar.open(drive.open());
    drive.failNext('write');
    await expect(superblocks.update(() => ({ clean: false }))).rejects.toThrow(withCode('EIO'));
    const { write } = drive.counts;
    await expect(superblocks.update(() => ({ clean: false }))).rejects.toThrow(withCode('EIO'));
    expect([superblocks.current.sequence, drive.counts.write]).toEqual([1, write]);
  });

  it('notices that somebody else has written a superblock', async () => {
    await createSidecar(drive.open(), made);
    const [one, other] = await Promise.all([
      Sidecar.open(drive.open()),
      Sidecar.open(drive.open()),
    ]);
    const updated = one.superblocks.update(() => ({ ownerNonce: randomBytes(16) }));
    await Promise.all([updated, one.superblocks.checkOwner()]);
    await expect(other.superblocks.checkOwner()).rejects.toThrow(withCode('ERR_RINGBOLT_BUSY'));
  });
});
