// Shows which queue an operation goes to where queues are on several NUMA nodes, and what it waits for: with a scheduler whose
// queues complete nothing by themselves.

import { describe, expect, it } from 'vitest';
import { OpKind } from '../../dist/lib/native.js';
import { FileRef, type Sink } from '../../dist/lib/schedule/operation.js';
import type { SchedulerOptions } from '../../dist/lib/schedule/scheduler.js';
import { FakeQueues } from '../support/fake-queues.js';
import { Random } from '../support/random.js';

const LENGTH = 4096;
const [FOREGROUND, BACKGROUND] = [0, 1];

class Bench {
  readonly queues: FakeQueues;
  /** Offsets, in the order in which they settled. */
  readonly settled: number[] = [];
  readonly #sink: Sink = {
    answersReadsAtOnce: false,
    settle: (op) => {
      this.settled.push(op.offset);
    },
  };
  #submitted = 0;

  constructor(nodes: SchedulerOptions['nodes'], options: Partial<SchedulerOptions> = {}) {
    this.queues = new FakeQueues({ nodes, ...options });
  }

  /** A file whose device is on that node. */
  file(node?: number): FileRef {
    const opened = {
      slot: 0,
      generation: 0,
      alignment: 512,
      size: 0,
      inMemory: false,
      direct: true,
    };
    const file = new FileRef('file', opened);
    if (node !== undefined) file.near = this.queues.scheduler.lanesNear(node);
    return file;
  }

  /** Reads `count` times, and lets the tick end. Returns the first offset: each is one more than the last. */
  async read(
    file: FileRef | undefined,
    count: number,
    { ioClass = FOREGROUND, length = LENGTH } = {},
  ): Promise<number> {
    const { scheduler } = this.queues;
    const first = this.#submitted;
    for (let i = 0; i < count; i++) {
      expect(scheduler.hasRoomFor(1)).toBe(true);
      const op = scheduler.take();
      Object.assign(op, { kind: OpKind.read, file, length, ioClass, sink: this.#sink });
      op.offset = this.#submitted++;
      scheduler.submit(op);
    }
    await this.tick();
    return first;
  }

  async complete(queue: number, count: number): Promise<void> {
    this.queues.complete(queue, count);
    await this.tick();
  }

  tick(): Promise<void> {
    return new Promise((resolve) => process.nextTick(resolve));
  }
}

describe('a file prefers the queues of its node', () => {
  it('of them, the one with the least in flight, tick by tick', async () => {
    const bench = new Bench([0, 1, 0, 1]);
    const file = bench.file(1);
    await bench.read(file, 2);
    await bench.read(file, 1);
    await bench.read(file, 1);
    expect(bench.queues.inFlight).toEqual([0, 2, 0, 2]);
  });

  it('up to their depth, also those of one tick', async () => {
    const bench = new Bench([0, 1, 0, 1]);
    await bench.read(bench.file(0), 8);
    expect(bench.queues.inFlight).toEqual([4, 0, 4, 0]);
  });

  it.each([
    ['no node is known of it', [0, 1], undefined],
    ['no queue is on its node', [0, 1], 7],
    ['all queues are on one node', [0, 0], 0],
    ['no queue is on a node that is known', [undefined, undefined], 0],
  ] as const)('takes any if %s', async (_, nodes, node) => {
    const bench = new Bench(nodes);
    const file = bench.file(node);
    expect(file.near).toBeUndefined();
    for (let tick = 0; tick < 4; tick++) await bench.read(file, 1);
    expect(bench.queues.inFlight).toEqual([2, 2]);
  });

  it('what has no file takes any', async () => {
    const bench = new Bench([0, 1]);
    await bench.read(bench.file(0), 1);
    await bench.read(undefined, 1);
    expect(bench.queues.inFlight).toEqual([1, 1]);
  });

  it('parts of a large one go to the queues of its node', async () => {
    const bench = new Bench([0, 1, 0, 1], { maxIoBytes: LENGTH });
    await bench.read(bench.file(1), 1, { length: 6 * LENGTH });
    expect(bench.queues.inFlight).toEqual([0, 3, 0, 3]);
    await bench.complete(1, 3);
    await bench.complete(3, 3);
    expect(bench.settled).toEqual([0]);
  });
});

describe("another node's queue helps out", () => {
  it('only when all of the preferred ones are at their depth, and it is idle', async () => {
    const bench = new Bench([0, 1]);
    const file = bench.file(0);
    await bench.read(file, 4);
    expect(bench.queues.inFlight).toEqual([4, 0]);
    await bench.read(file, 2);
    expect(bench.queues.inFlight).toEqual([4, 2]); // a batch, since it was idle
    await bench.read(file, 1);
    expect(bench.queues.inFlight).toEqual([4, 2]); // it is not any more
    expect(bench.queues.scheduler.waiting).toBe(1);
    await bench.complete(1, 2);
    expect(bench.queues.inFlight).toEqual([4, 1]);
    expect(bench.queues.scheduler.waiting).toBe(0);
  });

  it('not while it works for files of its own, whatever room it has', async () => {
    const bench = new Bench([0, 1]);
    await bench.read(bench.file(1), 1);
    await bench.read(bench.file(0), 6);
    expect(bench.queues.inFlight).toEqual([4, 1]);
    expect(bench.queues.scheduler.waiting).toBe(2);
    await bench.complete(0, 1);
    expect(bench.queues.inFlight).toEqual([4, 1]);
  });

  it('with 32 operations at a time', async () => {
    const bench = new Bench([0, 1], { depth: 64 });
    await bench.read(bench.file(0), 128);
    expect(bench.queues.inFlight).toEqual([64, 32]);
    expect(bench.queues.kicks(1)).toEqual([32]);
    await bench.complete(1, 32);
    expect(bench.queues.inFlight).toEqual([64, 32]);
    expect(bench.queues.scheduler.waiting).toBe(0);
  });

  it('with parts, too', async () => {
    const bench = new Bench([0, 1], { maxIoBytes: LENGTH });
    await bench.read(bench.file(0), 1, { length: 6 * LENGTH });
    expect(bench.queues.inFlight).toEqual([4, 2]);
    await bench.complete(0, 4);
    await bench.complete(1, 2);
    expect(bench.settled).toEqual([0]);
  });
});

describe('what waits', () => {
  it("holds up nobody on another node's device", async () => {
    const bench = new Bench([0, 1]);
    await bench.read(bench.file(1), 1); // so that queue 1 lends nothing
    await bench.read(bench.file(0), 10);
    expect(bench.queues.scheduler.waiting).toBe(6);
    await bench.read(bench.file(1), 1);
    await bench.read(bench.file(1), 1, { ioClass: BACKGROUND });
    await bench.read(undefined, 1);
    expect(bench.queues.inFlight).toEqual([4, 4]);
    expect(bench.queues.scheduler.waiting).toBe(6);
  });

  it('goes in the order of its coming, foreground first, when there is room', async () => {
    const bench = new Bench([0, 1], { depth: 1 });
    const file = bench.file(0);
    await bench.read(undefined, 2); // 0 and 1 fill both
    await bench.read(file, 1, { ioClass: BACKGROUND }); // 2
    await bench.read(file, 2); // 3, 4
    const order: number[] = [];
    for (let i = 0; i < 3; i++) {
      await bench.complete(0, 1);
      order.push(...bench.queues.offsets(0));
    }
    expect(order).toEqual([3, 4, 2]);
    expect(bench.queues.offsets(1)).toEqual([1]);
  });

  it('of files with and without a preference, the oldest goes first', async () => {
    const bench = new Bench([0, 1], { depth: 1 });
    await bench.read(undefined, 2); // 0 and 1 fill both
    const near = await bench.read(bench.file(0), 1); // 2
    const any = await bench.read(undefined, 1); // 3
    const near1 = await bench.read(bench.file(1), 1); // 4
    await bench.complete(0, 1);
    expect(bench.queues.offsets(0)).toEqual([near]);
    await bench.complete(1, 1);
    expect(bench.queues.offsets(1)).toEqual([any]);
    await bench.complete(1, 1);
    expect(bench.queues.offsets(1)).toEqual([near1]);
  });

  it('is passed by nobody who wants the same queue', async () => {
    const bench = new Bench([0, 1], { depth: 1 });
    await bench.read(undefined, 2);
    const any = await bench.read(undefined, 1);
    const near = await bench.read(bench.file(0), 1);
    await bench.complete(0, 1);
    expect(bench.queues.offsets(0)).toEqual([any]);
    await bench.complete(0, 1);
    expect(bench.queues.offsets(0)).toEqual([near]);
  });

  it('is not passed either by what is submitted while room is being made', async () => {
    const bench = new Bench([0, 1], { depth: 1 });
    const { scheduler } = bench.queues;
    const file = bench.file(0);
    await bench.read(bench.file(1), 1); // so that queue 1 lends nothing
    const submit = (offset: number, settle: Sink['settle']) => {
      const op = scheduler.take();
      Object.assign(op, { kind: OpKind.read, file, offset, length: LENGTH });
      op.sink = { answersReadsAtOnce: false, settle };
      scheduler.submit(op);
    };
    submit(100, () => {
      submit(200, () => undefined);
    });
    await bench.tick();
    const waiting = await bench.read(file, 1);
    await bench.complete(0, 1);
    expect(bench.queues.offsets(0)).toEqual([waiting]);
    await bench.complete(0, 1);
    expect(bench.queues.offsets(0)).toEqual([200]);
  });

  it('goes at once when it is interrupted, and all of it when the engine gives up', async () => {
    const bench = new Bench([0, 1], { depth: 1 });
    const { scheduler } = bench.queues;
    const file = bench.file(0);
    await bench.read(undefined, 2);
    await bench.read(file, 1);
    const op = scheduler.take();
    const settle: Sink['settle'] = ({ offset }) => {
      bench.settled.push(offset);
    };
    Object.assign(op, { kind: OpKind.read, file, offset: 99, length: LENGTH });
    op.sink = { answersReadsAtOnce: false, settle };
    scheduler.submit(op);
    expect(scheduler.waiting).toBe(2);
    scheduler.interrupt(op, new Error('enough'));
    expect(bench.settled).toEqual([99]);
    expect(scheduler.waiting).toBe(1);
    await bench.read(bench.file(1), 1);
    scheduler.abandon(new Error('gone'));
    expect(bench.settled.toSorted((a, b) => a - b)).toEqual([0, 1, 2, 3, 99]);
    expect(scheduler.waiting).toBe(0);
  });
});

describe('whatever comes in whatever order', () => {
  it('all is done, and no queue has more than its depth', async () => {
    const random = new Random();
    const nodes = [0, 1, 0, 2, undefined];
    const bench = new Bench(nodes, { depth: 3, maxQueued: 100_000 });
    const files = [undefined, 0, 1, 2].map((node) => bench.file(node));
    let submitted = 0;
    for (let step = 0; step < 5000; step++) {
      const file = files[random.below(files.length)]!;
      const count = random.below(4);
      await bench.read(file, count, { ioClass: random.below(3) === 0 ? BACKGROUND : FOREGROUND });
      submitted += count;
      const queue = random.below(nodes.length);
      const inFlight = bench.queues.inFlight[queue]!;
      await bench.complete(queue, random.below(inFlight + 1));
      expect(Math.max(...bench.queues.inFlight)).toBeLessThanOrEqual(3);
    }
    for (let queue = 0; bench.settled.length < submitted; queue = (queue + 1) % nodes.length) {
      const before = bench.settled.length;
      await bench.complete(queue, bench.queues.inFlight[queue]!);
      if (queue === 0 && before === bench.settled.length) {
        expect(bench.queues.inFlight.some((count) => count > 0)).toBe(true);
      }
    }
    expect(new Set(bench.settled).size).toBe(submitted);
    expect(bench.queues.scheduler.inFlight).toBe(0);
    expect(bench.queues.scheduler.waiting).toBe(0);
  });
});
