// A target that keeps a log of what is done to it: what was written, and when each write and flush was asked for and came to its end. What a crash
// at any point of the log could have left is then made from it (volume-replay.test.ts).

import type {
  BlockTarget,
  FlushOptions,
  IoOptions,
  Transfer,
  WriteBatchOptions,
  WriteOptions,
} from 'ringbolt';
import { leases } from '../../dist/lib/memory/lease.js';
import type { Lease } from 'ringbolt';

/** In the order in which things happened, of both targets and of those who use the volume. */
export type Happened =
  | { readonly what: 'begin' | 'end' | 'fail'; readonly operation: Recorded }
  | { readonly what: 'user'; readonly apply: () => void };

export interface Recorded {
  readonly target: number;
  readonly kind: 'write' | 'flush';
  readonly offset: number;
  readonly bytes: Uint8Array;
  readonly durable: boolean;
}

const NOTHING = new Uint8Array(0);

export class RecordedTarget {
  readonly #target: BlockTarget;
  readonly #index: number;
  readonly #log: Happened[];

  /** `index`: of the target, in `log`. */
  constructor(target: BlockTarget, index: number, log: Happened[]) {
    this.#target = target;
    this.#index = index;
    this.#log = log;
  }

  get path(): string {
    return this.#target.path;
  }

  get size(): number {
    return this.#target.size;
  }

  get blockSize(): number {
    return this.#target.blockSize;
  }

  read(offset: number, into: Lease | Uint8Array, options?: IoOptions): Promise<number> {
    return this.#target.read(offset, into, options);
  }

  readBatch: BlockTarget['readBatch'] = (ops, options) => this.#target.readBatch(ops, options);

  write(offset: number, from: Lease | Uint8Array, options: WriteOptions = {}): Promise<number> {
    return this.#record([{ offset, buffer: from }], options, () =>
      this.#target.write(offset, from, options),
    );
  }

  writeBatch(ops: readonly Transfer[], options: WriteBatchOptions = {}) {
    return this.#record(ops, options, () => this.#target.writeBatch(ops, options));
  }

  flush(options?: FlushOptions): Promise<void> {
    const { target, kind } = { target: this.#index, kind: 'flush' as const };
    const operation = { target, kind, offset: 0, bytes: NOTHING, durable: true };
    return this.#run([operation], () => this.#target.flush(options));
  }

  async discard(offset: number, length: number): Promise<void> {
    await this.writeZeroes(offset, length);
  }

  async writeZeroes(offset: number, length: number): Promise<void> {
    await this.write(offset, new Uint8Array(length));
  }

  close(): Promise<void> {
    return this.#target.close();
  }

  #record<T>(ops: readonly Transfer[], { durable = false }: WriteOptions, run: () => Promise<T>) {
    const operations = ops.map(({ offset, buffer }): Recorded => {
      const bytes = Uint8Array.from(leases.is(buffer) ? buffer.buffer : buffer);
      return { target: this.#index, kind: 'write', offset, bytes, durable };
    });
    return this.#run(operations, run);
  }

  /** What ends together is told together: before that any of it may be there. */
  async #run<T>(operations: readonly Recorded[], run: () => Promise<T>): Promise<T> {
    for (const operation of operations) this.#log.push({ what: 'begin', operation });
    try {
      const result = await run();
      for (const operation of operations) this.#log.push({ what: 'end', operation });
      return result;
    } catch (error) {
      for (const operation of operations) this.#log.push({ what: 'fail', operation });
      throw error;
    }
  }
}
