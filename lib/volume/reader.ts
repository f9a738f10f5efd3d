// A read: data and tags at once, and what does not agree is looked at again before it is called damaged.
//
//   1. without a lock     all verified: done
//   2. in the queue of writes (rule 3), up to three times (rule 11)     all verified: done
//   3. under the exclusive lock, a block at a time: still not? then its tag says bad, durably, and no crash makes it good (rule 9)
//
// A block that matches its tag was read whole, as it was before some write or after it; so a read is repeated where something does
// not match, and also where something was not verified at all and a write was there meanwhile.

import type { IoOptions } from '../device/block-target.js';
import { ringboltError } from '../errors.js';
import { leases, type Lease } from '../memory/lease.js';
import { Claim, type Claims } from './block-tags.js';
import type { Extent, VolumeCore } from './core.js';
import { TagState } from './format/tag-page.js';

/** Rule 11. */
const MAX_REPEATS = 3;

/** Blocks, ascending. */
interface Verdict {
  readonly bytes: number;
  /** Data and tag do not match, or the data has ended. */
  readonly wrong: readonly number[];
  /** The same, and that is known. */
  readonly bad: readonly number[];
  readonly torn: readonly number[];
  readonly lost: readonly number[];
  /** Nothing is known of some. */
  readonly isUnverified: boolean;
}

export class VolumeReader {
  readonly #core: VolumeCore;
  #repeated = 0;
  #damaged = 0;

  constructor(core: VolumeCore) {
    this.#core = core;
  }

  /** Reads that were repeated. */
  get repeated(): number {
    return this.#repeated;
  }

  /** Blocks that were found to be damaged. */
  get damaged(): number {
    return this.#damaged;
  }

  /** Resolves to the bytes read: those of the extent. */
  async read(extent: Extent, into: Lease | Uint8Array, options: IoOptions): Promise<number> {
    const { locks } = this.#core;
    const { first, count } = extent;
    const stamp = locks.stamp();
    let verdict = await this.#attempt(extent, into, options);
    const isMixed = verdict.isUnverified && locks.wasLocked(first, first + count, stamp);
    if (isGood(verdict) && !isMixed) return verdict.bytes;
    for (let round = 0; round < 2; round++) {
      this.#repeated++;
      verdict = await this.#repeat(extent, into, options);
      if (isGood(verdict)) return verdict.bytes;
      if ((await this.#confirm(verdict.wrong)) || isDamaged(verdict)) break;
    }
    throw this.#error(verdict);
  }

  /** What is there. */
  readUnverified(extent: Extent, into: Lease | Uint8Array, options: IoOptions): Promise<number> {
    const { target } = this.#core.data;
    const read = (buffer: Lease | Uint8Array) => target.read(extent.offset, buffer, options);
    return this.#readData(extent, into, read);
  }

  /** Rule 3: a write that comes now waits. */
  async #repeat(extent: Extent, into: Lease | Uint8Array, options: IoOptions): Promise<Verdict> {
    const { locks } = this.#core;
    const lock = locks.takeShared(extent.first, extent.first + extent.count);
    try {
      if (!lock.held) await lock.whenHeld();
      let verdict = await this.#attempt(extent, into, options);
      for (let i = 1; i < MAX_REPEATS && verdict.wrong.length > 0; i++) {
        verdict = await this.#attempt(extent, into, options);
      }
      return verdict;
    } finally {
      locks.release(lock);
    }
  }

  async #attempt(extent: Extent, into: Lease | Uint8Array, options: IoOptions): Promise<Verdict> {
    const { tags, data } = this.#core;
    const { first, count, offset } = extent;
    const { length } = leases.is(into) ? into.buffer : into;
    // As long as what is asked of the target, which may be more than there is.
    const sums = new BigUint64Array(
      Math.max(count, Math.ceil(length / this.#core.geometry.blockSize)),
    );
    const checksum = data.checksums(first, sums);
    const claims = tags.claims(first, count);
    claims.catch(() => undefined); // until the memory is not written to any more
    const read = (buffer: Lease | Uint8Array) =>
      data.target.read(offset, buffer, { ...options, checksum });
    const bytes = await this.#readData(extent, into, read, sums);
    return this.#judge(extent, await claims, sums, bytes);
  }

  /** No further than the volume goes, whatever is behind it; `sums` are of no more than that. */
  async #readData(
    { offset, bytes, first, count }: Extent,
    into: Lease | Uint8Array,
    read: (buffer: Lease | Uint8Array) => Promise<number>,
    sums?: BigUint64Array,
  ): Promise<number> {
    const memory = leases.is(into) ? into.buffer : into;
    const { data } = this.#core;
    const padded = data.padded(bytes);
    const isEnd = data.target.size <= offset + bytes;
    const isEnough = memory.length === padded && (isEnd || padded === bytes);
    if (isEnough || (isEnd && memory.length > padded)) return read(into);
    // The target has more, or would have to be asked for more, than there is place for.
    const part = new Uint8Array(padded);
    const raw = await read(part);
    const done = Math.min(bytes, raw);
    memory.set(part.subarray(0, done));
    if (raw > done && sums !== undefined) data.correctLast(first, count, part, sums);
    return done;
  }

  #judge({ first, count }: Extent, claimed: Claims, sums: BigUint64Array, bytes: number): Verdict {
    const { claims, expected } = claimed;
    const { geometry } = this.#core;
    const [wrong, bad, torn, lost]: number[][] = [[], [], [], []];
    let isUnverified = false;
    for (let i = 0; i < count; i++) {
      const block = first + i;
      const isThere = i * geometry.blockSize + geometry.bytesOfBlock(block) <= bytes;
      const claim = claims[i] as Claim;
      if (claim === Claim.torn) torn!.push(block);
      else if (claim === Claim.lost) lost!.push(block);
      else if (!isThere && claim !== Claim.bad) wrong!.push(block);
      else if (claim === Claim.nothing || claim === Claim.undefined) isUnverified = true;
      else if (isThere && sums[i] === expected[i]) continue;
      else if (claim === Claim.bad) bad!.push(block);
      else if (this.#core.mayDiffer(block)) isUnverified = true;
      else wrong!.push(block);
    }
    return { bytes, wrong: wrong!, bad: bad!, torn: torn!, lost: lost!, isUnverified };
  }

  /**
   * Makes it known, durably, which of these blocks are damaged: a crash later, when something beside them was written, must not make them
   * good. Resolves to whether any is.
   */
  async #confirm(blocks: readonly number[]): Promise<boolean> {
    const { dirty, failure, outOfStep } = this.#core;
    const isFixed = dirty === undefined || failure !== undefined || outOfStep;
    if (isFixed) return blocks.length > 0;
    let isAny = false;
    for (const block of blocks) {
      const isBad = this.#core.change(block, 1, (epoch) => this.#markBad(block, epoch));
      // Where that fails nothing can be written any more; the block does not match all the same.
      if (await isBad.catch(() => true)) isAny = true;
    }
    return isAny;
  }

