// Shows what becomes of the outcomes of parts, in whatever order they come: of those that no device can be made to produce at will.

import { describe, expect, it } from 'vitest';
import { OpKind } from '../../dist/lib/native.js';
import { FileRef, Operation, type ChecksumPlan } from '../../dist/lib/schedule/operation.js';
import { partBytesOf, Split } from '../../dist/lib/schedule/split.js';
import { setBits } from '../support/checksums.js';

const PART = 4096;
const OFFSET = 10 * PART;
const [EIO, ENOSPC, ECANCELED] = [-5, -28, -125];

const fileOf = (alignment: number) =>
  new FileRef('file', {
    slot: 0,
    generation: 0,
    alignment,
    size: 0,
    inMemory: false,
    direct: true,
  });

interface Stage {
  readonly whole: Operation;
  readonly split: Split;
  readonly parts: readonly Operation[];
  /** What the whole was settled with: result and bytes. */
  readonly told: (readonly [number, number])[];
  /** Parts that were asked to end, by their place. */
  readonly interrupted: number[];
  readonly ends: () => number;
}

/** A transfer of four parts, so many of which have begun. */
function stage(
  kind: typeof OpKind.read | typeof OpKind.write,
  { begun = 4, checksums }: { begun?: number; checksums?: ChecksumPlan } = {},
): Stage {
  const interrupted: number[] = [];
  const told: (readonly [number, number])[] = [];
  let ends = 0;
  const scheduler = {
    interrupt(op: Operation) {
      interrupted.push((op.offset - OFFSET) / PART);
    },
  };
  const whole = new Operation(scheduler);
  Object.assign(whole, { kind, offset: OFFSET, length: 4 * PART, unit: 3, checksums });
  whole.file = fileOf(512);
  whole.sink = {
    answersReadsAtOnce: true,
    settle(_, result, bytesDone) {
      told.push([result, bytesDone]);
    },
  };
  const host = {
    leave() {
      // It is not waiting anywhere.
    },
    end(_: Operation, tell: () => void) {
      ends++;
      tell();
    },
  };
  const split = new Split(host, whole, PART);
  const parts = Array.from({ length: begun }, () => {
    const part = new Operation(scheduler);
    split.begin(part);
    return part;
  });
  return { whole, split, parts, told, interrupted, ends: () => ends };
}

/** Settles parts by their place, each with a result and the bytes that it did before that. */
function settle({ split, parts }: Stage, ...outcomes: [number, number, number?][]): void {
  for (const [index, result, bytesDone = result] of outcomes) {
    split.settle(parts[index]!, result, bytesDone);
  }
}

const REASON = new Error('enough');

describe('a write in parts', () => {
  it('has parts that lie one after the other, in the file and in the slab', () => {
    const { parts } = stage(OpKind.write);
    expect(parts.map(({ offset, slabOffset, length, unit }) => [offset, slabOffset, length, unit]))
      // prettier-ignore
      .toEqual([0, 1, 2, 3].map((index) => [OFFSET + index * PART, index * PART, PART, 3]));
  });

  it('ends once, with all its bytes, when the last part has ended', () => {
    const staged = stage(OpKind.write);
    settle(staged, [3, PART], [1, PART], [0, PART]);
    expect(staged.told).toEqual([]);
    settle(staged, [2, PART]);
    expect(staged.told).toEqual([[4 * PART, 4 * PART]]);
    expect(staged.ends()).toBe(1);
    expect(staged.whole.file?.size).toBe(OFFSET + 4 * PART);
  });

  it.each([{ order: [0, 1, 2, 3] }, { order: [3, 2, 1, 0] }, { order: [2, 0, 3, 1] }])(
    'has the error of the lowest part that failed: $order',
    ({ order }) => {
      const staged = stage(OpKind.write);
      const outcomes: [number, number, number?][] = [
        [0, PART],
        [1, ENOSPC, 512],
        [2, PART],
        [3, EIO, 0],
      ];
      settle(staged, ...order.map((index) => outcomes[index]!));
      expect(staged.told).toEqual([[ENOSPC, PART + 512]]);
      expect(staged.whole.file?.size).toBe(OFFSET + 3 * PART);
    },
  );

  it('has a failure rather than an interruption, and that rather than nothing', () => {
    const failed = stage(OpKind.write);
    failed.whole.interruptReason = REASON;
    failed.split.interrupt(REASON);
    expect(failed.interrupted).toEqual([0, 1, 2, 3]);
    expect(failed.told).toEqual([]); // only its real outcome
    settle(failed, [0, PART], [1, ECANCELED, 0], [2, EIO, 0], [3, PART]);
    expect(failed.told).toEqual([[EIO, PART]]);

    const cancelled = stage(OpKind.write);
    cancelled.whole.interruptReason = REASON;
    cancelled.split.interrupt(REASON);
    settle(cancelled, [0, PART], [1, PART], [2, ECANCELED, 512], [3, PART]);
    expect(cancelled.told).toEqual([[ECANCELED, 2 * PART + 512]]);
  });

  it('that was done all the same succeeds, whoever wanted to end it', () => {
    const staged = stage(OpKind.write);
    staged.whole.interruptReason = REASON;
    staged.split.interrupt(REASON);
    settle(staged, [1, PART], [0, PART], [3, PART], [2, PART]);
    expect(staged.told).toEqual([[4 * PART, 4 * PART]]);
  });

  it('of which some parts never began has done what the others did', () => {
    const staged = stage(OpKind.write, { begun: 2 });
    staged.whole.interruptReason = REASON;
    staged.split.interrupt(REASON);
    settle(staged, [1, PART], [0, PART]);
    expect(staged.told).toEqual([[ECANCELED, 2 * PART]]);
  });

  it('that is given up ends when its parts are, and says why', () => {
    const staged = stage(OpKind.write, { begun: 2 });
    for (const part of staged.parts) part.interruptReason = REASON;
    staged.split.giveUp();
    expect(staged.told).toEqual([]);
    settle(staged, [0, ECANCELED, 0], [1, ECANCELED, 0]);
    expect(staged.told).toEqual([[ECANCELED, 0]]);
    expect(staged.whole.interruptReason).toBe(REASON);
    expect(staged.ends()).toBe(1);
  });

  it('fails with what is wrong with its arrays only if nothing worse happened', () => {
    for (const worse of [false, true]) {
      const staged = stage(OpKind.write);
      const [first, second] = [new Error('first'), new Error('second')];
      staged.parts[2]!.problem = second;
      staged.parts[1]!.problem = first;
      settle(staged, [0, PART], [2, PART], [1, PART], worse ? [3, EIO, 0] : [3, PART]);
      expect(staged.told).toEqual([worse ? [EIO, 3 * PART] : [4 * PART, 4 * PART]]);
      expect(staged.whole.problem).toBe(worse ? undefined : first);
    }
  });
});

