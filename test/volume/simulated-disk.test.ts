// Shows that the simulated disk loses what a disk may lose and nothing else, and that its faults are those that it is asked for: what is
// shown with it is worth no more than this.

import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { setBits } from '../support/checksums.js';
import { startEngine } from '../support/engine.js';
import { Random } from '../support/random.js';
import { tempFolder } from '../support/temp-folder.js';
import { SimulatedWorld, type SimulatedDiskOptions } from './simulated-drive.js';
import { CRASHES, type Crash } from './simulated-medium.js';

const KIB = 1024;

function newDrive(options: Partial<SimulatedDiskOptions> = {}) {
  const world = new SimulatedWorld(new Random());
  const drive = world.addDrive('data', { size: 64 * KIB, ...options });
  return { world, drive, disk: drive.open() };
}

const filled = (bytes: number, value: number) => new Uint8Array(bytes).fill(value);
const withCode = (code: string) => expect.objectContaining({ code }) as Error;

/** The first byte of each sector. */
const sectors = (bytes: Uint8Array) =>
  Array.from({ length: bytes.length / 512 }, (_, i) => bytes[i * 512]!);

/** Whether it is settled after many turns. */
async function isSettled(world: SimulatedWorld, promise: Promise<unknown>): Promise<boolean> {
  let settled = false;
  const settle = () => (settled = true);
  promise.then(settle, settle);
  await world.turns.pass(100);
  return settled;
}

