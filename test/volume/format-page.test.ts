// Shows that the example of docs/format.md is what the code writes, and what a reader written from that page makes of it.

import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { blockChecksum, checksumSeed } from '../../dist/lib/volume/format/block-checksum.js';
import { TagState } from '../../dist/lib/volume/format/tag-page.js';
import { VERSION } from '../../dist/lib/volume/format/superblock.js';
import { planLayout, shapeOf } from '../../dist/lib/volume/geometry.js';
import { tempFolder } from '../support/temp-folder.js';
import { needPython, runReader } from './reader.js';
import { piecesOf, writeSidecar, type SidecarState } from './sidecar.js';

const page = readFileSync(path.join(import.meta.dirname, '../../docs/format.md'), 'utf8');
const fenced = (language: string) => page.split('```' + language + '\n')[1]?.split('```')[0];

const BYTES = 10_000;
const uuid = Uint8Array.from({ length: 16 }, (_, i) => i);
const algorithm = 'crc64nvme';
const seed = checksumSeed(algorithm, uuid);
const data = Uint8Array.from({ length: BYTES }, (_, i) => (i >> 12 === 1 ? 0 : i % 251));
const tagOf = (block: number, generation: number) => ({
  checksum: blockChecksum(algorithm, seed, block, data.subarray(block << 12, (block + 1) << 12)),
  generation,
  state: TagState.valid,
});
const shape = shapeOf(BYTES, 4096);
const example: SidecarState = {
  superblock: {
    version: VERSION,
    features: { compatible: 0n, readOnlyCompatible: 0n, incompatible: 0n },
    uuid,
    setUuid: new Uint8Array(16),
    sequence: 2,
    shape,
    algorithm,
    layout: planLayout(shape),
    generationReservation: 2 ** 32 + 1,
    neverWritten: 'zeros',
    baselineCursor: shape.blockCount,
    clean: false,
    identity: undefined,
    ownerNonce: uuid.map((byte) => 0xf0 + byte),
    tail: new Uint8Array(0),
  },
  epoch: 3,
  dirty: [[0], []],
  tags: new Map([
    [0, tagOf(0, 1)],
    [2, tagOf(2, 2)],
  ]),
};

/** As in the page: sixteen bytes a line, without lines of zeros. */
function dump(offset: number, bytes: Uint8Array): string {
  let text = '';
  for (let at = 0; at < bytes.length; at += 16) {
    const row = bytes.subarray(at, at + 16);
    if (row.every((byte) => byte === 0)) continue;
    const hex = Array.from(row, (byte) => byte.toString(16).padStart(2, '0'));
    text += `${(offset + at).toString(16).padStart(8, '0')}  ${hex.join(' ')}\n`;
  }
  return text;
}

it('the bytes of the example are those that the code writes', () => {
  const pieces = piecesOf(example);
  const { bitmaps, tags } = example.superblock.layout;
  const dumps = [0, bitmaps[0].offset, bitmaps[1].offset, tags.offset].map((start) => {
    const [offset, bytes] = pieces.find(([at]) => at === start)!;
    return dump(offset, bytes.subarray(0, 512));
  });
  expect(fenced('hex')).toBe(dumps.join('\n'));
  expect(page).toContain(`\`0x${seed.toString(16)}\``);
});

it('the reader prints of the example what the page says', ({ skip }) => {
  needPython(skip);
  const folder = tempFolder();
  const [sidecar, file] = ['data.ringbolt', 'data'].map((name) => path.join(folder, name));
  writeSidecar(sidecar!, example.superblock, piecesOf(example));
  writeFileSync(file!, data);
  const printed = runReader(sidecar!, '--data', file!);
  expect(JSON.parse(fenced('json')!)).toEqual(printed);
});
