// Shows rule 3: who conflicts holds one after the other, in order of arrival, and nobody else waits; a read knows whether a write
// was under way in its blocks; and all of it against a model that is too simple to be wrong.

import { describe, expect, it } from 'vitest';
import { RangeLocks, type RangeLock } from '../../dist/lib/volume/range-locks.js';
import { Random } from '../support/random.js';

const newLocks = (maxWaiting = 100, maxRemembered = 100) =>
  new RangeLocks({ maxWaiting, maxRemembered });

describe('range locks', () => {
  it('are held at once where nobody is in the way', () => {
    const locks = newLocks();
    const taken = [locks.take(0, 10), locks.take(10, 20), locks.take(2 ** 40, 2 ** 41)];
    expect(taken.map(({ held }) => held)).toEqual([true, true, true]);
    expect(locks.waiting).toBe(0);
  });

  it('wait for those in the way, and overtake nobody who is', async () => {
    const locks = newLocks();
    const a = locks.take(0, 10);
    const b = locks.take(5, 15);
    const c = locks.take(12, 20); // apart from a, but b came before
    const d = locks.take(15, 16);
    const e = locks.take(100, 101);
    expect([a, b, c, d, e].map(({ held }) => held)).toEqual([true, false, false, false, true]);
    const order: string[] = [];
    const note = (lock: RangeLock, name: string) =>
      lock.whenHeld().then((held) => order.push(`${name} ${held}`));
    const all = [note(b, 'b'), note(c, 'c'), note(d, 'd')];
    locks.release(a);
    expect([b.held, c.held]).toEqual([true, false]);
    locks.release(b);
    expect([c.held, d.held]).toEqual([true, false]);
    locks.release(c);
    await Promise.all(all);
    expect(order).toEqual(['b true', 'c true', 'd true']);
    expect(locks.waiting).toBe(0);
  });

  it('that are given up let those behind go on', async () => {
    const locks = newLocks();
    const a = locks.take(0, 10);
    const b = locks.take(5, 15);
    const c = locks.take(12, 20);
    const when = b.whenHeld();
    locks.release(b);
    expect(await when).toBe(false);
    expect([b.held, c.held]).toEqual([false, true]);
    locks.release(a); // b is in its list, and counts no more
    expect([b.held, await b.whenHeld()]).toEqual([false, false]);
    expect(() => locks.release(b)).toThrow('twice');
  });

  it('of reads that repeat are shared, and later writes wait for them', () => {
    const locks = newLocks();
    const write = locks.take(0, 4);
    const [one, two] = [locks.takeShared(0, 4), locks.takeShared(2, 3)];
    const later = locks.take(3, 5);
    const third = locks.takeShared(3, 4);
    expect([one, two, later, third].map(({ held }) => held)).toEqual([false, false, false, false]);
    locks.release(write);
    expect([one, two, later, third].map(({ held }) => held)).toEqual([true, true, false, false]);
    locks.release(one);
    expect(later.held).toBe(true); // two is apart from it
    locks.release(later);
    expect(third.held).toBe(true);
    const stamp = locks.stamp();
    locks.release(third);
    expect(locks.wasLocked(0, 10, stamp)).toBe(false);
  });

  it('refuse when too many wait, and forget whom they refused', () => {
    const locks = newLocks(2);
    const first = locks.take(0, 1);
    const waiting = [locks.take(0, 1), locks.take(0, 1)];
    const overloaded = expect.objectContaining({ code: 'ERR_RINGBOLT_OVERLOADED' }) as Error;
    expect(() => locks.take(0, 1)).toThrow(overloaded);
    expect(() => locks.takeShared(0, 1)).toThrow(overloaded);
    expect(locks.take(1, 2).held).toBe(true); // that does not wait
    for (const lock of [first, ...waiting]) {
      expect(lock.held).toBe(true);
      locks.release(lock);
    }
    expect(locks.take(0, 1).held).toBe(true);
    expect(locks.waiting).toBe(0);
  });

  it('tell a read whether a write was under way in its blocks', () => {
    const locks = newLocks();
    const before = locks.take(0, 4);
    const stamp = locks.stamp();
    expect(locks.wasLocked(3, 5, stamp)).toBe(true); // held before it began
    expect(locks.wasLocked(4, 8, stamp)).toBe(false);
    locks.release(before);
    expect(locks.wasLocked(3, 5, stamp)).toBe(true); // and released meanwhile
    expect(locks.wasLocked(3, 5, locks.stamp())).toBe(false);
    const holder = locks.take(8, 10);
    const waiter = locks.take(8, 12);
    expect(locks.wasLocked(10, 12, stamp)).toBe(false); // one that waits has written nothing
    locks.release(holder);
    expect(locks.wasLocked(10, 12, stamp)).toBe(true);
    locks.release(waiter);
    expect(locks.wasLocked(10, 12, stamp)).toBe(true);
    const quiet = locks.stamp();
    expect(locks.wasLocked(0, 100, quiet)).toBe(false);
  });

  it('tell a read that lasted too long to repeat', () => {
    const locks = newLocks(10, 3);
    const stamp = locks.stamp();
    for (let i = 0; i < 4; i++) {
      expect(locks.wasLocked(50, 60, stamp)).toBe(false);
      locks.release(locks.take(i, i + 1));
    }
    expect(locks.wasLocked(50, 60, stamp)).toBe(true);
    expect(locks.wasLocked(50, 60, stamp + 1)).toBe(false);
  });

  it('do what a model does', () => {
    const random = new Random();
    let repeats = 0;
    let overlaps = 0;
    for (let round = 0; round < 60; round++) {
      const blocks = 1 + random.below(60);
      const width = 1 + random.below(12);
      const maxRemembered = [0, 5, 1000][random.below(3)]!;
      const locks = newLocks(1000, maxRemembered);
      interface Entry {
        lock: RangeLock;
        first: number;
        end: number;
        shared: boolean;
      }
      /** In order of arrival. */
      let model: Entry[] = [];
      interface Read {
        first: number;
        end: number;
        stamp: number;
        overlapped: boolean;
      }
      let reads: Read[] = [];
      const touch = (a: { first: number; end: number }, b: { first: number; end: number }) =>
        a.first < b.end && b.first < a.end;
      const isHeld = (entry: Entry) =>
        !model
          .slice(0, model.indexOf(entry))
          .some((other) => touch(other, entry) && !(other.shared && entry.shared));
      const noteReads = () => {
        for (const entry of model) {
          if (entry.shared || !isHeld(entry)) continue;
          for (const read of reads) read.overlapped ||= touch(read, entry);
        }
      };
      for (let step = 0; step < 300; step++) {
        const first = random.below(blocks);
        const end = first + 1 + random.below(width);
        const action = random.below(10);
        if (action < 4 && model.length < 40) {
          const shared = random.below(4) === 0;
          const lock = shared ? locks.takeShared(first, end) : locks.take(first, end);
          model.push({ lock, first, end, shared });
        } else if (action < 7 && model.length > 0) {
          const gone = model[random.below(model.length)]!;
          // Mostly those that hold: a lock that is given up is the exception.
          if (isHeld(gone) || random.below(4) === 0) {
            model = model.filter((entry) => entry !== gone);
            locks.release(gone.lock);
          }
        } else if (action < 9 && reads.length < 30) {
          reads.push({ first, end, stamp: locks.stamp(), overlapped: false });
        } else if (reads.length > 0) {
          const [read] = reads.splice(random.below(reads.length), 1);
          const answer = locks.wasLocked(read!.first, read!.end, read!.stamp);
          if (maxRemembered === 1000) expect(answer).toBe(read!.overlapped);
          else if (read!.overlapped) expect(answer).toBe(true);
          if (answer) repeats++;
          if (read!.overlapped) overlaps++;
        }
        noteReads();
        const held = model.map(isHeld);
        expect(model.map(({ lock }) => lock.held)).toEqual(held);
        expect(locks.waiting).toBe(held.filter((one) => !one).length);
      }
      reads = [];
    }
    // Something was shown at all.
    expect(overlaps).toBeGreaterThan(100);
    expect(repeats).toBeGreaterThan(overlaps);
  });
});