describe('a simulated disk', () => {
  it('reads what was written, synced or not', async () => {
    const { disk, drive } = newDrive();
    const data = randomBytes(4 * KIB);
    expect(await disk.write(8 * KIB, data)).toBe(4 * KIB);
    const read = new Uint8Array(8 * KIB);
    expect(await disk.read(6 * KIB, read)).toBe(8 * KIB);
    expect(Buffer.from(read.subarray(2 * KIB, 6 * KIB)).equals(data)).toBe(true);
    expect(drive.medium.durable().every((byte) => byte === 0)).toBe(true);
    await disk.flush();
    expect(Buffer.from(drive.medium.durable(8 * KIB, 4 * KIB)).equals(data)).toBe(true);
    expect(await disk.read(62 * KIB, read)).toBe(2 * KIB); // the end
    expect(await disk.read(64 * KIB, read)).toBe(0);
  });

  it('has what was flushed after every crash, and of the rest any version of any sector', async () => {
    const random = new Random();
    const seen = { old: 0, middle: 0, last: 0, torn: 0, flying: 0 };
    for (let round = 0; round < 150; round++) {
      const world = new SimulatedWorld(random.fork());
      const drive = world.addDrive('data', { size: 16 * 512 });
      const disk = drive.open();
      // What was written to each sector, in order; never two at a time to one, as nobody says which comes first.
      const history = Array.from({ length: 16 }, () => [0]);
      const busy = new Set<number>();
      const resolved = new Array<number>(16).fill(0);
      const certain = new Array<number>(16).fill(0);
      let value = 0;
      for (let step = 0; step < 40; step++) {
        const first = random.below(16);
        const count = Math.min(1 + random.below(4), 16 - first);
        const range = Array.from({ length: count }, (_, i) => first + i);
        if (random.below(6) === 0) {
          const covered = [...resolved];
          void disk.flush().then(() => {
            for (const [i, at] of covered.entries()) certain[i] = Math.max(certain[i]!, at);
          });
        } else if (!range.some((sector) => busy.has(sector))) {
          value++;
          for (const sector of range) {
            busy.add(sector);
            history[sector]!.push(value);
          }
          const ends = range.map((sector) => history[sector]!.length - 1);
          const durable = random.below(8) === 0;
          void disk.write(first * 512, filled(count * 512, value), { durable }).then(() => {
            for (const [i, sector] of range.entries()) {
              busy.delete(sector);
              resolved[sector] = ends[i]!;
              if (durable) certain[sector] = ends[i]!;
            }
          });
        }
        if (random.below(3) === 0) await world.turns.pass(1 + random.below(6));
      }
      const kind = CRASHES[random.below(CRASHES.length)]!;
      world.crash(kind);
      const bytes = drive.medium.visible();
      expect(Buffer.from(bytes).equals(drive.medium.durable())).toBe(true);
      for (const [sector, found] of sectors(bytes).entries()) {
        const whole = bytes.subarray(sector * 512, sector * 512 + 512);
        expect(whole.every((byte) => byte === found)).toBe(true);
        const at = history[sector]!.indexOf(found);
        expect(at, `sector ${sector}, ${kind}`).toBeGreaterThanOrEqual(certain[sector]!);
        const last = history[sector]!.length - 1;
        if (kind === 'all') expect(at).toBe(last);
        if (certain[sector] === last) continue;
        if (at === last) seen.last++;
        else if (at === certain[sector]) seen.old++;
        else seen.middle++;
        if (at === last && busy.has(sector)) seen.flying++;
        const next = history[sector + 1];
        if (
          next?.at(-1) === history[sector]!.at(-1) &&
          at === last &&
          bytes[sector * 512 + 512] !== found
        ) {
          seen.torn++;
        }
      }
    }
    for (const [what, count] of Object.entries(seen)) expect(count, what).toBeGreaterThan(10);
  });

  it.each<[Crash, (values: number[]) => boolean]>([
    ['none', (values) => values.every((value) => value === 0)],
    ['all', (values) => values.every((value, i) => value === i + 1)],
    ['every-other', (values) => values.every((value, i) => value === (i % 2 === 0 ? i + 1 : 0))],
    ['prefix', (values) => values.every((value, i) => value === 0 || values[i - 1] !== 0)],
  ])(
    'keeps of sixteen sectors written in order, in a crash of kind %s, as it says',
    async (kind, is) => {
      for (let round = 0; round < 10; round++) {
        const { world, drive, disk } = newDrive({ size: 16 * 512 });
        for (let i = 0; i < 16; i++) await disk.write(i * 512, filled(512, i + 1));
        world.crash(kind);
        const values = sectors(drive.medium.visible());
        expect(is(values), String(values)).toBe(true);
      }
    },
  );

  it('and its neighbour lose what they lose by themselves', async () => {
    let differ = 0;
    for (let round = 0; round < 20; round++) {
      const world = new SimulatedWorld(new Random());
      const drives = ['data', 'sidecar'].map((name) => world.addDrive(name, { size: 16 * KIB }));
      for (const drive of drives) await drive.open().write(0, filled(16 * KIB, 1));
      world.crash();
      const [data, sidecar] = drives.map(({ medium }) => sectors(medium.visible()).join(''));
      if (data !== sidecar) differ++;
    }
    expect(differ).toBe(20); // the same in one of 2^32
  });

  it('makes a durable write durable, and no other', async () => {
    const { world, drive, disk } = newDrive();
    await disk.write(0, filled(KIB, 1));
    await disk.write(512, filled(KIB, 2), { durable: true });
    world.crash('none');
    expect(sectors(drive.medium.visible(0, 2 * KIB))).toEqual([0, 2, 2, 0]);
  });

  it('flushes what had resolved before, and nothing that came later', async () => {
    for (let round = 0; round < 20; round++) {
      const { world, drive, disk } = newDrive();
      await disk.write(0, filled(512, 1));
      await Promise.all([disk.flush(), disk.write(0, filled(KIB, 2))]);
      world.crash('none');
      expect(sectors(drive.medium.visible(0, KIB))).toEqual([1, 0]);
    }
  });

  it('shows a read that overlaps a write some of both', async () => {
    const { disk } = newDrive();
    const into = new Uint8Array(16 * KIB);
    let mixed = false;
    for (let round = 1; round < 50 && !mixed; round++) {
      await Promise.all([disk.write(0, filled(16 * KIB, round)), disk.read(0, into)]);
      mixed = new Set(into).size > 1;
    }
    expect(mixed).toBe(true);
  });

  it('does the same with the same seed', async () => {
    const run = async (seed: number) => {
      const world = new SimulatedWorld(new Random(seed));
      const drive = world.addDrive('data', { size: 32 * KIB });
      const disk = drive.open();
      drive.faults.write = 0.2;
      const log: string[] = [];
      const ops = Array.from({ length: 30 }, (_, i) =>
        disk.write((i % 7) * KIB, filled(2 * KIB, i + 1)).then(
          () => log.push(`${i} at ${world.turns.now}`),
          (error: unknown) => log.push(`${i} ${String(error)}`),
        ),
      );
      await Promise.all(ops);
      world.crash();
      return `${log.join()} ${Buffer.from(drive.medium.visible()).toString('base64')}`;
    };
    expect(await run(7)).toBe(await run(7));
    expect(await run(7)).not.toBe(await run(8));
  });

  it('never answers a process that is gone, and answers the next one', async () => {
    const { world, drive, disk } = newDrive();
    const read = disk.read(0, new Uint8Array(512));
    const write = disk.write(0, filled(512, 1));
    const flush = disk.flush();
    world.crash();
    const later = [disk.read(0, new Uint8Array(512)), disk.write(0, filled(512, 3))];
    for (const one of [read, write, flush, ...later])
      expect(await isSettled(world, one)).toBe(false);
    expect(await drive.open().write(0, filled(512, 2))).toBe(512);
    expect(drive.medium.visible(0, 1)[0]).toBe(2);
    await disk.close();
  });

  it('does nothing more once the power has failed', async () => {
    for (let round = 0; round < 30; round++) {
      const { world, drive, disk } = newDrive();
      for (let i = 0; i < 16; i++) void disk.write(i * KIB, filled(KIB, 1), { durable: true });
      await world.turns.pass(1 + (round % 8)); // in the same turn as some of them
      world.crash();
      const left = drive.medium.visible().slice();
      await world.turns.pass(20);
      expect(Buffer.from(drive.medium.visible()).equals(left)).toBe(true);
      expect([drive.medium.unsyncedSectors, drive.medium.pending.size]).toEqual([0, 0]);
    }
  });

  it('may crash as an operation begins, and has done nothing of it', async () => {
    const { world, drive, disk } = newDrive();
    drive.onOperation = ({ kind, offset, length, durable }) => {
      expect([kind, offset, length, durable]).toEqual(['write', KIB, 512, true]);
      world.crash('all');
    };
    const write = disk.write(KIB, filled(512, 1), { durable: true });
    expect(await isSettled(world, write)).toBe(false);
    expect(drive.medium.visible(KIB, 1)[0]).toBe(0);
    expect(drive.counts.write).toBe(1);
  });

  it('refuses what is misaligned, and everything once it is closed', async () => {
    const { disk } = newDrive({ blockSize: 4 * KIB });
    const misaligned = withCode('ERR_RINGBOLT_MISALIGNED');
    await expect(disk.read(512, new Uint8Array(4 * KIB))).rejects.toThrow(misaligned);
    await expect(disk.write(0, new Uint8Array(512))).rejects.toThrow(misaligned);
    await expect(disk.discard(0, 1)).rejects.toThrow(misaligned);
    const write = disk.write(0, filled(4 * KIB, 1));
    await disk.close();
    expect(await write).toBe(4 * KIB);
    await expect(disk.flush()).rejects.toThrow(withCode('ERR_RINGBOLT_CLOSED'));
  });

  it('zeroes, and leaves anything behind where it discards', async () => {
    const { disk, drive } = newDrive();
    await disk.write(0, filled(64 * KIB, 9));
    await disk.writeZeroes(KIB, KIB);
    expect(sectors(drive.medium.visible(0, 4 * KIB))).toEqual([9, 9, 0, 0, 9, 9, 9, 9]);
    await disk.discard(32 * KIB, 32 * KIB);
    const left = new Set(sectors(drive.medium.visible(32 * KIB)));
    expect(left.has(0) && left.has(9) && left.size > 2).toBe(true);
    expect(sectors(drive.medium.visible(28 * KIB, 4 * KIB))).toEqual(new Array(8).fill(9));
  });
});

