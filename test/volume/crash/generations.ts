// Shows that a generation belongs to one write of a block: none is ever on disk with another checksum, also not after a crash.

import { SectorCondition } from '../../../dist/lib/volume/format/sectors.js';
import { TagPage } from '../../../dist/lib/volume/format/tag-page.js';
import { PAGE_BYTES, TAGS_PER_PAGE } from '../../../dist/lib/volume/geometry.js';
import type { SimulatedVolume } from '../simulated-volume.js';

export class Generations {
  readonly #volume: SimulatedVolume;
  readonly #wrong: (what: string) => void;
  /** Of each block: checksums by generation. */
  readonly #checksums = new Map<number, Map<number, bigint>>();
  /** Tag pages as they were looked at last. */
  readonly #last: Uint8Array;

  constructor(volume: SimulatedVolume, wrong: (what: string) => void) {
    this.#volume = volume;
    this.#wrong = wrong;
    this.#last = new Uint8Array(volume.geometry.pageCount * PAGE_BYTES);
  }

  /** Looks at what has changed since the last time. */
  check(): void {
    const { geometry, sidecar, seed } = this.#volume;
    for (let number = 0; number < geometry.pageCount; number++) {
      const last = this.#last.subarray(number * PAGE_BYTES, (number + 1) * PAGE_BYTES);
      const now = sidecar.medium.visible(geometry.offsetOfPage(number), PAGE_BYTES);
      if (Buffer.compare(last, now) === 0) continue;
      last.set(now);
      const page = new TagPage(number, last, seed);
      for (let tag = 0; tag < geometry.tagsOfPage(number); tag++) {
        if (page.conditionOfTag(tag) !== SectorCondition.written || page.isNeverWritten(tag))
          continue;
        this.#note(number * TAGS_PER_PAGE + tag, page.generation(tag), page.checksum(tag));
      }
    }
  }

  #note(block: number, generation: number, checksum: bigint): void {
    let known = this.#checksums.get(block);
    if (known === undefined) this.#checksums.set(block, (known = new Map<number, bigint>()));
    const before = known.get(generation);
    if (before === undefined) known.set(generation, checksum);
    else if (before !== checksum)
      this.#wrong(`generation ${generation} of block ${block} was used twice`);
  }
}
