// Rule 7: epochs, which end every few seconds while bits are set, when too much is dirty, and when the volume is closed.
//
//   (a) the other bitmap becomes current     (c) flush data        (e) flush the sidecar
//   (b) writes begun before have ended       (d) write tags        (f) the old bitmap is cleared, durably
//
// One change at a time. Whatever fails in it is final (rule 8): the old bits stay, and the volume changes nothing more.

import type { VolumeCore } from './core.js';
import type { DirtyRegions } from './dirty-regions.js';
import { persist } from './persist.js';
import type { Sidecar } from './sidecar.js';

/** Calls `run` once after so many milliseconds, unless what it returns was called before. */
export type Timer = (run: () => void, ms: number) => () => void;

/** Does not keep the process alive: what is dirty then is recovered. */
export const systemTimer: Timer = (run, ms) => {
  const timer = setTimeout(run, ms);
  timer.unref();
  return () => {
    clearTimeout(timer);
  };
};

export interface EpochsOptions {
  readonly core: VolumeCore;
  readonly sidecar: Sidecar;
  readonly intervalMs: number;
  readonly timer: Timer;
}

export class Epochs {
  readonly #options: EpochsOptions;
  #cancelTimer: (() => void) | undefined;
  #changing: Promise<void> | undefined;
  #stopped = false;
  /** Asked before tags are written; what it returns is called when all that were changed by then are durable. */
  onTags: () => () => Promise<void> = () => () => Promise.resolve();

  constructor(options: EpochsOptions) {
    this.#options = options;
  }

  /** Those of a volume that can be written to from now on, or has grown. */
  attach(dirty: DirtyRegions): void {
    dirty.onFull = () => {
      this.note();
    };
    this.#options.core.adopt({ dirty });
  }

  /** Something was written. */
  note(): void {
    const { core, intervalMs, timer } = this.#options;
    if (this.#stopped || this.#changing !== undefined) return;
    if (core.dirty!.isFull && core.dirty!.bytes > 0) {
      void this.#begin();
    } else if (core.dirty!.regions > 0) {
      this.#cancelTimer ??= timer(() => {
        this.#cancelTimer = undefined;
        if (!this.#stopped && this.#changing === undefined) void this.#begin();
      }, intervalMs);
    }
  }

  /** Resolves when all that resolved before is in the past: no bit says that it might not be. Rejects with what has failed. */
  async change(): Promise<void> {
    await this.#changing;
    await this.#begin();
    this.#options.core.checkFailure();
  }

  /** None begins by itself any more; resolves when the last one is over. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancelTimer?.();
    await this.#changing;
  }

  /** Never rejects. */
  #begin(): Promise<void> {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    this.#changing ??= this.#run();
    return this.#changing;
  }

  async #run(): Promise<void> {
    const { core } = this.#options;
    try {
      await this.#steps();
    } catch (error) {
      core.fail(error);
    }
    this.#changing = undefined;
    if (core.failure === undefined) this.note();
  }

  async #steps(): Promise<void> {
    const { core, sidecar } = this.#options;
    const dirty = core.dirty!;
    core.checkFailure();
    await sidecar.superblocks.checkOwner(); // rule 13
    dirty.beginEpoch(); // (a)
    await dirty.whenOldWritersLeft(); // (b)
    await persist(() => core.flushData()); // (c)
    const whenDurable = this.onTags();
    await core.tags.cache.writeAll(); // (d)
    await sidecar.flush(); // (e)
    await whenDurable();
    await dirty.clearOld(); // (f)
  }
}
