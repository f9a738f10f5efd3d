// A target whose flush means what it says, also beside one that fails.
//
//   write A ── resolved                 lost, and reported once: to D
//        flush F ────────────────────────────── resolves: nothing is left to be reported
//             durable write D ──────── EIO
//
// Linux tells of lost data once, to whoever asks first, and whoever asks at the same time hears nothing. So a flush that went well waits for
// the durable writes and flushes that are under way at that moment: if one of them fails, so has this one (rule 8). A durable write waits
// for flushes, which may have been told of its own data; not for other durable writes, which were told of theirs.

import type {
  BatchResult,
  BlockTarget,
  FlushOptions,
  IoOptions,
  ReadBatchOptions,
  Transfer,
  WriteBatchOptions,
  WriteOptions,
} from '../device/block-target.js';
import type { WaitOptions } from '../interrupt.js';
import type { Lease } from '../memory/lease.js';
import { lengthOf } from './io-options.js';

/** What a volume needs of a target. */
export type VolumeTarget = Omit<BlockTarget, 'readable' | 'writable' | 'leases'>;

/** What went to a target and came from it, since it was opened. */
export interface TargetStats {
  readonly reads: number;
  readonly bytesRead: number;
  /** Each transfer of a batch is one. Ranges that are zeroed or discarded are none. */
  readonly writes: number;
  readonly bytesWritten: number;
  /** Of the writes, or batches: those that waited until they were on stable storage. */
  readonly durableWrites: number;
  readonly flushes: number;
}

/**
 * Whether something that rejected with this was not made, or goes on, or was made and is not what was meant: of a flush or a durable write,
 * anything else is final (rule 8). Data is lost when the system says so, and its codes are others than Node's and ours, which begin with
 * `ERR_`: a lease that is busy, or was changed, says nothing of what was written before.
 */
export function isHarmless(error: unknown): boolean {
  const { code } = error as { code?: unknown };
  return typeof code === 'string' && (code === 'ABORT_ERR' || code.startsWith('ERR_'));
}

export class SyncedTarget implements VolumeTarget {
  readonly #target: VolumeTarget;
  readonly #flushing = new Set<Promise<unknown>>();
  readonly #writing = new Set<Promise<unknown>>();
  #failure: { readonly error: unknown } | undefined;
  readonly #counts = {
    reads: 0,
    bytesRead: 0,
    writes: 0,
    bytesWritten: 0,
    durableWrites: 0,
    flushes: 0,
  };

  constructor(target: VolumeTarget) {
    this.#target = target;
  }

  /** Counts operations as they begin, whatever comes of them. */
  get stats(): TargetStats {
    return { ...this.#counts };
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
    this.#counts.reads++;
    this.#counts.bytesRead += lengthOf(into);
    return this.#target.read(offset, into, options);
  }

  write(offset: number, from: Lease | Uint8Array, options?: WriteOptions): Promise<number> {
    this.#counts.writes++;
    this.#counts.bytesWritten += lengthOf(from);
    const write = () => this.#target.write(offset, from, options);
    return options?.durable === true ? this.#writeDurably(write) : write();
  }

  readBatch(ops: readonly Transfer[], options?: ReadBatchOptions): Promise<BatchResult> {
    this.#counts.reads += ops.length;
    for (const { buffer } of ops) this.#counts.bytesRead += lengthOf(buffer);
    return this.#target.readBatch(ops, options);
  }

  writeBatch(ops: readonly Transfer[], options?: WriteBatchOptions): Promise<BatchResult> {
    this.#counts.writes += ops.length;
    for (const { buffer } of ops) this.#counts.bytesWritten += lengthOf(buffer);
    const write = () => this.#target.writeBatch(ops, options);
    return options?.durable === true ? this.#writeDurably(write) : write();
  }

  async flush(options?: FlushOptions): Promise<void> {
    this.#counts.flushes++;
    await this.#run(this.#flushing, isHarmless, () => this.#target.flush(options));
    await Promise.allSettled([...this.#flushing, ...this.#writing]);
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  discard(offset: number, length: number, options?: WaitOptions): Promise<void> {
    return this.#target.discard(offset, length, options);
  }

  writeZeroes(offset: number, length: number, options?: WaitOptions): Promise<void> {
    return this.#target.writeZeroes(offset, length, options);
  }

  close(): Promise<void> {
    return this.#target.close();
  }

  async #writeDurably<T>(write: () => Promise<T>): Promise<T> {
    this.#counts.durableWrites++;
    const result = await this.#run(this.#writing, isHarmless, write);
    if (this.#flushing.size > 0) await Promise.allSettled(this.#flushing);
    if (this.#failure !== undefined) throw this.#failure.error;
    return result;
  }

  async #run<T>(
    others: Set<Promise<unknown>>,
    isHarmlessHere: (error: unknown) => boolean,
    sync: () => Promise<T>,
  ): Promise<T> {
    const syncing = sync().catch((error: unknown) => {
      if (!isHarmlessHere(error)) this.#failure ??= { error };
      throw error;
    });
    others.add(syncing);
    try {
      return await syncing;
    } finally {
      others.delete(syncing);
    }
  }
}
