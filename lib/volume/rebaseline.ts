// Takes what is there now for good, whatever tags say: the only way but overwriting to make damage go away. What has rotted, was torn, or was
// changed behind the volume's back is not told from anything else afterwards.

import { abortError } from '../errors.js';
import { Claim } from './block-tags.js';
import type { VolumeCore } from './core.js';
import { TagState } from './format/tag-page.js';
import type { Gate } from './gate.js';
import { Pass, type PassProgress } from './pass.js';
import { takeIn, type Choice } from './take-in.js';

export interface RebaselineOptions {
  /** What was done until then stays. */
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: PassProgress) => void) | undefined;
}

export interface RebaselineReport {
  readonly blocks: number;
  /** Were not as their tags said, or nothing was known of them: they have new tags. */
  readonly changed: number;
  /** Their tags stay as they were. */
  readonly unreadable: number;
}

const choice: Choice = {
  isWanted: () => true,
  state: (claim, isReadable, matches) => {
    if (!isReadable || (claim === Claim.match && matches)) return undefined;
    return TagState.recalculated;
  },
};

/** Blocks from `first` to `end` - 1. The tags are durable with the end of the epoch. */
export async function rebaseline(
  core: VolumeCore,
  gate: Gate,
  { first, end }: { readonly first: number; readonly end: number },
  { signal, onProgress }: RebaselineOptions,
): Promise<RebaselineReport> {
  let [changed, unreadable] = [0, 0];
  const one = async (from: number, count: number) => {
    const taken = await takeIn(core, from, count, choice);
    changed += taken.changed;
    unreadable += taken.unreadable;
  };
  const pass = new Pass({ gate, geometry: () => core.geometry, first, end, one, onProgress });
  const stop = () => {
    pass.stop();
  };
  if (signal?.aborted === true) throw abortError(signal.reason);
  signal?.addEventListener('abort', stop, { once: true });
  try {
    await gate.run(() => core.flushData()); // what is hashed is not to be lost in a crash
    await pass.run();
  } finally {
    signal?.removeEventListener('abort', stop);
  }
  if (pass.frontier < end) throw abortError(signal?.reason);
  return { blocks: end - first, changed, unreadable };
}