describe('a read in parts', () => {
  const plan = (): ChecksumPlan => ({
    flags: 0,
    blockSize: 512,
    seedLow: 0,
    seedHigh: 0,
    copiesInOnePass: true,
    out: null,
    expected: new BigUint64Array(32),
    mismatches: new Uint32Array(1),
    blocks: 32,
  });

  it('of a file that grows meanwhile ends where the first part ended', () => {
    const checksums = plan();
    const staged = stage(OpKind.read, { checksums });
    settle(staged, [2, PART], [0, PART], [1, 700], [3, 100]);
    expect(staged.told).toEqual([[PART + 700, PART + 700]]);
    // All were compared and found right; but those behind the gap were not read.
    const behind = Array.from({ length: 32 - 10 }, (_, index) => 10 + index);
    expect(setBits(checksums.mismatches!)).toEqual(behind);
  });

  it('is answered at once, and then looks at no array any more', () => {
    const checksums = plan();
    const staged = stage(OpKind.read, { checksums });
    settle(staged, [0, PART], [2, PART]);
    staged.whole.interruptReason = REASON;
    staged.split.interrupt(REASON);
    expect(staged.interrupted).toEqual([1, 3]);
    expect(staged.told).toEqual([[ECANCELED, PART]]);
    expect(staged.ends()).toBe(0); // the kernel has the memory
    expect(staged.parts[1]!.checksums).toBeUndefined();
    checksums.mismatches!.fill(0);
    settle(staged, [3, PART], [1, EIO, 0]);
    expect(staged.ends()).toBe(1);
    expect(staged.told).toHaveLength(1);
    expect(setBits(checksums.mismatches!)).toEqual([]);
  });
});

describe('parts are as large as they may be', () => {
  const transfer = (length: number, blockSize: number, kind: OpKind = OpKind.read) => {
    const op = new Operation({
      interrupt() {
        throw new Error('never');
      },
    });
    return Object.assign(op, { kind, length, file: fileOf(blockSize) });
  };

  it.each([
    [65536, 512, 8192, 8192],
    [65536, 1, 8192, 8192],
    [65536, 4096, 12288, 12288],
    [65536, 16384, 8192, 16384],
    [8192, 512, 8192, undefined],
    [16384, 16384, 8192, undefined],
  ])('%d bytes, blocks of %d, at most %d: %s', (length, blockSize, maxIoBytes, expected) => {
    expect(partBytesOf(transfer(length, blockSize), maxIoBytes)).toBe(expected);
  });

  it('and are whole blocks of checksums', () => {
    const op = transfer(2 ** 20, 512);
    const plan = (blockSize: number) => ({ blockSize, expected: null }) as ChecksumPlan;
    expect(partBytesOf(Object.assign(op, { checksums: plan(1536) }), 65536)).toBe(42 * 1536);
    expect(partBytesOf(Object.assign(op, { checksums: plan(1000) }), 65536)).toBe(64000);
    expect(partBytesOf(Object.assign(op, { checksums: plan(300_000) }), 65536)).toBeUndefined();
  });

  it('what has no length is never split', () => {
    for (const kind of [OpKind.dataSync, OpKind.checksum, OpKind.noop]) {
      expect(partBytesOf(transfer(2 ** 20, 512, kind), 4096)).toBeUndefined();
    }
  });
});
