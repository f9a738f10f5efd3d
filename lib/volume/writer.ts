// Rule 5, a write: lock, bit, hash, data, tag, done. And what is to be done where that is not all:
//
//   the data write failed, or was interrupted ─▶ what is there is read: old, new, or torn
//   a lease was changed while it was written  ─▶ the same
//   a block was damaged before (rule 10)      ─▶ new checksum durable, still damaged; data durable; valid, durable
//
// Who need not wait for the lock, the bit, or a tag to be read, and finds nothing damaged, waits for the target alone. Everything else goes
// the long way.
//
// Rule 15: what is not a lease is copied by the target, and hashed in the same pass. A lease is hashed before it is written; whether it was still
// the same when it was written shows a second look, which is the target's as well.

import type { BatchResult, WriteBatchOptions } from '../device/block-target.js';
import { leases, type Lease } from '../memory/lease.js';
import { Outcomes, type Part } from './batch.js';
import { PIECE_BYTES, TURN_BYTES } from './block-data.js';
import { Claim, isDamage, type Claims } from './block-tags.js';
import type { Change, Extent, VolumeCore } from './core.js';
import { TagState } from './format/tag-page.js';
import type { Memory, Stability, VolumeWriteOptions } from './io-options.js';
import { Patience } from './patience.js';
import { Source } from './source.js';

type DataOptions = Omit<VolumeWriteOptions, 'stable' | 'checksum'>;

/** One of a batch, that was let in. */
interface Begun {
  readonly index: number;
  readonly extent: Extent;
  readonly source: Memory;
  readonly change: Change;
  /** Its first checksum, among those of all. */
  readonly at: number;
}

export class VolumeWriter {
  readonly #core: VolumeCore;

  constructor(core: VolumeCore) {
    this.#core = core;
  }

  /** Resolves to the extent's bytes when it has these data; they are as durable as the next flush makes them. */
  write(extent: Extent, from: Memory, options: VolumeWriteOptions): Promise<number> {
    const stable = options.stable ?? 'check';
    const rest = withoutStable(options);
    const { data } = this.#core;
    if (isToBeCopied(from, stable)) return this.#writeCopy(extent, from, rest);
    const change = this.#tryBegin(extent);
    if (change === undefined) return this.#writeSlowly(extent, from, stable, rest);
    // The target says nothing of leases that it could not write; what the array had before might be what these blocks had once.
    const sums = data.spare.take(extent.count).fill(0n);
    const checksum = data.checksums(extent.first, sums, stable === 'check');
    return data.target.write(extent.offset, from, { ...rest, checksum }).then(
      () => {
        const written = this.#written(extent, sums, change);
        if (typeof written === 'number') data.spare.give(sums);
        return written;
      },
      (error: unknown) => this.#failed(extent, sums, change, error),
    );
  }

  /** Those that can begin at once go down together. Not with `onError: 'abort'`. */
  async writeBatch(
    parts: readonly Part[],
    options: WriteBatchOptions & VolumeWriteOptions,
  ): Promise<BatchResult> {
    const { onError = 'wait', ...each } = options;
    const stable = each.stable ?? 'check';
    const rest = withoutStable(each);
    const outcomes = new Outcomes(parts.length);
    const together: Begun[] = [];
    let at = 0;
    for (const [index, { extent, buffer }] of parts.entries()) {
      const change = isToBeCopied(buffer, stable) ? undefined : this.#tryBegin(extent);
      if (change === undefined) outcomes.wait(index, this.write(extent, buffer, each));
      else together.push({ index, extent, source: buffer, change, at });
      if (change !== undefined) at += extent.count;
    }
    if (together.length > 0) {
      const sums = new BigUint64Array(at);
      const { data } = this.#core;
      const checksum = data.checksums(together[0]!.extent.first, sums, stable === 'check');
      const transfers = together.map(({ extent: { offset, first }, source }) => {
        return { offset, buffer: source, firstBlock: first };
      });
      const written = await data.target
        .writeBatch(transfers, { ...rest, checksum, onError: 'collect' })
        .then(
          ({ errors }) => errors,
          (error: unknown) => new Map(together.map((_, place) => [place, error])),
        );
      for (const [place, { index, extent, change, at: from }] of together.entries()) {
        const own = sums.subarray(from, from + extent.count);
        const error: unknown = written.get(place);
        if (error !== undefined) outcomes.wait(index, this.#failed(extent, own, change, error));
        else {
          const bytes = this.#written(extent, own, change);
          if (typeof bytes === 'number') outcomes.succeed(index, bytes);
          else outcomes.wait(index, bytes);
        }
      }
    }
    return outcomes.settle(onError);
  }

  /** Undefined for whoever has to go the long way. */
  #tryBegin({ first, count }: Extent): Change | undefined {
    return this.#core.tags.areSound(first, count) ? this.#core.tryBegin(first, count) : undefined;
  }

