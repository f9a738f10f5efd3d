// What lib/volume would be without one of the things that keep its rules. Each of these has to be noticed: crash/ is worth as much as that.
//
// Text of the built files that is there exactly once. Where one is not found any more, what it was has changed: say here what it is now.

import type { Change } from '../support/compiled.js';

export interface Mutant {
  /** What it does not do. */
  readonly name: string;
  readonly changes: readonly Change[];
  /** It is noticed within so many crashes; many times what it takes on average. */
  readonly crashes: number;
}

const of = (file: string, find: string, replace = ''): Change => ({ file, find, replace });

export const MUTANTS: readonly Mutant[] = [
  {
    name: 'rule 1: no flush between the pairs of a superblock',
    changes: [
      of(
        'superblock-store.js',
        `write(index))));\n        await (0, persist_js_1.persist)(() => target.flush());`,
        `write(index))));\n        if (pair === PAIRS[1]) await target.flush();`,
      ),
    ],
    crashes: 8_000,
  },
  {
    name: 'rule 1: no flush behind the pairs of a superblock',
    changes: [
      of(
        'superblock-store.js',
        `write(index))));\n        await (0, persist_js_1.persist)(() => target.flush());`,
        `write(index))));\n        if (pair === PAIRS[0]) await target.flush();`,
      ),
    ],
    crashes: 40_000,
  },
  {
    name: 'rule 1: what a process left in the cache is not durable before copies are mended',
    changes: [
      of(
        'superblock-store.js',
        `async mend() {\n        await (0, persist_js_1.persist)(() => this.#target.flush());`,
        'async mend() {',
      ),
    ],
    crashes: 20_000,
  },
  {
    name: 'rule 2: zeros of a created volume are unknown',
    changes: [
      of(
        'format/superblock.js',
        `    return neverWritten;\n`,
        `    return neverWritten === 'zeros' ? 'unknown' : neverWritten;\n`,
      ),
    ],
    crashes: 8_000,
  },
  {
    name: 'rule 3: writes do not wait for their range lock',
    changes: [
      of(
        'core.js',
        `            if (!lock.held)\n                await patience.wait(lock.whenHeld());\n            return await this.#underBit`,
        `            return await this.#underBit`,
      ),
    ],
    crashes: 8_000,
  },
  {
    name: 'rule 3: writes take no lock at all',
    changes: [
      of(
        'core.js',
        `this.locks.take(first, first + count);`,
        `this.locks.take(-1 - first, -first);`,
      ),
      of(
        'core.js',
        `this.locks.tryTake(first, first + count);`,
        `this.locks.take(-1 - first, -first);`,
      ),
    ],
    crashes: 8_000,
  },
  {
    name: 'rule 3: a write that begins at once does not look for others',
    changes: [
      of(
        'range-locks.js',
        `        if (this.#tree.some(first, end, isAny))\n            return undefined;\n`,
      ),
    ],
    crashes: 8_000,
  },
  {
    name: 'rule 4: a write that begins at once does not look for the bit',
    changes: [
      of(
        'core.js',
        `        if (!this.dirty.isDurable(from, to))\n            return undefined;\n`,
      ),
      of('core.js', `this.dirty.tryEnter(from, to) };`, `this.dirty.tryEnter(0, 0) };`),
    ],
    crashes: 8_000,
  },
  {
    name: 'rule 4: the bit of a region is not written durably',
    changes: [of('sidecar.js', `bytes, { durable: true })`, `bytes, { durable: false })`)],
    crashes: 8_000,
  },
  {
    name: 'rule 4: nobody waits for the bit',
    changes: [
      of(
        'dirty-regions.js',
        `await this.#want(first, end).done;`,
        `await 0; this.#want(first, end); this.#writers[this.#current]++; return this.#epoch;`,
      ),
    ],
    crashes: 8_000,
  },
  {
    name: 'rule 5: what a write that was given up left is not looked at',
    changes: [of('writer.js', `            await this.#settle(extent, sums, epoch);\n`)],
    crashes: 8_000,
  },
  {
    name: 'rule 5: that a block is torn is not durable',
    changes: [
      of(
        'writer.js',
        `                if (state === tag_page_js_1.TagState.torn)\n                    await tags.makeDurable(block, 1);`,
      ),
    ],
    crashes: 12_000,
  },
  {
    name: 'rule 6: a flush does not flush',
    changes: [of('core.js', `            await this.data.target.flush(options);`)],
    crashes: 8_000,
  },
  {
    name: 'rule 7 (a): bits of the last epoch count in this one',
    changes: [of('dirty-regions.js', `        this.#states.fill(CLEAN);`)],
    crashes: 8_000,
  },
  {
    name: 'rule 7 (b): writes begun before are not waited for',
    changes: [
      of('epochs.js', `        await dirty.whenOldWritersLeft(); // (b)\n`),
      of(
        'dirty-regions.js',
        `        if (this.#writers[which] !== 0)\n            throw new Error('ringbolt: a bit was cleared under a write');`,
      ),
    ],
    crashes: 8_000,
  },
  {
    name: 'rule 7 (c): data is not flushed',
    changes: [of('epochs.js', `await (0, persist_js_1.persist)(() => core.flushData()); // (c)`)],
    crashes: 8_000,
  },
  {
    name: 'rule 7 (d): tags are not written',
    changes: [of('epochs.js', `await core.tags.cache.writeAll(); // (d)`)],
    crashes: 8_000,
  },
  {
    name: 'rule 7 (e): the sidecar is not flushed',
    changes: [of('epochs.js', `await sidecar.flush(); // (e)`)],
    crashes: 8_000,
  },
  {
    name: 'rule 7 (f): bits are not cleared',
    changes: [
      of(
        'dirty-regions.js',
        `        if (sectors.length > 0)\n            await this.#write(bitmap, sectors);\n        this.#regions`,
        `        this.#regions`,
      ),
    ],
    crashes: 8_000,
  },
  {
    name: 'rule 7 (f): the bitmap is used again before it is clear',
    changes: [
      of(
        'dirty-regions.js',
        `            await this.#write(bitmap, sectors);\n        this.#regions`,
        `            void this.#write(bitmap, sectors);\n        this.#regions`,
      ),
    ],
    crashes: 8_000,
  },
  {
    name: 'rule 7: bits are cleared before the tags are durable',
    changes: [
      of(
        'epochs.js',
        `        await core.tags.cache.writeAll(); // (d)\n`,
        `        await dirty.clearOld(); await core.tags.cache.writeAll();\n`,
      ),
      of('epochs.js', `        await dirty.clearOld(); // (f)\n`),
    ],
    crashes: 8_000,
  },
  {
    name: 'rule 7: tags are durable before the data, and the bits are cleared then',
    changes: [
      of('epochs.js', `await (0, persist_js_1.persist)(() => core.flushData()); // (c)`),
      of(
        'epochs.js',
        `await dirty.clearOld(); // (f)`,
        `await dirty.clearOld(); await core.flushData();`,
      ),
    ],
    crashes: 8_000,
  },
  {
    name: 'rule 8: after a failed flush the volume goes on',
    changes: [
      of(
        'core.js',
        `            if (!(0, synced_target_js_1.isHarmless)(error))\n                this.fail(error);\n`,
      ),
    ],
    crashes: 8_000,
  },
  {
    name: 'rule 8: a failed flush of an epoch is as good as any',
    changes: [
      of(
        'core.js',
        `            if (!(0, synced_target_js_1.isHarmless)(error))\n                this.fail(error);\n`,
      ),
      of(
        'epochs.js',
        `await (0, persist_js_1.persist)(() => core.flushData()); // (c)`,
        `await core.flushData().catch(() => undefined);`,
      ),
    ],
    crashes: 8_000,
  },
  {
    name: 'rule 8: a flush beside a durable write that fails has not failed',
    changes: [
      of(
        'synced-target.js',
        `        await Promise.allSettled([...this.#flushing, ...this.#writing]);\n        if (this.#failure !== undefined)\n            throw this.#failure.error;\n    }\n    discard`,
        `    }\n    discard`,
      ),
    ],
    crashes: 40_000,
  },
  {
    name: 'rule 9: one bitmap is not looked at',
    changes: [of('recovery.js', `bitmaps.flatMap((bitmap)`, `bitmaps.slice(1).flatMap((bitmap)`)],
    crashes: 8_000,
  },
  {
    name: 'rule 9: regions of a damaged bitmap are clean',
    changes: [of('format/bitmap.js', `const all = !this.isValid(sector);`, `const all = false;`)],
    crashes: 8_000,
  },
  {
    name: 'rule 9: bad blocks are recalculated',
    changes: [
      of('recovery.js', `else if (claim === block_tags_js_1.Claim.bad)`, `else if (claim === 77)`),
    ],
    crashes: 8_000,
  },
  {
    name: 'rule 9: torn blocks are recalculated',
    changes: [
      of('recovery.js', `else if (claim === block_tags_js_1.Claim.torn)`, `else if (claim === 77)`),
    ],
    crashes: 8_000,
  },
  {
    name: 'rule 9: blocks whose tags are damaged are recalculated',
    changes: [
      of(
        'recovery.js',
        `if (claim === block_tags_js_1.Claim.lost)\n            counts.tagsDamaged++;\n        else if`,
        `if`,
      ),
      of(
        'format/tag-page.js',
        `            throw new Error('ringbolt: a tag was put into a damaged sector');`,
      ),
    ],
    crashes: 8_000,
  },
  {
    name: 'rule 9: data is not flushed before tags are made of it',
    changes: [
      of('recovery.js', `        await (0, persist_js_1.persist)(() => data.target.flush());\n`),
    ],
    crashes: 12_000,
  },
  {
    name: 'rule 9: tags are not written before bits are cleared',
    changes: [of('recovery.js', `        await tags.cache.writeAll();\n`)],
    crashes: 8_000,
  },
  {
    name: 'rule 9: tags are not durable before bits are cleared',
    changes: [of('recovery.js', `        await sidecar.flush();\n`)],
    crashes: 8_000,
  },
  {
    name: 'rule 10: the new checksum is not put there first',
    changes: [
      of(
        'writer.js',
        `            await tags.keepDamage(first + i, sums[i], generation, epoch);\n            await tags.makeDurable(first + i, 1);\n`,
      ),
    ],
    crashes: 8_000,
  },
  {
    name: 'rule 10: the new checksum is not durable first',
    changes: [of('writer.js', `            await tags.makeDurable(first + i, 1);\n`)],
    crashes: 12_000,
  },
  {
    name: 'rule 10: the data is not durable before its tag says valid',
    changes: [of('writer.js', `        await this.#core.flushData();\n`)],
    crashes: 8_000,
  },
  {
    name: 'rule 10: that the block is valid is not durable',
    changes: [of('writer.js', `        await tags.makeDurable(first, count);\n`)],
    crashes: 12_000,
  },
  {
    name: 'rule 10: a damaged block is overwritten like any other',
    changes: [
      of(
        'writer.js',
        `            if (await tags.hasDamage(first, count)) {\n                return this.#writeThrough(extent, source,`,
        `            if (false) {\n                return this.#writeThrough(extent, source,`,
      ),
      of('writer.js', `return this.#core.tags.areSound(first, count) ? `, `return true ? `),
      of(
        'format/tag-page.js',
        `            throw new Error('ringbolt: a tag was put into a damaged sector');`,
      ),
    ],
    crashes: 8_000,
  },
  {
    name: 'rule 10: a write that begins at once does not look for damage',
    changes: [
      of('writer.js', `return this.#core.tags.areSound(first, count) ? `, `return true ? `),
      of(
        'block-tags.js',
        `            if (page.isDamaged(tag, some))\n                return false;\n`,
      ),
      of(
        'format/tag-page.js',
        `            throw new Error('ringbolt: a tag was put into a damaged sector');`,
      ),
    ],
    crashes: 8_000,
  },
  {
    name: 'rule 11: data is not compared with tags that are in memory',
    changes: [of('block-tags.js', `page.matches(tag, some, sums, at + index)`, `true`)],
    crashes: 8_000,
  },
  {
    name: 'rule 11: that a block is bad is not durable',
    changes: [of('reader.js', `        await tags.makeDurable(block, 1);\n`)],
    crashes: 8_000,
  },
  {
    name: 'rule 11: damage that was found is not remembered',
    changes: [
      of(
        'reader.js',
        `        await tags.set(block, 1, { sums: expected, at: 0 }, mark, epoch);\n`,
      ),
    ],
    crashes: 8_000,
  },
  {
    name: 'generations are used again after a crash',
    changes: [of('open.js', `superblocks.current.generationReservation;`, `1;`)],
    crashes: 8_000,
  },
  {
    name: 'generations are used before they are reserved',
    changes: [
      of(
        'generations.js',
        `        const limit = this.#limit + this.#ahead;\n`,
        `        const limit = this.#limit + this.#ahead; this.#limit += 16 * this.#ahead;\n`,
      ),
    ],
    crashes: 30_000,
  },
  {
    name: 'a tag sector is of two regions: their size is not whole pages',
    changes: [
      of(
        'geometry.js',
        `layout.pagesPerRegion * exports.TAGS_PER_PAGE;`,
        `layout.pagesPerRegion * exports.TAGS_PER_PAGE - 8;`,
      ),
    ],
    crashes: 8_000,
  },
];
