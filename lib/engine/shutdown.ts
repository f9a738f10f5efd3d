// The end of an engine: drains, says what it waits for if that takes long, and gives up if it was told when.
//
//   close() ─▶ drain ─────────────────────────────▶ stop ─▶ done
//                │ 10 s: a warning says on what
//                └ timeoutMs: abandon ─▶ rejects with ERR_RINGBOLT_TIMEOUT

import { ringboltError } from '../errors.js';

const WARN_AFTER_MS = 10_000;
/** Operations named in a warning or an error. */
const NAMED = 3;

/** What there is to end. */
export interface ShutdownParts {
  /** Resolves when everything that was begun has ended; rejects with the first error of closing. */
  drain(): Promise<void>;
  /** Ends the threads, which have nothing to do any more. */
  stop(): Promise<void>;
  /** Leaves threads behind, and ends with `reason` what they have. Must not wait. */
  abandon(reason: Error): void;
  /** What is under way, for people: how much, and some of it. */
  describe(count: number): { readonly total: number; readonly examples: readonly string[] };
}

export class Shutdown {
  readonly #parts: ShutdownParts;
  #ended: Promise<void> | undefined;
  #giveUp: ((reason: Error) => void) | undefined;
  #timer: NodeJS.Timeout | undefined;
  #deadlineMs = Infinity;

  constructor(parts: ShutdownParts) {
    this.#parts = parts;
  }

  get begun(): boolean {
    return this.#ended !== undefined;
  }

  /** Begins, unless it has begun; the earliest deadline of all calls counts. */
  begin(timeoutMs: number | undefined): Promise<void> {
    this.#ended ??= this.#run();
    if (timeoutMs !== undefined) this.#giveUpAfter(timeoutMs);
    return this.#ended;
  }

  async #run(): Promise<void> {
    const gaveUp = new Promise<Error>((resolve) => {
      this.#giveUp = resolve;
    });
    const warning = setTimeout(() => this.#warn(), WARN_AFTER_MS).unref();
    const drained = this.#parts.drain().then(
      () => undefined,
      (error: unknown) => ({ error }),
    );
    const outcome = await Promise.race([drained, gaveUp]);
    clearTimeout(warning);
    clearTimeout(this.#timer);
    this.#giveUp = undefined;
    if (outcome instanceof Error) {
      this.#parts.abandon(outcome);
      throw outcome;
    }
    await this.#parts.stop();
    if (outcome !== undefined) throw outcome.error;
  }

  #giveUpAfter(timeoutMs: number): void {
    const deadlineMs = performance.now() + timeoutMs;
    if (deadlineMs >= this.#deadlineMs || this.#giveUp === undefined) return;
    this.#deadlineMs = deadlineMs;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      const text = `close() gave up after ${timeoutMs} ms on ${this.#waitedFor()}; what came of it is unknown`;
      this.#giveUp?.(ringboltError('ERR_RINGBOLT_TIMEOUT', text));
    }, timeoutMs);
  }

  #warn(): void {
    const seconds = WARN_AFTER_MS / 1000;
    process.emitWarning(`close() has waited ${seconds} s for ${this.#waitedFor()}`, {
      type: 'RingboltWarning',
      code: 'RINGBOLT_CLOSE_WAITS',
      detail: 'close({ timeoutMs }) gives up after that time.',
    });
  }

  #waitedFor(): string {
    const { total, examples } = this.#parts.describe(NAMED);
    if (total === 0) return 'its files to be opened or closed';
    const more = total > examples.length ? ', ...' : '';
    return `${total} operation${total === 1 ? '' : 's'}: ${examples.join(', ')}${more}`;
  }
}