  async #markBad(block: number, epoch: number): Promise<boolean> {
    const { tags, data } = this.#core;
    const { claims, expected } = await tags.claims(block, 1);
    if (claims[0] !== Claim.match) return claims[0] === Claim.bad; // or somebody has written it
    const { sums, readable } = await data.sums(block, 1);
    if (readable[0] === 0 || sums[0] === expected[0]) return false;
    const mark = { generation: await this.#core.generation(), state: TagState.bad };
    await tags.set(block, 1, { sums: expected, at: 0 }, mark, epoch);
    await tags.makeDurable(block, 1);
    this.#damaged++;
    return true;
  }

  #error({ wrong, bad, torn, lost }: Verdict): unknown {
    const { path, failure, data } = this.#core;
    const blocks = [...wrong, ...bad, ...lost].sort((a, b) => a - b);
    if (blocks.length === 0) {
      const text = `Writes of blocks ${listed(torn)} of '${path}' left neither old nor new data`;
      return ringboltError('ERR_RINGBOLT_TORN', text, { path, blocks: torn });
    }
    // Rule 8: a tag that should be here may be one that could not be put there.
    if (failure !== undefined) return failure.error;
    const ended = this.#isTruncated(blocks)
      ? `: it is truncated, to ${data.target.size} bytes`
      : '';
    const text = `Blocks ${listed(blocks)} of '${path}' are damaged${ended}`;
    return ringboltError('ERR_RINGBOLT_CORRUPT', text, { path, blocks });
  }

  /** Whether the data ends before the last of these. */
  #isTruncated(blocks: readonly number[]): boolean {
    const { data, geometry } = this.#core;
    const last = blocks.at(-1)!;
    return data.target.size < last * geometry.blockSize + geometry.bytesOfBlock(last);
  }
}

function isGood(verdict: Verdict): boolean {
  return verdict.wrong.length === 0 && !isDamaged(verdict);
}

/** Without a doubt. */
function isDamaged({ bad, torn, lost }: Verdict): boolean {
  return bad.length + torn.length + lost.length > 0;
}

function listed(blocks: readonly number[]): string {
  const some = blocks.slice(0, 8).join(', ');
  return blocks.length > 8 ? `${some} and ${blocks.length - 8} more` : some;
}
