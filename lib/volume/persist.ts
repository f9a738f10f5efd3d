// What a volume does for itself is not given up because a queue or the pool is full: that passes, and a failure would be final (rule 8).

import { setTimeout as passed } from 'node:timers/promises';
import { isRefusal } from '../device/streams/source.js';

const RETRY_MS = 2;

/** `run` again, until it is not refused. */
export async function persist<T>(run: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await run();
    } catch (error) {
      if (!isRefusal(error)) throw error;
    }
    await passed(RETRY_MS);
  }
}
