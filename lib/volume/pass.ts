// A pass over blocks, in order and in pieces, with a few of them under way: what baseline and rebaseline have in common.
//
//   done ───────────────▶ frontier  [piece] done [piece] [piece]  ▶ next        end
//
// All before the frontier is done. A piece is an operation of the volume like those of users, so the volume may grow between two of them,
// and the end may move.

import { PIECE_BYTES } from './block-data.js';
import type { Gate } from './gate.js';
import type { Geometry } from './geometry.js';

export interface PassProgress {
  readonly blocksDone: number;
  readonly blocks: number;
}

export interface PassOptions {
  readonly gate: Gate;
  /** Asked anew before each piece. */
  readonly geometry: () => Geometry;
  readonly first: number;
  /** Default: where the volume ends. */
  readonly end?: number | undefined;
  /** Does a piece. */
  readonly one: (first: number, count: number) => Promise<void>;
  readonly onProgress?: ((progress: PassProgress) => void) | undefined;
}

/** Pieces under way. */
const WORKERS = 4;
/** Of a piece: as much as others on the same blocks may have to wait for. */
const BYTES = PIECE_BYTES / 4;

export class Pass {
  readonly #options: PassOptions;
  /** Their first blocks. */
  readonly #active = new Set<number>();
  #next: number;
  #isStopped = false;

  constructor(options: PassOptions) {
    this.#options = options;
    this.#next = options.first;
  }

  /** All blocks before it are done. */
  get frontier(): number {
    return Math.min(this.#next, ...this.#active);
  }

  get end(): number {
    const { geometry, end = Infinity } = this.#options;
    return Math.min(end, geometry().blockCount);
  }

  get isStopped(): boolean {
    return this.#isStopped;
  }

  /** No piece begins any more: {@link run} resolves when those under way have ended. */
  stop(): void {
    this.#isStopped = true;
  }

  /** Resolves at the end, or when it is stopped. Rejects with what a piece did; no further one begins then. */
  async run(): Promise<void> {
    const work = async () => {
      try {
        while (!this.#isStopped && this.#next < this.end) await this.#piece();
      } catch (error) {
        this.stop();
        throw error;
      }
    };
    const workers = await Promise.allSettled(Array.from({ length: WORKERS }, work));
    for (const worker of workers) if (worker.status === 'rejected') throw worker.reason;
  }

  async #piece(): Promise<void> {
    const { gate, geometry, first: begin, one, onProgress } = this.#options;
    const first = this.#next;
    const count = Math.min(BYTES / geometry().blockSize, this.end - first);
    this.#next += count;
    this.#active.add(first); // for ever, if it fails: it is not done
    await gate.run(() => one(first, count));
    this.#active.delete(first);
    onProgress?.({ blocksDone: this.frontier - begin, blocks: this.end - begin });
  }
}