  /** The data is there. */
  #written(extent: Extent, sums: BigUint64Array, change: Change): number | Promise<number> {
    const { tags } = this.#core;
    const generation = this.#core.tryGeneration();
    const mark = { generation, state: TagState.valid };
    const from = { sums, at: 0 };
    const isSet =
      generation !== 0 && tags.trySet(extent.first, extent.count, from, mark, change.epoch);
    if (!isSet) return this.#installSlowly(extent, sums, change);
    this.#core.end(change);
    return extent.bytes;
  }

  async #installSlowly(extent: Extent, sums: BigUint64Array, change: Change): Promise<number> {
    try {
      await this.#install(extent, sums, TagState.valid, change.epoch);
      return extent.bytes;
    } finally {
      this.#core.end(change);
    }
  }

  async #failed(
    extent: Extent,
    sums: BigUint64Array,
    change: Change,
    error: unknown,
  ): Promise<never> {
    try {
      return await this.#settleAfter(error, extent, sums, change.epoch);
    } finally {
      this.#core.end(change);
    }
  }

  /** Rule 15. A copy takes turns, and its turn may have to come: the lease is the engine's until it has ended. */
  async #writeCopy(extent: Extent, lease: Lease, options: DataOptions): Promise<number> {
    leases.hold(lease);
    try {
      return await this.write(extent, leases.memory(lease), options);
    } finally {
      leases.letGo(lease);
    }
  }

  async #writeSlowly(
    extent: Extent,
    from: Memory,
    stable: Stability,
    options: DataOptions,
  ): Promise<number> {
    const { first, count, offset } = extent;
    const { data, tags } = this.#core;
    const patience = new Patience(options);
    const source = new Source(from, extent.bytes);
    const write = async (epoch: number) => {
      const rest = patience.left(options);
      if (await tags.hasDamage(first, count)) {
        return this.#writeThrough(extent, source, rest, epoch);
      }
      const sums = new BigUint64Array(count);
      const checksum = data.checksums(first, sums, stable === 'check');
      await this.#attempt(extent, sums, epoch, async () =>
        data.target.write(offset, source.handOver(), { ...rest, checksum }),
      );
      await this.#install(extent, sums, TagState.valid, epoch);
    };
    try {
      await this.#core.change(first, count, write, patience);
    } finally {
      source.end();
    }
    return extent.bytes;
  }

  /** Rule 14: a write. At most a piece of {@link PIECE_BYTES}. */
  async writeZeroes(extent: Extent, patience: Patience): Promise<void> {
    const { first, count, offset, bytes } = extent;
    const run = async (epoch: number) => {
      const { data, tags } = this.#core;
      if (await tags.hasDamage(first, count)) {
        const zeros = new Source(new Uint8Array(bytes), bytes);
        return this.#writeThrough(extent, zeros, {}, epoch);
      }
      const sums = BigUint64Array.from({ length: count }, (_, i) => tags.zeroSum(first + i));
      await this.#attempt(extent, sums, epoch, () => data.target.writeZeroes(offset, bytes));
      await this.#install(extent, sums, TagState.valid, epoch);
    };
    await this.#core.change(first, count, run, patience);
  }

  /** Rule 14: a write, of nobody knows what. */
  async discard(extent: Extent, patience: Patience): Promise<void> {
    const { first, count, offset, bytes } = extent;
    const run = async (epoch: number) => {
      const sums = new BigUint64Array(count);
      await this.#attempt(extent, undefined, epoch, () =>
        this.#core.data.target.discard(offset, bytes),
      );
      const { claims } = await this.#core.tags.claims(first, count);
      for (let i = 0; i < count; i++) {
        if (isDamage(claims[i]!)) continue; // until it is written again
        const one = { ...extent, first: first + i, count: 1 };
        await this.#install(one, sums.subarray(i), TagState.discarded, epoch);
      }
    };
    await this.#core.change(first, count, run, patience);
  }

  async #install(
    { first, count }: Extent,
    sums: BigUint64Array,
    state: TagState,
    epoch: number,
  ): Promise<void> {
    const generation = await this.#core.generation();
    try {
      await this.#core.tags.set(first, count, { sums, at: 0 }, { generation, state }, epoch);
    } catch (error) {
      // The data is there, its tag is not: the region stays dirty until the volume is opened again.
      this.#core.fail(error);
      throw error;
    }
  }

  /** Rule 5: data that was perhaps written, perhaps in part. `sums` is what it was to have; undefined for anything at all. */
  async #attempt(
    extent: Extent,
    sums: BigUint64Array | undefined,
    epoch: number,
    write: () => Promise<unknown>,
  ): Promise<void> {
    try {
      await write();
    } catch (error) {
      await this.#settleAfter(error, extent, sums, epoch);
    }
  }

  async #settleAfter(
    error: unknown,
    extent: Extent,
    sums: BigUint64Array | undefined,
    epoch: number,
  ): Promise<never> {
    this.#core.checkFailure();
    try {
      await this.#settle(extent, sums, epoch);
    } catch (cause) {
      // What is there now, no tag says: the region stays dirty until the volume is opened again.
      this.#core.fail(cause);
    }
    throw error;
  }

  /** Looks what a write left, and makes the tags say it. */
  async #settle(
    { first, count }: Extent,
    sums: BigUint64Array | undefined,
    epoch: number,
  ): Promise<void> {
    const { tags, data, geometry } = this.#core;
    const most = PIECE_BYTES / geometry.blockSize;
    const generation = await this.#core.generation();
    for (let at = 0; at < count; at += most) {
      const some = Math.min(most, count - at);
      const claims = await tags.claims(first + at, some);
      const found = await data.sums(first + at, some);
      for (let i = 0; i < some; i++) {
        const block = first + at + i;
        const sum = found.readable[i] === 1 ? found.sums[i] : undefined;
        const state = this.#judge(claims, i, sum, sums?.[at + i]);
        if (state === undefined) continue;
        const from = state === TagState.valid ? found.sums : claims.expected;
        await tags.set(block, 1, { sums: from, at: i }, { generation, state }, epoch);
        // Or a crash would make it something that nobody wrote and nobody knows to be damaged.
        if (state === TagState.torn) await tags.makeDurable(block, 1);
      }
    }
  }

  /** What a block's tag is to say; undefined if it is to stay. `isNow`, `wanted`: checksums, if there are. */
  #judge(
    { claims, expected }: Claims,
    i: number,
    isNow: bigint | undefined,
    wanted: bigint | undefined,
  ): TagState | undefined {
    const claim = claims[i]!;
    if (isDamage(claim)) return undefined;
    if (claim === Claim.match && isNow === expected[i]) return undefined; // old
    if (isNow !== undefined && isNow === wanted) return TagState.valid; // new
    // Of a block that nothing was known of it cannot be told whether it is old.
    if (claim !== Claim.match) return undefined;
    return wanted === undefined ? TagState.discarded : TagState.torn;
  }

  /**
   * Rule 10. A tag that says valid before the data is durable would, after a crash, be of a block that does not match in a dirty region:
   * what was there before, known to be damaged, would be taken for good.
   */
  async #writeThrough(
    { first, count, offset, bytes }: Extent,
    source: Source,
    options: DataOptions,
    epoch: number,
  ): Promise<void> {
    const { blockSize } = this.#core.geometry;
    const most = TURN_BYTES / blockSize;
    for (let at = 0; at < count; at += most) {
      const start = at * blockSize;
      const end = Math.min(bytes, start + TURN_BYTES);
      const piece = {
        first: first + at,
        count: Math.min(most, count - at),
        offset: offset + start,
        bytes: end - start,
      };
      const copy = new Uint8Array(source.bytes.subarray(start, end));
      await this.#writePieceThrough(piece, copy, options, epoch);
    }
  }

  /** `copy`: nobody changes it. */
  async #writePieceThrough(
    extent: Extent,
    copy: Uint8Array,
    options: DataOptions,
    epoch: number,
  ): Promise<void> {
    const { first, count, offset } = extent;
    const { tags, data } = this.#core;
    const sums = data.sumsOf(first, copy);
    const { claims } = await tags.claims(first, count);
    for (let i = 0; i < count; i++) {
      if (!isDamage(claims[i]!)) continue;
      // One for each: with the first of a sector that is lost the others get a tag as well, and theirs is another one.
      const generation = await this.#core.generation();
      await tags.keepDamage(first + i, sums[i]!, generation, epoch);
      await tags.makeDurable(first + i, 1);
    }
    // Not a durable write: where one fails nobody may write any more, but to write a broken block is worth a try.
    const rest = { ...options, durable: false };
    await this.#attempt(extent, sums, epoch, () => data.target.write(offset, copy, rest));
    await this.#core.flushData();
    await this.#install(extent, sums, TagState.valid, epoch);
    await tags.makeDurable(first, count);
  }
}

function isToBeCopied(from: Memory, stable: Stability): from is Lease {
  return stable === 'copy' && leases.is(from);
}

/** What the target knows of. Most have nothing else, and are not copied. */
function withoutStable(options: VolumeWriteOptions): DataOptions {
  if (!('stable' in options)) return options;
  const rest: DataOptions & { stable?: Stability } = { ...options };
  delete rest.stable;
  return rest;
}
