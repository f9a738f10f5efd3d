// Shows that what the kernel copies for reads of the loop's own ring and what JavaScript copies are one account: no turn of the
// event loop has more of both than its share, and neither starves the other. The ring is made up, and answers as it is told.

import { describe, expect, it } from 'vitest';
import { LAYOUT, OpKind, type NativeEngine } from '../../dist/lib/native.js';
import { LoopLane } from '../../dist/lib/schedule/loop-lane.js';
import { FileRef, Operation } from '../../dist/lib/schedule/operation.js';
import { COPY_BYTES_PER_TURN, TurnBudget } from '../../dist/lib/schedule/turn-budget.js';
import { Random } from '../support/random.js';

const SLOTS = 16;
const READ_BYTES = 16 * 1024;
/** Of reads and copies, as fast as they come. */
const TURNS = 200;
/** More than those turns have room for. */
const MOST_ANSWERS = (2 * TURNS * COPY_BYTES_PER_TURN) / READ_BYTES;

const nextTurn = () => new Promise((resolve) => setImmediate(resolve));

/** A ring that answers reads at once, or when `answer` is called. */
class MadeUpRing {
  readonly lane: LoopLane;
  readonly budget = new TurnBudget();
  atOnce = true;
  readonly #waiting: number[] = [];
  #head = 0;
  #tail = 0;
  #answered = 0;
  readonly #submissions = new ArrayBuffer(SLOTS * LAYOUT.opSlotBytes);
  readonly #completions = new ArrayBuffer(SLOTS * LAYOUT.completionSlotBytes);
  readonly #onCopied: (bytes: number) => void;

  constructor(onCopied: (bytes: number) => void) {
    this.#onCopied = onCopied;
    const native = {
      queueBlocks: () => ({ submissions: this.#submissions, completions: this.#completions }),
      drive: (count: number) => {
        for (let i = 0; i < count; i++) this.#waiting.push(this.#head++ % SLOTS);
        if (this.atOnce) this.answer();
        return true;
      },
    };
    this.lane = new LoopLane(native as unknown as NativeEngine, 0, this.budget);
  }

  /** What a queue's poll would do. */
  answer(): void {
    const count = this.#waiting.length;
    for (const slot of this.#waiting.splice(0)) {
      if (this.#answered++ > MOST_ANSWERS) throw new Error('it would go on for ever');
      const words = new Uint32Array(this.#submissions, slot * LAYOUT.opSlotBytes);
      const place = (this.#tail++ % SLOTS) * LAYOUT.completionSlotBytes;
      const bytes = words[8]!;
      new Uint32Array(this.#completions, place).set([words[0]!, bytes, bytes]);
      this.#onCopied(bytes);
    }
    this.lane.arriving();
    this.lane.lane.deliver(count, () => undefined);
  }

  /** Resolves when it has been answered. */
  read(file: FileRef): Promise<void> {
    return new Promise((resolve) => {
      const op = new Operation({ interrupt: () => undefined });
      op.kind = OpKind.read;
      op.file = file;
      op.length = READ_BYTES;
      op.sink = {
        answersReadsAtOnce: false,
        settle: () => {
          resolve();
        },
      };
      expect(this.lane.suits(op)).toBe(true);
      this.lane.push(op);
      this.lane.lane.publish();
    });
  }
}

const OPENED = { slot: 0, generation: 0, alignment: 512, size: 0, inMemory: false };

function fileRef(direct: boolean): FileRef {
  return new FileRef('f', { ...OPENED, direct });
}

/** Calls `look` at the end of each turn of the loop, before any other immediate: so before a budget begins its next one. */
async function atTurnEnds(turns: number, look: () => void): Promise<void> {
  await new Promise<void>((resolve) => {
    const next = () => {
      if (turns-- === 0) {
        resolve();
        return;
      }
      setImmediate(next);
      look();
    };
    setImmediate(next);
  });
}

describe('the ring of the event loop', () => {
  it('shares the bytes of a turn with whatever else copies', async () => {
    const random = new Random();
    let turnBytes = 0;
    const count = (bytes: number) => (turnBytes += bytes);
    const ring = new MadeUpRing(count);
    const turns: number[] = [];
    const looked = atTurnEnds(TURNS, () => {
      turns.push(turnBytes);
      turnBytes = 0;
    });
    let over = false;
    const done = { reads: 0, copies: 0 };
    const reading = async () => {
      for (; !over; done.reads++) await ring.read(fileRef(false));
    };
    const copying = async () => {
      for (; !over; done.copies++) {
        const bytes = 1 + random.below(random.below(2) === 0 ? COPY_BYTES_PER_TURN : READ_BYTES);
        await new Promise<void>((resolve) => {
          ring.budget.spend(bytes, () => {
            count(bytes);
            resolve();
          });
        });
      }
    };
    const both = Promise.all([reading(), copying()]);
    await looked;
    over = true;
    await both;
    expect(Math.max(...turns)).toBeLessThanOrEqual(COPY_BYTES_PER_TURN);
    expect(Math.min(...turns.slice(1))).toBeGreaterThan(0);
    expect(done.reads).toBeGreaterThan(TURNS / 10);
    expect(done.copies).toBeGreaterThan(TURNS / 10);
  });

  it('alone has all of them, and no more', async () => {
    let turnBytes = 0;
    const turns: number[] = [];
    const ring = new MadeUpRing((bytes) => (turnBytes += bytes));
    const looked = atTurnEnds(10, () => {
      turns.push(turnBytes);
      turnBytes = 0;
    });
    let over = false;
    const reading = async () => {
      while (!over) await ring.read(fileRef(false));
    };
    const read = reading();
    await looked;
    over = true;
    await read;
    expect(turns).toEqual(Array(10).fill(COPY_BYTES_PER_TURN));
  });

  it.each([true, false])(
    'has what comes later on the account only if it was copied: direct: %s',
    async (direct) => {
      const ring = new MadeUpRing(() => undefined);
      ring.atOnce = false;
      const read = ring.read(fileRef(direct));
      expect(ring.budget.fits(COPY_BYTES_PER_TURN)).toBe(true); // nothing was copied yet
      await nextTurn();
      ring.answer();
      await read;
      expect(ring.budget.fits(COPY_BYTES_PER_TURN)).toBe(direct);
      expect(ring.budget.fits(COPY_BYTES_PER_TURN - READ_BYTES)).toBe(true);
    },
  );

  it('forgets what waited for a turn and was given up', async () => {
    const ring = new MadeUpRing(() => {
      throw new Error('nobody may copy any more');
    });
    ring.budget.charge(COPY_BYTES_PER_TURN);
    void ring.read(fileRef(false));
    ring.lane.lane.abandon(() => undefined);
    await nextTurn();
    expect(ring.budget.fits(COPY_BYTES_PER_TURN)).toBe(true);
  });
});