describe('faults of a simulated disk', () => {
  it('reads fail by chance, and where a sector is broken until it is written', async () => {
    const { disk, drive } = newDrive();
    drive.failNext('read');
    await expect(disk.read(0, new Uint8Array(KIB))).rejects.toThrow(withCode('EIO'));
    drive.medium.breakSector(3 * KIB);
    const failed = disk.read(2 * KIB, new Uint8Array(2 * KIB));
    await expect(failed).rejects.toThrow(
      expect.objectContaining({ code: 'EIO', bytesDone: KIB }) as Error,
    );
    expect(await disk.read(0, new Uint8Array(3 * KIB))).toBe(3 * KIB);
    await disk.write(3 * KIB, filled(512, 1));
    expect(await disk.read(2 * KIB, new Uint8Array(2 * KIB))).toBe(2 * KIB);
  });

  it.each(['write', 'noSpace'] as const)(
    '%s: some sectors are written, the first for certain',
    async (fault) => {
      const { disk, drive } = newDrive();
      let halves = 0;
      for (let round = 1; round < 40; round++) {
        drive.failNext(fault);
        const error = await disk
          .write(0, filled(8 * KIB, round))
          .catch((reason: unknown) => reason);
        expect(error).toEqual(withCode(fault === 'write' ? 'EIO' : 'ENOSPC'));
        const { bytesDone } = error as { bytesDone: number };
        const values = sectors(drive.medium.visible(0, 8 * KIB));
        expect(values.slice(0, bytesDone / 512)).toEqual(new Array(bytesDone / 512).fill(round));
        if (values.includes(round) && values.some((value) => value !== round)) halves++;
      }
      expect(halves).toBeGreaterThan(10);
    },
  );

  it('a write beyond the end has no room', async () => {
    const { disk } = newDrive();
    await expect(disk.write(63 * KIB, filled(2 * KIB, 1))).rejects.toThrow(withCode('ENOSPC'));
  });

  it('a flush that failed is final, and a later one does not have what it lost', async () => {
    const { world, disk, drive } = newDrive();
    await disk.write(0, filled(512, 1));
    drive.failNext('flush');
    await expect(disk.flush()).rejects.toThrow(withCode('EIO'));
    await disk.write(512, filled(512, 2));
    await expect(disk.flush()).rejects.toThrow('failed before');
    await expect(disk.write(512, filled(512, 2), { durable: true })).rejects.toThrow(
      withCode('EIO'),
    );
    const other = drive.open();
    await other.flush(); // succeeds, and lies
    expect(sectors(drive.medium.visible(0, KIB))).toEqual([1, 2]);
    world.crash('none');
    expect(sectors(drive.medium.visible(0, KIB))).toEqual([0, 2]);
  });

  it('a flush that lies does nothing', async () => {
    const { world, disk, drive } = newDrive();
    drive.faults.lie = 1;
    await disk.write(0, filled(512, 1), { durable: true });
    await disk.flush();
    world.crash('none');
    expect(drive.medium.visible(0, 1)[0]).toBe(0);
  });

  it('a crash may spoil what was being written, and nothing else', async () => {
    const { world, disk, drive } = newDrive();
    await disk.write(0, filled(64 * KIB, 1), { durable: true });
    await disk.write(0, filled(32 * KIB, 2));
    drive.faults.spoil = 1;
    world.crash();
    let unreadable = 0;
    for (let at = 0; at < 64 * KIB; at += 512) {
      const bytes = drive.medium.visible(at, 512);
      const isOne = bytes.every((byte) => byte === bytes[0]);
      expect(isOne && bytes[0] !== 0, `at ${at}`).toBe(at >= 32 * KIB);
      if (drive.medium.unreadableIn(at, 512) !== undefined) unreadable++;
    }
    expect(unreadable).toBeGreaterThan(10);
    expect(unreadable).toBeLessThan(54);
    expect(drive.medium.unreadableIn(32 * KIB, 32 * KIB)).toBe(undefined);
  });

  it('a misdirected write is durable somewhere else', async () => {
    const { world, disk, drive } = newDrive();
    drive.failNext('misdirect');
    expect(await disk.write(0, filled(4 * KIB, 1))).toBe(4 * KIB);
    await disk.flush();
    world.crash('none');
    const values = sectors(drive.medium.visible());
    expect(values.filter((value) => value === 1)).toHaveLength(8);
    expect(drive.medium.visible(0, 512).every((byte) => byte === 1)).toBe(values[0] === 1);
  });

  it('bits flip for good, and the size changes', async () => {
    const { world, disk, drive } = newDrive();
    drive.medium.flipBit(1000, 3);
    drive.medium.overwrite(2000, filled(5, 7));
    world.crash('none');
    expect([drive.medium.visible(1000, 1)[0], drive.medium.visible(2004, 1)[0]]).toEqual([8, 7]);
    const other = drive.open();
    await other.write(0, filled(4 * KIB, 1));
    drive.medium.resize(KIB);
    expect([other.size, await other.read(0, new Uint8Array(4 * KIB))]).toEqual([KIB, KIB]);
    drive.medium.resize(8 * KIB);
    expect(sectors(drive.medium.visible(0, 2 * KIB))).toEqual([1, 1, 0, 0]);
    expect(disk.size).toBe(8 * KIB);
  });
});

