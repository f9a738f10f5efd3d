// A node:stream that writes a target: write-behind.ts, as Node wants to see it. The target stays open when the stream ends.

import { addAbortSignal, Writable } from 'node:stream';
import { resolveWritableOptions, type WritableOptions, type WritablePlan } from './options.js';
import type { StreamSource } from './source.js';
import { WriteBehind } from './write-behind.js';

type Callback = (error?: Error | null) => void;

/** @throws what resolveWritableOptions does */
export function writable(source: StreamSource, options: WritableOptions = {}): Writable {
  const plan = resolveWritableOptions(source, options);
  const stream = new BlockWritable(source, plan);
  // Not as an option: a signal that has aborted would destroy the stream before it is made.
  if (plan.signal !== undefined) addAbortSignal(plan.signal, stream);
  return stream;
}

class BlockWritable extends Writable {
  readonly #writer: WriteBehind;

  constructor(source: StreamSource, plan: WritablePlan) {
    super({ highWaterMark: plan.highWaterMark });
    this.#writer = new WriteBehind(source, plan, (error) => {
      this.destroy(error);
    });
  }

  override _write(chunk: Uint8Array, _encoding: BufferEncoding, callback: Callback): void {
    this.#writer.take([chunk], callback);
  }

  override _writev(chunks: readonly { chunk: Uint8Array }[], callback: Callback): void {
    const arrays = chunks.map(({ chunk }) => chunk);
    this.#writer.take(arrays, callback);
  }

  override _final(callback: Callback): void {
    void this.#writer.finish(callback);
  }

  override _destroy(error: Error | null, callback: Callback): void {
    void this.#writer.stop().then(() => {
      callback(error);
    });
  }
}
