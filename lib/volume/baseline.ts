// The baseline of a volume that was made around data which was there before: block after block gets a tag of what is there, in the background,
// while the volume is used.
//
//   tags, durable ──▶ cursor, in the superblock     tags ──▶ frontier     nothing is known ──▶ end
//
// Rule 2: before the cursor a tag that was never written is damage. So the cursor follows with the end of an epoch: it becomes where the
// frontier was before the epoch's tags were written, once these are durable. A crash costs what was done since; what
// recovery finds in dirty regions has tags after it, too.
//
// A block that was written meanwhile keeps its tag. One that cannot be read gets a tag which says that nothing is known of it, so that the
// cursor can pass; a baseline that begins before it tries it again.

import { abortError } from '../errors.js';
import { Claim } from './block-tags.js';
import type { VolumeCore } from './core.js';
import type { Epochs } from './epochs.js';
import { TagState } from './format/tag-page.js';
import type { Gate } from './gate.js';
import { Pass, type PassProgress } from './pass.js';
import type { SuperblockStore } from './superblock-store.js';
import { takeIn, type Choice } from './take-in.js';

export interface BaselineStatus {
  /**
   * `'none'`: the volume was made as zeros and needs none. `'stopped'`: it was paused, has failed or was never begun; what there is before
   * `blocksDone` stays done.
   */
  readonly state: 'none' | 'running' | 'stopped' | 'done';
  readonly blocksDone: number;
  readonly blocks: number;
  /** Of the blocks done, since the volume was opened: those that could not be read. */
  readonly unreadable: number;
  /** What it failed with, if it did. */
  readonly failure: unknown;
}

export interface BaselineRun {
  /** Pauses it, for everybody. */
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: PassProgress) => void) | undefined;
}

export interface BaselineOptions {
  readonly core: VolumeCore;
  readonly gate: Gate;
  readonly superblocks: SuperblockStore;
  /** Undefined for a volume that is only read. */
  readonly epochs: Epochs | undefined;
  readonly onBaselineProgress?: ((progress: PassProgress) => void) | undefined;
}

const choice: Choice = {
  isWanted: (claim) => claim === Claim.nothing,
  state: (_claim, isReadable) => (isReadable ? TagState.recalculated : TagState.unknown),
};

export class Baseline {
  readonly #options: BaselineOptions;
  readonly #listeners = new Set<(progress: PassProgress) => void>();
  #pass: Pass | undefined;
  #running: Promise<void> | undefined;
  /** All before it is done; -1: what the superblock says. */
  #frontier = -1;
  #unreadable = 0;
  #failure: unknown;
  #isPausing = false;
  readonly #paused = abortError('The baseline was paused');

  constructor(options: BaselineOptions) {
    this.#options = options;
    const { epochs, onBaselineProgress: listener } = options;
    if (listener !== undefined) this.#listeners.add(listener);
    if (epochs !== undefined) epochs.onTags = () => this.#checkpoint();
  }

  get status(): BaselineStatus {
    const blocks = this.#options.core.geometry.blockCount;
    const blocksDone = this.#pass?.frontier ?? this.#done;
    const { neverWritten, baselineCursor } = this.#options.superblocks.current;
    const ended = baselineCursor === blocks ? 'done' : 'stopped';
    const state = this.#running === undefined ? ended : 'running';
    return {
      state: neverWritten === 'zeros' ? 'none' : state,
      blocksDone,
      blocks,
      unreadable: this.#unreadable,
      failure: this.#failure,
    };
  }

  /**
   * Begins, goes on after a pause, or joins what is under way. Resolves when every block has a tag, durably.
   *
   * @throws `ABORT_ERR` if it is paused, by {@link pause}, the signal of anybody, or since the volume is closed; what it has failed with
   */
  async run({ signal, onProgress }: BaselineRun = {}): Promise<void> {
    const isAborted = () => signal?.aborted === true;
    if (isAborted()) throw abortError(signal?.reason);
    const pause = () => void this.pause();
    signal?.addEventListener('abort', pause, { once: true });
    if (onProgress !== undefined) this.#listeners.add(onProgress);
    try {
      this.#running ??= this.#run();
      await this.#running;
    } catch (error) {
      throw isAborted() && error === this.#paused ? abortError(signal?.reason) : error;
    } finally {
      signal?.removeEventListener('abort', pause);
      if (onProgress !== undefined) this.#listeners.delete(onProgress);
    }
  }

  /** Resolves when nothing of it is under way any more. */
  async pause(): Promise<void> {
    this.#isPausing = true;
    this.#pass?.stop();
    await this.#running?.catch(() => undefined);
  }

  get #done(): number {
    const cursor = this.#options.superblocks.current.baselineCursor;
    return Math.max(this.#frontier, cursor);
  }

  async #run(): Promise<void> {
    this.#failure = undefined;
    this.#isPausing = false;
    try {
      await this.#toTheEnd();
    } catch (error) {
      if (error !== this.#paused) this.#failure = error;
      throw error;
    } finally {
      this.#pass = undefined;
      this.#running = undefined;
    }
  }

  async #toTheEnd(): Promise<void> {
    const { core, gate, superblocks, epochs } = this.#options;
    while (superblocks.current.baselineCursor < core.geometry.blockCount) {
      if (this.#isPausing) throw this.#paused;
      const pass = new Pass({
        gate,
        geometry: () => core.geometry,
        first: this.#done,
        one: async (first, count) => {
          const { unreadable } = await takeIn(core, first, count, choice);
          this.#unreadable += unreadable;
        },
        onProgress: () => {
          this.#report();
        },
      });
      this.#pass = pass;
      try {
        await pass.run();
      } finally {
        this.#frontier = pass.frontier;
      }
      if (pass.isStopped) throw this.#paused;
      await gate.run(() => epochs!.change()); // and the cursor with it
    }
  }

  #report(): void {
    const { blocksDone, blocks } = this.status;
    for (const listener of this.#listeners) listener({ blocksDone, blocks });
  }

  #checkpoint(): () => Promise<void> {
    const { superblocks } = this.#options;
    const frontier = this.#pass?.frontier ?? this.#frontier;
    return async () => {
      if (frontier <= superblocks.current.baselineCursor) return;
      await superblocks.update(() => ({ baselineCursor: frontier }));
    };
  }
}
