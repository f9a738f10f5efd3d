// Sidecars on disk, made with the codecs from a description: what the tests of the format put before readers.

import { closeSync, ftruncateSync, openSync, writeSync } from 'node:fs';
import { Bitmap } from '../../dist/lib/volume/format/bitmap.js';
import { sectorSeed } from '../../dist/lib/volume/format/sectors.js';
import { encodeSuperblock, type Superblock } from '../../dist/lib/volume/format/superblock.js';
import { TagPage, type TagState } from '../../dist/lib/volume/format/tag-page.js';
import { Geometry, PAGE_BYTES, SUPERBLOCK_BYTES } from '../../dist/lib/volume/geometry.js';

export interface SidecarTag {
  readonly checksum: bigint;
  readonly generation: number;
  readonly state: TagState;
}

export interface SidecarState {
  readonly superblock: Superblock;
  readonly epoch: number;
  /** Regions, of either bitmap. */
  readonly dirty: readonly [readonly number[], readonly number[]];
  readonly tags: ReadonlyMap<number, SidecarTag>;
}

/** Bytes, and where they lie; zeros everywhere else. */
export type Piece = readonly [offset: number, bytes: Uint8Array];

export function piecesOf({ superblock, epoch, dirty, tags }: SidecarState): Piece[] {
  const geometry = new Geometry(superblock.shape, superblock.layout);
  const seed = sectorSeed(superblock.uuid);
  const copy = encodeSuperblock(superblock);
  const pieces: Piece[] = [0, 1, 2, 3].map((index) => [index * SUPERBLOCK_BYTES, copy]);
  for (const [which, { offset, length }] of superblock.layout.bitmaps.entries()) {
    const bitmap = new Bitmap(which, new Uint8Array(length), seed);
    for (const region of dirty[which]!) bitmap.add(region);
    bitmap.sealAll(epoch);
    pieces.push([offset, bitmap.bytes]);
  }
  const pages = new Map<number, { page: TagPage; bytes: Uint8Array }>();
  for (const [block, { checksum, generation, state }] of tags) {
    const number = geometry.pageOfBlock(block);
    let entry = pages.get(number);
    if (entry === undefined) {
      const bytes = new Uint8Array(PAGE_BYTES);
      entry = { bytes, page: new TagPage(number, bytes, seed) };
      pages.set(number, entry);
    }
    const mark = { generation, state };
    entry.page.set(geometry.tagOfBlock(block), 1, BigUint64Array.of(checksum), 0, mark);
  }
  for (const [number, { page, bytes }] of pages) {
    for (let sector = 0; sector < 8; sector++) page.seal(sector);
    pieces.push([geometry.offsetOfPage(number), bytes]);
  }
  return pieces;
}

/** Sparse where there are zeros. */
export function writeSidecar(name: string, { layout }: Superblock, pieces: readonly Piece[]): void {
  const file = openSync(name, 'w');
  for (const [offset, bytes] of pieces) writeSync(file, bytes, 0, bytes.length, offset);
  ftruncateSync(file, layout.tags.offset + layout.tags.length);
  closeSync(file);
}
