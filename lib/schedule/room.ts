// Callers that wait for room before they submit, in order of arrival. Room is not set aside for them: whoever submits first has
// it, so a caller submits in the turn in which its promise resolves, or asks again.

import { ringboltError } from '../errors.js';
import { untilInterrupted, type Interrupt } from '../interrupt.js';

/** Callers that may wait at once. */
const MAX_SEEKERS = 65_536;

interface Seeker {
  readonly count: number;
  readonly resolve: () => void;
}

export class RoomSeekers {
  readonly #seekers = new Set<Seeker>();

  get size(): number {
    return this.#seekers.size;
  }

  /** Resolves when there is room for `count` operations, and for those who came before. */
  async wait(count: number, interrupts: Interrupt | undefined): Promise<void> {
    if (this.#seekers.size >= MAX_SEEKERS) {
      throw ringboltError('ERR_RINGBOLT_OVERLOADED', `${MAX_SEEKERS} callers wait for room`);
    }
    let seeker: Seeker | undefined;
    const found = new Promise<void>((resolve) => {
      seeker = { count, resolve };
      this.#seekers.add(seeker);
    });
    try {
      await (interrupts === undefined ? found : untilInterrupted(found, interrupts));
    } finally {
      this.#seekers.delete(seeker!);
    }
  }

  /** There may be room again. */
  tell(hasRoomFor: (count: number) => boolean): void {
    let told = 0;
    for (const seeker of this.#seekers) {
      told += seeker.count;
      if (!hasRoomFor(told)) return;
      this.#seekers.delete(seeker);
      seeker.resolve();
    }
  }
}