describe('interrupting a simulated disk', () => {
  it('keeps from beginning what was aborted before', async () => {
    const { disk, drive } = newDrive();
    const signal = AbortSignal.abort('why');
    await expect(disk.write(0, filled(512, 1), { signal })).rejects.toThrow(withCode('ABORT_ERR'));
    await expect(disk.read(0, filled(512, 1), { signal })).rejects.toThrow(withCode('ABORT_ERR'));
    expect(drive.counts).toEqual({ read: 0, write: 0, flush: 0, discard: 0, writeZeroes: 0 });
  });

  it('ends a read at once, and a write with its real outcome, or some of it', async () => {
    const { world, disk, drive } = newDrive({ maxDelay: 50 });
    const read = disk.read(0, new Uint8Array(512), { timeoutMs: 1 });
    const begun = world.turns.now;
    await expect(read).rejects.toThrow(withCode('ERR_RINGBOLT_TIMEOUT'));
    expect(world.turns.now - begun).toBeLessThan(3);
    const controller = new AbortController();
    const { signal } = controller;
    const write = disk.write(0, filled(512, 1), { signal });
    controller.abort();
    expect(await write).toBe(512);
    drive.faults.interrupt = 1;
    let some = false;
    for (let round = 2; round < 40 && !some; round++) {
      const torn = disk.write(0, filled(4 * KIB, round), { timeoutMs: 1 });
      await expect(torn).rejects.toThrow(withCode('ERR_RINGBOLT_TIMEOUT'));
      const values = sectors(drive.medium.visible(0, 4 * KIB));
      some = values.includes(round) && !values.every((value) => value === round);
    }
    expect(some).toBe(true);
  });
});

