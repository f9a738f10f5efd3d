// A read: data and tags at once, and what does not agree is looked at again before it is called damaged.
//
//   1. without a lock     all verified: done
//   2. in the queue of writes (rule 3), up to three times (rule 11)     all verified: done
//   3. under the exclusive lock, a block at a time: still not? then its tag says bad, durably, and no crash makes it good (rule 9)
//
// A block that matches its tag was read whole, as it was before some write or after it; so a read is repeated where something does
// not match, and also where something was not verified at all and a write was there meanwhile.
//
// The first time, tags that are in memory when the data is there are compared where they are: nothing is copied. Those that are not are read
// together with the data, and copied: they may have gone again by the time it comes. Whatever does not match then is judged like everything else.

import type { BatchResult, IoOptions, ReadBatchOptions } from '../device/block-target.js';
import { ringboltError } from '../errors.js';
import { Outcomes, type Part } from './batch.js';
import { Claim, type Claims } from './block-tags.js';
import type { Extent, VolumeCore } from './core.js';
import { TagState } from './format/tag-page.js';
import { lengthOf, viewOf, type Memory } from './io-options.js';
import { Patience } from './patience.js';

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

/** What there was without a lock. */
interface FirstAttempt {
  readonly stamp: number;
  /** Undefined if the tags were in memory. */
  readonly claims: Claims | undefined;
  readonly sums: BigUint64Array;
  readonly bytes: number;
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
  read(extent: Extent, into: Memory, options: IoOptions): Promise<number> {
    const { data, locks, tags } = this.#core;
    const { first, count } = extent;
    const part = { extent, buffer: into, length: lengthOf(into) };
    const stamp = locks.stamp();
    const sums = data.spare.take(this.#valuesOf(part));
    const claimsRead = this.#claimsAhead(extent);
    const reading = this.#readData(part, {
      ...options,
      checksum: data.checksums(first, sums),
    });
    const compare = (bytes: number, claims?: Claims) => {
      const isGood =
        claims === undefined ? tags.match(first, count, { sums, at: 0 }) : agree(claims, sums, 0);
      if (bytes < extent.bytes || !isGood) {
        return this.#judgeFirst(part, options, { stamp, claims, sums, bytes });
      }
      data.spare.give(sums);
      if (claims !== undefined) data.spare.give(claims.expected);
      return bytes;
    };
    if (claimsRead === undefined) return reading.then(compare);
    return reading.then((bytes) => claimsRead.then((claims) => compare(bytes, claims)));
  }

  /** The same for many: those that the target can read right into their memory are one batch of its own. Not with `onError: 'abort'`. */
  async readBatch(parts: readonly Part[], options: ReadBatchOptions): Promise<BatchResult> {
    const { onError = 'wait', ...rest } = options;
    const outcomes = new Outcomes(parts.length);
    const together: number[] = [];
    for (const [index, part] of parts.entries()) {
      if (part.extent.bytes === 0) outcomes.succeed(index, 0);
      else if (this.#isPlain(part)) together.push(index);
      else outcomes.wait(index, this.read(part.extent, part.buffer, rest));
    }
    if (together.length > 0) {
      await this.#readTogether(parts, together, rest, outcomes).catch((error: unknown) => {
        for (const index of together) outcomes.fail(index, error as Error);
      });
    }
    return outcomes.settle(onError);
  }

  async #readTogether(
    parts: readonly Part[],
    indices: readonly number[],
    options: IoOptions,
    outcomes: Outcomes,
  ): Promise<void> {
    const { data, locks, tags } = this.#core;
    const stamp = locks.stamp();
    const some = indices.map((index) => parts[index]!);
    const claimsRead = some.map(({ extent }) => this.#claimsAhead(extent));
    const sums = data.spare.take(some.reduce((sum, part) => sum + this.#valuesOf(part), 0));
    const transfers = some.map(({ extent: { offset, first }, buffer }) => {
      return { offset, buffer, firstBlock: first };
    });
    const checksum = data.checksums(some[0]!.extent.first, sums);
    const all = { ...options, checksum, onError: 'collect' } as const;
    const { transferred, errors } = await data.target.readBatch(transfers, all);
    let at = 0;
    for (const [place, part] of some.entries()) {
      const { first, count, bytes: wanted } = part.extent;
      const index = indices[place]!;
      const bytes = transferred[place]!;
      const error = errors.get(place);
      const claims = error === undefined ? await claimsRead[place] : undefined;
      const isGood =
        claims === undefined ? tags.match(first, count, { sums, at }) : agree(claims, sums, at);
      if (error !== undefined) {
        outcomes.fail(index, error);
      } else if (bytes >= wanted && isGood) {
        outcomes.succeed(index, bytes);
      } else {
        const own = { stamp, claims, sums: sums.slice(at, at + count), bytes };
        outcomes.wait(index, this.#judgeFirst(part, options, own));
      }
      at += this.#valuesOf(part);
    }
    data.spare.give(sums);
  }

  /** Checksums of what is asked of the target, which may be more than there is. */
  #valuesOf({ extent: { count }, length }: Part): number {
    return Math.max(count, Math.ceil(length / this.#core.geometry.blockSize));
  }

  /** Whether the target can read right into it. */
  #isPlain({ extent: { offset, bytes }, length }: Part): boolean {
    const { data } = this.#core;
    const padded = data.padded(bytes);
    const isEnd = data.target.size <= offset + bytes;
    // Elsewhere the target has more, or would have to be asked for more, than there is place for.
    return (length === padded && (isEnd || padded === bytes)) || (isEnd && length > padded);
  }

  /** Undefined if all are in memory. What fails here fails again, for those who cannot do without. */
  #claimsAhead({ first, count }: Extent): Promise<Claims | undefined> | undefined {
    const { tags, data } = this.#core;
    if (tags.areHere(first, count)) return undefined;
    return tags.claims(first, count, data.spare.take(count)).catch(() => undefined);
  }

  /** Not all was verified at once. */
  async #judgeFirst(
    part: Part,
    options: IoOptions,
    { stamp, claims, sums, bytes }: FirstAttempt,
  ): Promise<number> {
    const { locks, tags } = this.#core;
    const { extent } = part;
    const { first, count } = extent;
    const claimed = claims ?? (await tags.claims(first, count));
    let verdict = this.#judge(extent, claimed, sums, bytes);
    const isMixed = verdict.isUnverified && locks.wasLocked(first, first + count, stamp);
    if (isGood(verdict) && !isMixed) return verdict.bytes;
    for (let round = 0; round < 2; round++) {
      this.#repeated++;
      verdict = await this.#repeat(part, options);
      if (isGood(verdict)) return verdict.bytes;
      if ((await this.#confirm(verdict.wrong)) || isDamaged(verdict)) break;
    }
    throw this.#error(verdict);
  }

  /** What is there. */
  readUnverified(extent: Extent, into: Memory, options: IoOptions): Promise<number> {
    return this.#readData({ extent, buffer: into, length: lengthOf(into) }, options);
  }

  /** Rule 3: a write that comes now waits. */
  async #repeat(part: Part, options: IoOptions): Promise<Verdict> {
    const { locks } = this.#core;
    const { extent } = part;
    const patience = new Patience(options);
    const lock = locks.takeShared(extent.first, extent.first + extent.count);
    try {
      if (!lock.held) await patience.wait(lock.whenHeld());
      let verdict = await this.#attempt(part, patience.left(options));
      for (let i = 1; i < MAX_REPEATS && verdict.wrong.length > 0; i++) {
        verdict = await this.#attempt(part, patience.left(options));
      }
      return verdict;
    } finally {
      locks.release(lock);
    }
  }

  async #attempt(part: Part, options: IoOptions): Promise<Verdict> {
    const { tags, data } = this.#core;
    const { extent } = part;
    const { first, count } = extent;
    viewOf(part.buffer); // or its tags would be compared with nothing
    const sums = new BigUint64Array(this.#valuesOf(part));
    const claims = tags.claims(first, count);
    claims.catch(() => undefined); // until the memory is not written to any more
    const checksum = data.checksums(first, sums);
    const bytes = await this.#readData(part, { ...options, checksum });
    return this.#judge(extent, await claims, sums, bytes);
  }

  /** No further than the volume goes, whatever is behind it; checksums are of no more than that. */
  #readData(part: Part, options: IoOptions): Promise<number> {
    const { target } = this.#core.data;
    const { extent, buffer } = part;
    if (this.#isPlain(part)) return target.read(extent.offset, buffer, options);
    return this.#readThrough(extent, buffer, options);
  }

  async #readThrough(
    { offset, bytes, first, count }: Extent,
    memory: Memory,
    options: IoOptions,
  ): Promise<number> {
    const { data } = this.#core;
    const part = new Uint8Array(data.padded(bytes));
    const raw = await data.target.read(offset, part, options);
    const done = Math.min(bytes, raw);
    viewOf(memory).set(part.subarray(0, done));
    const sums = options.checksum?.out;
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

/** Whether all blocks are claimed to be what they are, from element `at` of `sums` on. */
function agree({ claims, expected }: Claims, sums: BigUint64Array, at: number): boolean {
  for (let i = 0; i < claims.length; i++) {
    if (claims[i] !== Claim.match || expected[i] !== sums[at + i]) return false;
  }
  return true;
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
