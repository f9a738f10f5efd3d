// Rule 5, a write: lock, bit, hash, data, tag, done. And what is to be done where that is not all:
//
//   the data write failed, or was interrupted ─▶ what is there is read: old, new, or torn
//   a lease was changed while it was written  ─▶ the same
//   a block was damaged before (rule 10)      ─▶ new checksum durable, still damaged; data durable; valid, durable
//
// Rule 15: what is not a lease is copied by the target, and hashed in the same pass. A lease is hashed before it is written; whether it was still
// the same when it was written shows a second look.

import { ringboltError } from '../errors.js';
import { leases, type Lease } from '../memory/lease.js';
import { PIECE_BYTES } from './block-data.js';
import { Claim, isDamage, type Claims } from './block-tags.js';
import type { Extent, VolumeCore } from './core.js';
import { TagState } from './format/tag-page.js';
import type { VolumeWriteOptions } from './io-options.js';

type DataOptions = Omit<VolumeWriteOptions, 'stable' | 'checksum'>;

export class VolumeWriter {
  readonly #core: VolumeCore;

  constructor(core: VolumeCore) {
    this.#core = core;
  }

  /** Resolves when the extent has these data; they are as durable as the next flush makes them. */
  async write(
    extent: Extent,
    from: Lease | Uint8Array,
    options: VolumeWriteOptions,
  ): Promise<void> {
    const { stable = 'check', ...rest } = options;
    const isLease = leases.is(from);
    const source = isLease && stable === 'copy' ? Uint8Array.from(from.buffer) : from;
    const { first, count } = extent;
    await this.#core.change(first, count, async (epoch) => {
      if (await this.#core.tags.hasDamage(first, count)) {
        const copy = Uint8Array.from(leases.is(source) ? source.buffer : source);
        return this.#writeThrough(extent, copy, rest, epoch);
      }
      const sums = new BigUint64Array(count);
      const checksum = this.#core.data.checksums(first, sums);
      await this.#attempt(extent, sums, epoch, () =>
        this.#core.data.target.write(extent.offset, source, { ...rest, checksum }),
      );
      if (isLease && stable === 'check') await this.#checkLease(extent, from, sums, epoch);
      await this.#install(extent, sums, TagState.valid, epoch);
    });
  }

  /** Rule 14: a write. At most a piece of {@link PIECE_BYTES}. */
  async writeZeroes(extent: Extent): Promise<void> {
    const { first, count, offset, bytes } = extent;
    await this.#core.change(first, count, async (epoch) => {
      const { data, tags } = this.#core;
      if (await tags.hasDamage(first, count)) {
        return this.#writeThrough(extent, new Uint8Array(bytes), {}, epoch);
      }
      const sums = BigUint64Array.from({ length: count }, (_, i) => tags.zeroSum(first + i));
      await this.#attempt(extent, sums, epoch, () => data.target.writeZeroes(offset, bytes));
      await this.#install(extent, sums, TagState.valid, epoch);
    });
  }

  /** Rule 14: a write, of nobody knows what. */
  async discard(extent: Extent): Promise<void> {
    const { first, count, offset, bytes } = extent;
    await this.#core.change(first, count, async (epoch) => {
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
    });
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
      this.#core.checkFailure();
      await this.#settle(extent, sums, epoch);
      throw error;
    }
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

  async #checkLease(
    extent: Extent,
    lease: Lease,
    sums: BigUint64Array,
    epoch: number,
  ): Promise<void> {
    const { data, path } = this.#core;
    const again = data.sumsOf(extent.first, leases.memory(lease));
    if (again.every((sum, i) => sum === sums[i])) return;
    await this.#settle(extent, sums, epoch);
    const text = `The lease was changed while it was written to '${path}'`;
    throw ringboltError('ERR_RINGBOLT_CORRUPT', text, { path, offset: extent.offset });
  }

  /**
   * Rule 10. A tag that says valid before the data is durable would, after a crash, be of a block that does not match in a dirty region:
   * what was there before, known to be damaged, would be taken for good.
   */
  async #writeThrough(
    extent: Extent,
    copy: Uint8Array,
    options: DataOptions,
    epoch: number,
  ): Promise<void> {
    const { first, count, offset } = extent;
    const { tags, data } = this.#core;
    const sums = data.sumsOf(first, copy);
    const { claims } = await tags.claims(first, count);
    const generation = await this.#core.generation();
    for (let i = 0; i < count; i++) {
      if (!isDamage(claims[i]!)) continue;
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