describe('memory of a simulated disk', () => {
  it('an array is copied as a write begins, a lease is looked at until it is done', async () => {
    const { disk, drive } = newDrive({ size: 64 * KIB });
    const { pool } = await startEngine();
    const array = filled(16 * KIB, 1);
    const copied = disk.write(0, array);
    array.fill(2);
    await copied;
    expect(new Set(drive.medium.visible(0, 16 * KIB))).toEqual(new Set([1]));
    const lease = pool.acquire(16 * KIB);
    lease.buffer.fill(3);
    const looked = disk.write(16 * KIB, lease);
    const second = disk.write(0, lease);
    await expect(second).rejects.toThrow(withCode('ERR_RINGBOLT_BUSY'));
    lease.buffer.fill(4);
    await looked;
    expect(new Set(drive.medium.visible(16 * KIB, 16 * KIB))).toEqual(new Set([4]));
    expect(await disk.read(0, lease)).toBe(16 * KIB);
    expect(lease.buffer.every((byte) => byte === 1)).toBe(true);
    lease.release();
    await expect(disk.read(0, lease)).rejects.toThrow(withCode('ERR_RINGBOLT_RELEASED'));
  });

  it('leases in flight come back when the power fails', async () => {
    const { world, disk } = newDrive();
    const { pool } = await startEngine();
    const lease = pool.acquire(4 * KIB);
    void disk.write(0, lease);
    world.crash();
    lease.release();
    expect(pool.stats().bytesInUse).toBe(0);
  });

  it('checksums are those of a file', async () => {
    const { disk, drive } = newDrive();
    const data = randomBytes(64 * KIB);
    drive.medium.overwrite(0, data);
    const name = path.join(tempFolder(), 'data');
    writeFileSync(name, data);
    const engine = await startEngine();
    const file = await engine.open(name, { access: 'read-write' });
    for (const algorithm of ['crc32c', 'crc64nvme', 'xxh3'] as const) {
      const results = [];
      for (const target of [file, disk]) {
        const out = new BigUint64Array(30).fill(7n);
        const expected = new BigUint64Array(30);
        const mismatches = new Uint32Array(1);
        const formula = { algorithm, blockSize: 4 * KIB, seed: 9n, firstBlock: 12 };
        await target.read(0, new Uint8Array(32 * KIB), { checksum: { ...formula, out } });
        expected.set(out);
        expected[3]! ^= 1n;
        const checksum = { ...formula, expected, mismatches };
        await target.read(0, new Uint8Array(40 * KIB), { checksum });
        // The last two were not expected; then beyond the end.
        const first = setBits(mismatches);
        const ops = [
          { offset: 60 * KIB, buffer: new Uint8Array(8 * KIB) },
          { offset: 0, buffer: new Uint8Array(8 * KIB), firstBlock: 12 },
        ];
        const batch = new BigUint64Array(4).fill(5n);
        const { transferred, bytesTotal } = await target.readBatch(ops, {
          checksum: { ...formula, out: batch },
        });
        const write = target.write(0, data.subarray(0, 16 * KIB), {
          checksum: { ...formula, expected },
        });
        await expect(write).rejects.toThrow(withCode('ERR_RINGBOLT_CORRUPT'));
        results.push({ out, first, batch, transferred, bytesTotal });
      }
      expect(results[1]).toEqual(results[0]);
      expect(results[0]!.first).toEqual([3, 8, 9]);
    }
  });

  it('batches tell what came of each operation', async () => {
    const { disk, drive } = newDrive();
    const ops = [0, 1, 2].map((i) => ({ offset: i * KIB, buffer: filled(KIB, i + 1) }));
    expect((await disk.writeBatch(ops)).bytesTotal).toBe(3 * KIB);
    drive.failNext('write');
    await expect(disk.writeBatch(ops)).rejects.toThrow(withCode('EIO'));
    drive.failNext('write');
    const { errors, transferred } = await disk.writeBatch(ops, { onError: 'collect' });
    expect([...errors.values()]).toEqual([withCode('EIO')]);
    expect([...transferred]).toEqual([0, KIB, KIB]);
  });
});
