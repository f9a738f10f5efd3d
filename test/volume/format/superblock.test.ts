// Shows that superblocks say what was put into them, that what makes no sense is refused in words, and which of four copies counts.

import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { chooseSuperblock } from '../../../dist/lib/volume/format/superblock-copies.js';
import {
  decodeSuperblock,
  encodeSuperblock,
  FIELD,
  meaningOfNeverWritten,
  superblockCrc,
  type Superblock,
  VERSION,
} from '../../../dist/lib/volume/format/superblock.js';
import { planLayout, shapeOf } from '../../../dist/lib/volume/geometry.js';
import { Random } from '../../support/random.js';

const PATH = '/somewhere/data.ringbolt';

function someSuperblock(changes: Partial<Superblock> = {}): Superblock {
  const shape = shapeOf(10 ** 12 + 1, 8192);
  return {
    version: VERSION,
    features: { compatible: 5n, readOnlyCompatible: 0n, incompatible: 0n },
    uuid: Uint8Array.from(randomBytes(16)),
    setUuid: new Uint8Array(16),
    sequence: 12,
    shape,
    algorithm: 'crc64nvme',
    layout: planLayout(shape),
    generationReservation: 3 * 2 ** 32,
    neverWritten: 'unknown',
    baselineCursor: 1000,
    clean: true,
    identity: { size: 10 ** 12 + 1, inode: 2n ** 63n + 9n, mtimeNs: -5n },
    ownerNonce: Uint8Array.from(randomBytes(16)),
    tail: new Uint8Array(0),
    ...changes,
  };
}

type Change = (view: DataView, copy: Uint8Array) => void;

/** A copy with a right CRC, of something else. */
function changed(copy: Uint8Array, change: Change): Uint8Array {
  const other = Uint8Array.from(copy);
  const view = new DataView(other.buffer);
  change(view, other);
  const headerBytes = view.getUint32(FIELD.headerBytes, true);
  view.setUint32(FIELD.crc, superblockCrc(other, headerBytes), true);
  return other;
}

const formatError = (words: string | RegExp) =>
  expect.objectContaining({
    code: 'ERR_RINGBOLT_FORMAT',
    path: PATH,
    message: expect.stringMatching(words) as string,
  }) as Error;

const four = (copy: Uint8Array) => [copy, copy, copy, copy].map((one) => Uint8Array.from(one));

describe('a superblock', () => {
  it.each<Partial<Superblock>>([
    {},
    { algorithm: 'xxh3', neverWritten: 'zeros', clean: false, identity: undefined },
    { algorithm: 'crc32c', setUuid: randomBytes(16), sequence: Number.MAX_SAFE_INTEGER },
    { tail: Uint8Array.from(randomBytes(100)) },
  ])('says what was put into it: %o', (changes) => {
    const superblock = someSuperblock(changes);
    const copy = encodeSuperblock(superblock);
    expect(copy.length).toBe(4096);
    expect(copy.subarray(512).every((byte) => byte === 0)).toBe(true);
    const { uuid, setUuid, ...rest } = decodeSuperblock(copy, PATH);
    expect({ ...rest, uuid: [...uuid], setUuid: [...setUuid] }).toEqual({
      ...superblock,
      uuid: [...superblock.uuid],
      setUuid: [...superblock.setUuid],
    });
  });

  it.each<[string, RegExp, Change]>([
    ['a newer version', /version 2, a newer one/, (v) => v.setUint32(FIELD.version, 2, true)],
    ['an older one', /version 0; expected 1/, (v) => v.setUint32(FIELD.version, 0, true)],
    ['a feature', /features 0x8 /, (v) => v.setBigUint64(FIELD.incompatible, 8n, true)],
    ['blocks', /block size is 12288/, (v) => v.setUint32(FIELD.blockSize, 12_288, true)],
    ['small blocks', /block size is 512/, (v) => v.setUint32(FIELD.blockSize, 512, true)],
    ['no blocks', /block count is 0/, (v) => v.setBigUint64(FIELD.blockCount, 0n, true)],
    ['many', /count is 4611/, (v) => v.setBigUint64(FIELD.blockCount, 2n ** 62n, true)],
    ['a last block', /last block is 8193/, (v) => v.setUint32(FIELD.lastBlockBytes, 8193, true)],
    ['an algorithm', /algorithm is 9; .*3 \(xxh3\)/, (_, c) => (c[FIELD.algorithm] = 9)],
    ['a meaning', /never-written tags is 3/, (_, c) => (c[FIELD.neverWritten] = 3)],
    ['regions', /region is 3; .*power/, (v) => v.setUint32(FIELD.pagesPerRegion, 3, true)],
    [
      'too many regions',
      /region is 1; .*least 2/,
      (v) => v.setUint32(FIELD.pagesPerRegion, 1, true),
    ],
    [
      'a cursor',
      /cursor is 122070314/,
      (v) => v.setBigUint64(FIELD.baselineCursor, 122_070_314n, true),
    ],
    [
      'a reservation',
      /reservation is .* 2\^53/,
      (v) => v.setBigUint64(FIELD.generationReservation, 2n ** 53n, true),
    ],
    [
      'two areas in one place',
      /second bitmap is 16384; .*53248/,
      (v) => v.setBigUint64(FIELD.bitmap1, 16_384n, true),
    ],
    [
      'an area in the superblocks',
      /first bitmap is 4096/,
      (v) => v.setBigUint64(FIELD.bitmap0, 4096n, true),
    ],
    ['an area between blocks', /log is 513/, (v) => v.setBigUint64(FIELD.log, 513n, true)],
    [
      'a short area',
      /tag pages is 4096; .*least/,
      (v) => v.setBigUint64(FIELD.tags + 8, 4096n, true),
    ],
  ])('is refused if it has %s', (_, words, change) => {
    const superblock = someSuperblock({ shape: shapeOf(10 ** 12, 8192) });
    const layout = planLayout(shapeOf(4e12, 8192));
    const copy = changed(encodeSuperblock({ ...superblock, layout }), change);
    expect(() => decodeSuperblock(copy, PATH)).toThrow(formatError(words));
    // Whatever the others say: it was written by somebody who knows more.
    const others = four(encodeSuperblock({ ...superblock, sequence: 99 }));
    expect(() => chooseSuperblock([copy, ...others.slice(1)], PATH)).toThrow(formatError(words));
  });

  it('says what tags mean that were never written', () => {
    const created = someSuperblock({ neverWritten: 'zeros', baselineCursor: 50 });
    expect([49, 50].map((block) => meaningOfNeverWritten(created, block))).toEqual([
      'zeros',
      'zeros',
    ]);
    const given = someSuperblock({ neverWritten: 'unknown', baselineCursor: 50 });
    expect([49, 50].map((block) => meaningOfNeverWritten(given, block))).toEqual([
      'damaged',
      'unknown',
    ]);
  });
});

