// Many operations as one: what `onError` means (BatchOptions), for a target that has no batches of its own.

import type { BatchResult, ReadBatchOptions, Transfer } from '../device/block-target.js';

/** `one` does a transfer; its options are those of the batch, less what concerns the batch alone. */
export async function runBatch<T extends ReadBatchOptions>(
  ops: readonly Transfer[],
  options: T,
  one: (transfer: Transfer, options: Omit<T, 'onError'>) => Promise<number>,
): Promise<BatchResult> {
  const { onError = 'wait', ...rest } = options;
  const stop = new AbortController();
  const signals = options.signal === undefined ? [stop.signal] : [stop.signal, options.signal];
  const each = onError === 'abort' ? { ...rest, signal: AbortSignal.any(signals) } : rest;
  let first: { readonly error: unknown } | undefined;
  const run = async (transfer: Transfer) => {
    try {
      return await one(transfer, each);
    } catch (error) {
      first ??= { error };
      stop.abort(error);
      throw error;
    }
  };
  const results = await Promise.allSettled(ops.map(run));
  const errors = new Map<number, Error>();
  const transferred = new Float64Array(ops.length);
  for (const [index, result] of results.entries()) {
    if (result.status === 'fulfilled') transferred[index] = result.value;
    else errors.set(index, result.reason as Error);
  }
  if (errors.size > 0 && onError === 'abort') throw first!.error;
  if (errors.size > 0 && onError === 'wait') throw errors.values().next().value!;
  const bytesTotal = transferred.reduce((sum, bytes) => sum + bytes, 0);
  return { bytesTotal, transferred, errors };
}
