// Many operations as one: what `onError` means (BatchOptions), where some go down to the target together and others alone.

import type {
  BatchErrors,
  BatchResult,
  ReadBatchOptions,
  Transfer,
} from '../device/block-target.js';
import type { Extent } from './core.js';
import type { Memory } from './io-options.js';

/** A transfer, and where that is. */
export interface Part {
  readonly extent: Extent;
  readonly buffer: Memory;
  /** Bytes of it: as many as the extent's, or more where that ends with the volume. */
  readonly length: number;
}

/** What has become of the operations of a batch, by index. */
export class Outcomes {
  readonly #transferred: Float64Array;
  readonly #errors = new Map<number, Error>();
  readonly #waiting: Promise<void>[] = [];

  constructor(count: number) {
    this.#transferred = new Float64Array(count);
  }

  succeed(index: number, bytes: number): void {
    this.#transferred[index] = bytes;
  }

  fail(index: number, error: Error): void {
    this.#errors.set(index, error);
  }

  /** What becomes of one is not known yet. */
  wait(index: number, bytes: Promise<number>): void {
    const known = bytes.then(
      (done) => this.succeed(index, done),
      (error: unknown) => this.fail(index, error as Error),
    );
    this.#waiting.push(known);
  }

  /** Resolves when all is known. Rejects with the first error in order, unless errors are collected. */
  async settle(onError: BatchErrors): Promise<BatchResult> {
    if (this.#waiting.length > 0) await Promise.all(this.#waiting);
    const errors = this.#errors;
    if (errors.size > 0 && onError !== 'collect') throw errors.get(Math.min(...errors.keys()))!;
    const transferred = this.#transferred;
    const bytesTotal = transferred.reduce((sum, bytes) => sum + bytes, 0);
    return { bytesTotal, transferred, errors };
  }
}

/** `one` does a transfer; its options are those of the batch, less what concerns the batch alone. */
export async function runAlone<T extends ReadBatchOptions>(
  parts: readonly Part[],
  options: T,
  one: (transfer: Transfer, options: Omit<T, 'onError'>) => Promise<number>,
): Promise<BatchResult> {
  const { onError = 'wait', ...rest } = options;
  const stop = new AbortController();
  const signals = options.signal === undefined ? [stop.signal] : [stop.signal, options.signal];
  const each = onError === 'abort' ? { ...rest, signal: AbortSignal.any(signals) } : rest;
  let first: { readonly error: unknown } | undefined;
  const run = async ({ extent: { offset }, buffer }: Part) => {
    try {
      return await one({ offset, buffer }, each);
    } catch (error) {
      first ??= { error };
      stop.abort(error);
      throw error;
    }
  };
  const outcomes = new Outcomes(parts.length);
  for (const [index, part] of parts.entries()) outcomes.wait(index, run(part));
  const result = await outcomes.settle('collect');
  if (first === undefined || onError === 'collect') return result;
  throw onError === 'abort' ? first.error : result.errors.get(Math.min(...result.errors.keys()))!;
}
