// How long one operation waits for others: its signal and its deadline, over all that it waits for. What has begun ends as the target has it.

import type { IoOptions } from '../device/block-target.js';
import { beginInterrupt, untilInterrupted } from '../interrupt.js';

type Limits = Pick<IoOptions, 'signal' | 'timeoutMs'>;

export class Patience {
  readonly #signal: AbortSignal | undefined;
  readonly #deadlineMs: number;

  /** Both checked. */
  constructor({ signal, timeoutMs = Infinity }: Limits) {
    this.#signal = signal;
    this.#deadlineMs = performance.now() + timeoutMs;
  }

  /**
   * Settles as `promise` does, which goes on in any case.
   *
   * @throws an `AbortError`, `ERR_RINGBOLT_TIMEOUT`
   */
  async wait<T>(promise: Promise<T>): Promise<T> {
    const interrupts = beginInterrupt(this.#signal, this.#leftMs);
    return interrupts === undefined ? promise : untilInterrupted(promise, interrupts);
  }

  /** The same options, with the time that is left. */
  left<T extends Limits>(options: T): T {
    const timeoutMs = this.#leftMs;
    return timeoutMs === undefined ? options : { ...options, timeoutMs };
  }

  get #leftMs(): number | undefined {
    if (this.#deadlineMs === Infinity) return undefined;
    return Math.max(1, Math.ceil(this.#deadlineMs - performance.now()));
  }
}
