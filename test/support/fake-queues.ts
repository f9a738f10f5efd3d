// The native side of queues as far as a scheduler sees it, without threads: what is kicked stays until the test completes it.

import type { NativeEngine } from '../../dist/lib/native.js';
import { LAYOUT, OpKind } from '../../dist/lib/native.js';
import { Scheduler, type SchedulerOptions } from '../../dist/lib/schedule/scheduler.js';

const SLOT_WORDS = LAYOUT.opSlotBytes / 4;
const COMPLETION_WORDS = LAYOUT.completionSlotBytes / 4;
const CAPACITY = 1024;

/** What a queue was given, in order: offsets stand for operations. */
interface Given {
  readonly token: number;
  readonly kind: number;
  readonly offset: number;
  readonly length: number;
}

export class FakeQueues {
  readonly scheduler: Scheduler;
  readonly #queues: {
    readonly submissions: ArrayBuffer;
    readonly completions: ArrayBuffer;
    taken: number;
    completed: number;
    readonly given: Given[];
    /** How many slots each kick published. */
    readonly kicks: number[];
  }[];

  constructor(options: Partial<SchedulerOptions> & Pick<SchedulerOptions, 'nodes'>) {
    this.#queues = options.nodes.map(() => ({
      submissions: new ArrayBuffer(CAPACITY * LAYOUT.opSlotBytes),
      completions: new ArrayBuffer(CAPACITY * LAYOUT.completionSlotBytes),
      taken: 0,
      completed: 0,
      given: [],
      kicks: [],
    }));
    const native: Pick<NativeEngine, 'queueBlocks' | 'kick'> = {
      queueBlocks: (queue) => this.#queues[queue]!,
      kick: (queue, count) => {
        this.#take(queue, count);
        return true;
      },
    };
    this.scheduler = new Scheduler(native as NativeEngine, {
      depth: 4,
      driven: false,
      maxQueued: 1000,
      maxIoBytes: 2 ** 20,
      limits: {},
      ...options,
    });
  }

  /** Reads and writes in each queue that are not completed. */
  get inFlight(): readonly number[] {
    return this.#queues.map(({ given }) => given.length);
  }

  /** Offsets of what a queue has. */
  offsets(queue: number): readonly number[] {
    return this.#queues[queue]!.given.map(({ offset }) => offset);
  }

  kicks(queue: number): readonly number[] {
    return this.#queues[queue]!.kicks;
  }

  /** Completes the oldest of a queue. */
  complete(queue: number, count: number): void {
    const it = this.#queues[queue]!;
    const words = new Int32Array(it.completions);
    for (const { token, length } of it.given.splice(0, count)) {
      const word = (it.completed++ % CAPACITY) * COMPLETION_WORDS;
      words[word] = token;
      words[word + 1] = length;
      words[word + 2] = length;
    }
    this.scheduler.deliver(queue, count);
  }

  #take(queue: number, count: number): void {
    const it = this.#queues[queue]!;
    it.kicks.push(count);
    const words = new Uint32Array(it.submissions);
    const doubles = new Float64Array(it.submissions);
    for (let i = 0; i < count; i++) {
      const slot = it.taken++ % CAPACITY;
      const word = slot * SLOT_WORDS;
      const kind = words[word + 1]! & 0xff;
      if (kind !== OpKind.read && kind !== OpKind.write) continue;
      it.given.push({
        token: words[word]!,
        kind,
        offset: doubles[word / 2 + 2]!,
        length: words[word + 8]!,
      });
    }
  }
}
