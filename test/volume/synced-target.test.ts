// Shows that a flush fails if a durable write or another flush beside it does: what was lost is reported once, and perhaps to the other.

import { beforeEach, expect, it } from 'vitest';
import { SyncedTarget } from '../../dist/lib/volume/synced-target.js';
import { Random } from '../support/random.js';
import { SimulatedDisk } from './simulated-disk.js';
import { SimulatedWorld, type SimulatedDrive } from './simulated-drive.js';

const withCode = (code: string) => expect.objectContaining({ code }) as Error;

let world: SimulatedWorld;
let drive: SimulatedDrive;
let target: SyncedTarget;

beforeEach(() => {
  world = new SimulatedWorld(new Random());
  drive = world.addDrive('data', { size: 64 * 512 });
  target = new SyncedTarget(drive.open());
});

it.each(['a durable write', 'a durable batch', 'another flush'])(
  'a flush acknowledges nothing that %s beside it has lost',
  async (other) => {
    const seen = { kept: 0, failed: 0 };
    for (let round = 0; round < 200; round++) {
      world.crash('none');
      drive.medium.overwrite(0, new Uint8Array(1024));
      target = new SyncedTarget(drive.open());
      await target.write(0, new Uint8Array(512).fill(1));
      drive.failNext('flush');
      const beside = [
        () => target.write(0, new Uint8Array(1024).fill(2), { durable: true }),
        () => target.writeBatch([{ offset: 0, buffer: new Uint8Array(512) }], { durable: true }),
        () => target.flush(),
      ][['a durable write', 'a durable batch', 'another flush'].indexOf(other)]!();
      const ended = beside.catch(() => undefined);
      const isFlushed = await target.flush().then(
        () => true,
        () => false,
      );
      if (isFlushed) expect(drive.medium.durable(0, 1)[0]).toBe(1);
      seen[isFlushed ? 'kept' : 'failed']++;
      await ended;
    }
    // Whichever comes first has the failure.
    expect(seen.failed).toBeGreaterThan(100);
  },
);

it('a flush waits for a durable write beside it, which may have been told of the loss before', async () => {
  let reject: (error: Error) => void = () => undefined;
  class Late extends SimulatedDisk {
    override write(): Promise<number> {
      return new Promise((_, rejectLate) => {
        reject = rejectLate;
      });
    }
  }
  target = new SyncedTarget(new Late(drive, 0));
  const write = target.write(0, new Uint8Array(512), { durable: true });
  const flush = target.flush();
  const ends: string[] = [];
  for (const [name, end] of Object.entries({ write, flush })) {
    end.then(
      () => ends.push(`${name} resolved`),
      () => ends.push(`${name} rejected`),
    );
  }
  await world.turns.pass(20);
  expect(ends).toEqual([]);
  reject(new Error('the data is lost'));
  await world.turns.pass(1);
  expect(ends.sort()).toEqual(['flush rejected', 'write rejected']);
});

it('a durable write acknowledges nothing that a flush beside it has lost', async () => {
  let failed = 0;
  for (let round = 0; round < 300; round++) {
    world.crash('none');
    drive.medium.overwrite(0, new Uint8Array(2048));
    target = new SyncedTarget(drive.open());
    const write = target.write(0, new Uint8Array(2048).fill(2), { durable: true }).then(
      () => true,
      () => false,
    );
    await world.turns.pass(1 + (round % 4));
    drive.failNext('flush');
    await target.flush().catch(() => undefined);
    if (!(await write)) failed++;
    else expect(drive.medium.durable(0, 2048).every((byte) => byte === 2)).toBe(true);
  }
  expect(failed).toBeGreaterThan(20);
});

it('a flush that succeeds does so beside durable writes that do', async () => {
  await target.write(0, new Uint8Array(512).fill(1));
  const write = target.write(512, new Uint8Array(512).fill(2), { durable: true });
  await Promise.all([target.flush(), write, target.flush()]);
  world.crash('none');
  expect([...drive.medium.visible(0, 1), ...drive.medium.visible(512, 1)]).toEqual([1, 2]);
});

it('stays failed, and does not fail for what was only interrupted', async () => {
  const aborted = target.flush({ signal: AbortSignal.abort() });
  await expect(aborted).rejects.toThrow(withCode('ABORT_ERR'));
  await target.flush();
  drive.failNext('flush');
  const write = target.write(0, new Uint8Array(512), { durable: true });
  await expect(write).rejects.toThrow(withCode('EIO'));
  await expect(target.flush()).rejects.toThrow(withCode('EIO'));
});