describe('of four copies', () => {
  const superblock = someSuperblock();
  const old = encodeSuperblock(superblock);
  const recent = encodeSuperblock({ ...superblock, sequence: 13, clean: false });
  const spoilt = Uint8Array.from(recent);
  spoilt[100]! ^= 1;

  it.each<[string, (Uint8Array | undefined)[], number, number[]]>([
    ['all the same', [old, old, old, old], 12, []],
    ['a crash after the first', [recent, old, old, old], 13, [1, 2, 3]],
    ['a crash after the second', [old, recent, old, old], 13, [0, 2, 3]],
    ['a crash between the pairs', [recent, recent, old, old], 13, [2, 3]],
    ['a crash before the last', [recent, recent, old, recent], 13, [2]],
    ['two that were torn', [spoilt, spoilt, old, old], 12, [0, 1]],
    ['one left', [spoilt, undefined, new Uint8Array(4096), recent], 13, [0, 1, 2]],
    ['one that cannot be read', [old, old, old, undefined], 12, [3]],
  ])('the highest valid one counts, and others are mended: %s', (_, copies, sequence, mend) => {
    const chosen = chooseSuperblock(copies, PATH);
    expect([chosen.superblock.sequence, chosen.mend, chosen.writable]).toEqual([
      sequence,
      mend,
      true,
    ]);
  });

  it('any one that is damaged anywhere does not count', () => {
    const random = new Random();
    for (let round = 0; round < 300; round++) {
      const at = random.below(256);
      const copies = four(old);
      copies[0] = Uint8Array.from(recent);
      copies[0][at]! ^= 1 << random.below(8);
      const chosen = chooseSuperblock(copies, PATH);
      expect([chosen.superblock.sequence, chosen.mend], `byte ${at}`).toEqual([12, [0]]);
    }
  });

  it('what is behind the header counts for nothing', () => {
    for (const at of [256 + superblock.tail.length, 511, 512, 4000]) {
      const copies = four(old);
      copies[2] = Uint8Array.from(old);
      copies[2][at]! ^= 1;
      expect(chooseSuperblock(copies, PATH).mend, `byte ${at}`).toEqual([]);
    }
  });

  it('two of one sequence that differ are refused', () => {
    const twin = encodeSuperblock({ ...superblock, ownerNonce: randomBytes(16) });
    for (const copies of [
      [old, old, old, twin],
      [recent, recent, old, twin],
    ]) {
      expect(() => chooseSuperblock(copies, PATH)).toThrow(
        formatError(/sequence 12 are not the same/),
      );
    }
  });

  it('features that readers may ignore forbid writing, mending too', () => {
    const features = { compatible: 0n, readOnlyCompatible: 2n, incompatible: 0n };
    const copy = encodeSuperblock({ ...superblock, features, sequence: 20 });
    const chosen = chooseSuperblock([copy, old, old, undefined], PATH);
    expect([chosen.superblock.sequence, chosen.writable, chosen.mend]).toEqual([20, false, []]);
  });

  it('a longer header of a later version is kept', () => {
    const tail = Uint8Array.from(randomBytes(64));
    const { superblock: read } = chooseSuperblock(
      four(encodeSuperblock({ ...superblock, tail })),
      PATH,
    );
    expect(Buffer.from(encodeSuperblock({ ...read, sequence: 13 })).subarray(256, 320)).toEqual(
      Buffer.from(tail),
    );
  });

  it('none valid is an error that says why, of each', () => {
    const text = new Uint8Array(4096).fill(0x58);
    const long = changed(old, () => undefined);
    new DataView(long.buffer).setUint32(FIELD.headerBytes, 600, true);
    expect(() => chooseSuperblock([text, spoilt, undefined, new Uint8Array(4096)], PATH)).toThrow(
      formatError(
        /copy 0 begins with "XXXXXXXX".*copy 1 has CRC-32C 0x.*expected 0x.*copy 2 cannot be read; copy 3 was never written/,
      ),
    );
    expect(() =>
      chooseSuperblock([long, old.subarray(0, 100), undefined, undefined], PATH),
    ).toThrow(formatError(/copy 0 has a header of 600 bytes.*copy 1 ends after 100 bytes/));
  });
});
