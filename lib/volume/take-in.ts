// Blocks get the checksums of what is there now, although nobody has written it through the volume: baseline and rebaseline.
//
//   stamp ─▶ data is read and hashed, without a lock ─▶ lock (rule 3), bit (rule 4) ─▶ was somebody there since the stamp? ─▶ tags
//                  ▲                                                                            │ yes
//                  └────────────────────────────────────────────────────────────────────────────┘ the last time it is read under the lock
//
// Data is read in the background class, where it waits for whoever is in the foreground. Under the lock somebody in the foreground might wait
// for that in turn; so the lock is held for no more than the tags take, unless somebody writes there all the time.
//
// A block that was known to be damaged is not any more once its tag says so durably, before the lock is released: the next write of it is
// one like any other (rule 10), and after a crash what that write left would be damaged still.
//
// These tags are `recalculated`, not `valid`: they say that the block has not changed since, and not that it is what somebody wrote.

import { RingboltError } from '../errors.js';
import type { Sums } from './block-data.js';
import { Claim, isDamage, type Claims } from './block-tags.js';
import type { VolumeCore } from './core.js';
import type { TagState } from './format/tag-page.js';

/** Which blocks get a tag, and of which state. */
export interface Choice {
  /** Whether the data of a block has to be looked at. */
  isWanted(claim: Claim): boolean;
  /** `matches`: what is there is what the tag says. Undefined: the tag stays. */
  state(claim: Claim, isReadable: boolean, matches: boolean): TagState | undefined;
}

export interface TakenIn {
  /** Blocks that got a tag. */
  readonly changed: number;
  readonly unreadable: number;
}

const CLAIM_TRIES = 3;
/** Tries without a lock. */
const FREE_TRIES = 2;

export async function takeIn(
  core: VolumeCore,
  first: number,
  count: number,
  choice: Choice,
): Promise<TakenIn> {
  const { locks } = core;
  for (let tries = 0; ; tries++) {
    const stamp = locks.stamp();
    if (!(await isAnyWanted(core, first, count, choice))) return { changed: 0, unreadable: 0 };
    const isFree = tries < FREE_TRIES;
    const early = isFree ? await core.data.sums(first, count, 'background') : undefined;
    const taken = await core.change(first, count, async (epoch, own) => {
      if (early !== undefined && locks.wasLocked(first, first + count, stamp, own))
        return undefined;
      const sums = early ?? (await core.data.sums(first, count));
      return install(core, first, sums, choice, epoch);
    });
    if (taken !== undefined) return taken;
  }
}

async function isAnyWanted(
  core: VolumeCore,
  first: number,
  count: number,
  choice: Choice,
): Promise<boolean> {
  const { claims } = await claimsOf(core, first, count);
  return claims.some((claim) => choice.isWanted(claim as Claim));
}

/**
 * What could not be read of the sidecar is not taken for lost: what the tags say there may be seen again, and then blocks that were passed over
 * would have none.
 */
async function claimsOf({ tags, path }: VolumeCore, first: number, count: number): Promise<Claims> {
  for (let tries = 0; tries < CLAIM_TRIES; tries++) {
    const claims = await tags.claims(first, count);
    if (!claims.isPartial) return claims;
  }
  const text = `The tags of blocks ${first} to ${first + count - 1} of '${path}' cannot be read`;
  throw new RingboltError('EIO', text, { path });
}

/** Under the lock and the bit. */
async function install(
  core: VolumeCore,
  first: number,
  { sums, readable }: Sums,
  choice: Choice,
  epoch: number,
): Promise<TakenIn> {
  const { tags } = core;
  const { claims, expected } = await claimsOf(core, first, sums.length);
  const generation = await core.generation();
  let [changed, unreadable] = [0, 0];
  let [firstDamaged, lastDamaged] = [Infinity, -1];
  for (let i = 0; i < sums.length; i++) {
    const claim = claims[i] as Claim;
    if (!choice.isWanted(claim)) continue;
    const isReadable = readable[i] === 1;
    if (!isReadable) unreadable++;
    const state = choice.state(claim, isReadable, isReadable && sums[i] === expected[i]);
    if (state === undefined) continue;
    if (isDamage(claim)) [firstDamaged, lastDamaged] = [Math.min(firstDamaged, i), i];
    // With another generation, as what else is in its sector gets tags as well.
    if (claim === Claim.lost) {
      await tags.keepDamage(first + i, sums[i]!, await core.generation(), epoch);
    }
    await tags.set(first + i, 1, { sums, at: i }, { generation, state }, epoch);
    changed++;
  }
  if (lastDamaged >= 0) {
    await tags.makeDurable(first + firstDamaged, lastDamaged - firstDamaged + 1);
  }
  return { changed, unreadable };
}
