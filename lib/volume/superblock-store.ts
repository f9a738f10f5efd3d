// The superblock of one sidecar, read from its four copies and written to them.
//
// Rule 1: it is written as two pairs with a flush between, so that at any moment one pair is whole; and another flush behind, before
// anything relies on it. Changes are made one after the other, each on top of the one before. After one that failed there are no more:
// two different copies of one sequence would be refused for ever. Whoever opens the sidecar again finds the highest, and goes on from it.

import type { VolumeTarget } from './synced-target.js';
import { ringboltError } from '../errors.js';
import { chooseSuperblock, type ChosenSuperblock } from './format/superblock-copies.js';
import { encodeSuperblock, type Superblock } from './format/superblock.js';
import { SUPERBLOCK_BYTES, SUPERBLOCK_COPIES } from './geometry.js';
import { persist } from './persist.js';

export type SuperblockChange = Partial<Omit<Superblock, 'version' | 'sequence' | 'uuid' | 'tail'>>;

const PAIRS = [
  [0, 1],
  [2, 3],
];

/** Writes these copies. Rejects if not all of them are durable. */
async function writeCopies(
  target: VolumeTarget,
  superblock: Superblock,
  which: readonly number[],
): Promise<void> {
  const copy = encodeSuperblock(superblock);
  for (const pair of PAIRS) {
    const some = pair.filter((index) => which.includes(index));
    if (some.length === 0) continue;
    const write = (index: number) => target.write(index * SUPERBLOCK_BYTES, copy);
    await Promise.all(some.map((index) => persist(() => write(index))));
    await persist(() => target.flush());
  }
}

/** Of what {@link chooseSuperblock} wants; undefined where one cannot be read. */
async function readCopies(target: VolumeTarget): Promise<(Uint8Array | undefined)[]> {
  const read = async (index: number) => {
    const copy = new Uint8Array(SUPERBLOCK_BYTES);
    try {
      const bytes = await persist(() => target.read(index * SUPERBLOCK_BYTES, copy));
      return copy.subarray(0, bytes);
    } catch {
      return undefined;
    }
  };
  return Promise.all(Array.from({ length: SUPERBLOCK_COPIES }, (_, index) => read(index)));
}

export class SuperblockStore {
  readonly #target: VolumeTarget;
  #current: Superblock;
  #mend: readonly number[];
  readonly writable: boolean;
  #last: Promise<void> = Promise.resolve();

  private constructor(target: VolumeTarget, { superblock, mend, writable }: ChosenSuperblock) {
    this.#target = target;
    this.#current = superblock;
    this.#mend = mend;
    this.writable = writable;
  }

  /**
   * Reads; writes nothing.
   *
   * @throws `ERR_RINGBOLT_FORMAT`
   */
  static async open(target: VolumeTarget): Promise<SuperblockStore> {
    const chosen = chooseSuperblock(await readCopies(target), target.path);
    return new SuperblockStore(target, chosen);
  }

  /** All four, for the first time: what was there is none. */
  static async create(target: VolumeTarget, superblock: Superblock): Promise<void> {
    await writeCopies(target, superblock, PAIRS.flat());
  }

  /** Whether there is anything but zeros in any copy, or one cannot be read. */
  static async isUsed(target: VolumeTarget): Promise<boolean> {
    const copies = await readCopies(target);
    return copies.some((copy) => copy?.some((byte) => byte !== 0) ?? true);
  }

  /** As last written. */
  get current(): Superblock {
    return this.#current;
  }

  /** Copies that are not what the current one is. */
  get toMend(): number {
    return this.#mend.length;
  }

  /**
   * Rule 1: before anything else is written. Of those that have to be mended one might be newer, and only not readable for now.
   *
   * A process that ended has left writes in the cache. What was read there, superblocks and bitmaps, is made durable first: or all four
   * copies could be under way at once, and tags be written under a bit that a crash takes back.
   */
  async mend(): Promise<void> {
    await persist(() => this.#target.flush());
    await writeCopies(this.#target, this.#current, this.#mend);
    this.#mend = [];
  }

  /** Resolves when it is durable. `change` is called when the changes before it are. */
  update(change: (current: Superblock) => SuperblockChange): Promise<void> {
    const updated = this.#last.then(async () => {
      const { sequence } = this.#current;
      const next = { ...this.#current, ...change(this.#current), sequence: sequence + 1 };
      await writeCopies(this.#target, next, PAIRS.flat());
      this.#current = next;
    });
    this.#last = updated;
    updated.catch(() => undefined); // for those who wait for it
    return updated;
  }

  /**
   * Rule 13: network file systems lose locks.
   *
   * @throws `ERR_RINGBOLT_BUSY` if somebody else has written a superblock, `ERR_RINGBOLT_FORMAT` if there is none any more
   */
  checkOwner(): Promise<void> {
    const checked = this.#last.then(async () => {
      const { superblock } = chooseSuperblock(await readCopies(this.#target), this.#target.path);
      const { ownerNonce, sequence } = this.#current;
      const isOurs = Buffer.compare(superblock.ownerNonce, ownerNonce) === 0;
      if (isOurs && superblock.sequence === sequence) return;
      const text = `Somebody else has opened '${this.#target.path}' for writing since it was opened here`;
      throw ringboltError('ERR_RINGBOLT_BUSY', text, { path: this.#target.path });
    });
    this.#last = checked; // it would not know a superblock that is half written
    checked.catch(() => undefined);
    return checked;
  }
}
