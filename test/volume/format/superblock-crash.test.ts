// Shows what rule 1 is for: a superblock that is written as two pairs with a flush between is never lost, and never two things at once,
// wherever a crash comes, also while the copies are mended, and where it spoils every sector that was being written.

import { randomBytes } from 'node:crypto';
import { expect, it } from 'vitest';
import { chooseSuperblock } from '../../../dist/lib/volume/format/superblock-copies.js';
import {
  encodeSuperblock,
  VERSION,
  type Superblock,
} from '../../../dist/lib/volume/format/superblock.js';
import { planLayout, shapeOf, SUPERBLOCK_BYTES } from '../../../dist/lib/volume/geometry.js';
import { Random } from '../../support/random.js';
import type { SimulatedDisk } from '../simulated-disk.js';
import { SimulatedWorld } from '../simulated-drive.js';

const shape = shapeOf(2 ** 30, 4096);
const first: Superblock = {
  version: VERSION,
  features: { compatible: 0n, readOnlyCompatible: 0n, incompatible: 0n },
  uuid: randomBytes(16),
  setUuid: new Uint8Array(16),
  sequence: 1,
  shape,
  algorithm: 'crc32c',
  layout: planLayout(shape),
  generationReservation: 1,
  neverWritten: 'zeros',
  baselineCursor: shape.blockCount,
  clean: false,
  identity: undefined,
  ownerNonce: randomBytes(16),
  tail: new Uint8Array(0),
};

async function writeCopies(disk: SimulatedDisk, which: readonly number[], superblock: Superblock) {
  const copy = encodeSuperblock(superblock);
  for (const pair of [which.filter((index) => index < 2), which.filter((index) => index >= 2)]) {
    await Promise.all(pair.map((index) => disk.write(index * SUPERBLOCK_BYTES, copy)));
    await disk.flush();
  }
}

async function readCopies(disk: SimulatedDisk): Promise<(Uint8Array | undefined)[]> {
  const read = async (index: number) => {
    const copy = new Uint8Array(SUPERBLOCK_BYTES);
    await disk.read(index * SUPERBLOCK_BYTES, copy);
    return copy;
  };
  return Promise.all([0, 1, 2, 3].map((index) => read(index).catch(() => undefined)));
}

it('a superblock survives every crash: the last that was written, or the one being written', async () => {
  const random = new Random();
  const world = new SimulatedWorld(random.fork());
  const drive = world.addDrive('sidecar', { size: 4 * SUPERBLOCK_BYTES });
  drive.medium.overwrite(0, Buffer.concat(new Array(4).fill(encodeSuperblock(first))));
  drive.faults.spoil = 0.6;
  /** By sequence, of all that were ever begun. */
  const begun = new Map([[first.sequence, first.ownerNonce]]);
  let written = 1;
  let newer = 0;
  let mended = 0;
  for (let round = 0; round < 1500; round++) {
    const disk = drive.open();
    const { superblock, mend } = chooseSuperblock(await readCopies(disk), drive.path);
    expect(superblock.sequence).toBeGreaterThanOrEqual(written);
    expect([...superblock.ownerNonce]).toEqual([...begun.get(superblock.sequence)!]);
    if (superblock.sequence > written) newer++;
    if (mend.length > 0) mended++;
    const work = async () => {
      await writeCopies(disk, mend, superblock);
      written = superblock.sequence;
      let last = superblock;
      for (;;) {
        last = { ...last, sequence: last.sequence + 1, ownerNonce: randomBytes(16) };
        begun.set(last.sequence, last.ownerNonce);
        await writeCopies(disk, [0, 1, 2, 3], last);
        written = last.sequence;
      }
    };
    void work();
    await world.turns.pass(random.below(40));
    world.crash();
  }
  expect(newer).toBeGreaterThan(100);
  expect(mended).toBeGreaterThan(300);
});
