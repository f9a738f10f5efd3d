// Shows that the checksum of one block is what reads and writes compute for many, and what the formula in the documentation says.

import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { CHECKSUM_NAMES } from '../../../dist/lib/checksum/names.js';
import { blockChecksum, checksumSeed } from '../../../dist/lib/volume/format/block-checksum.js';
import { expect, it } from 'vitest';
import { crc } from '../../support/checksums.js';
import { startEngine } from '../../support/engine.js';
import { tempFolder } from '../../support/temp-folder.js';

const uuid = randomBytes(16);
const BLOCK = 2 ** 33 + 5;

it.each(CHECKSUM_NAMES)('%s of a block is what a read computes', async (algorithm) => {
  const data = randomBytes(64 * 1024 - 100);
  const name = path.join(tempFolder(), 'data');
  writeFileSync(name, data);
  const engine = await startEngine();
  const file = await engine.open(name, { direct: false });
  const out = new BigUint64Array(16);
  const seed = checksumSeed(algorithm, uuid);
  await file.read(0, new Uint8Array(64 * 1024), {
    checksum: { algorithm, blockSize: 4096, seed, firstBlock: BLOCK, out },
  });
  const values = Array.from({ length: 16 }, (_, i) =>
    blockChecksum(algorithm, seed, BLOCK + i, data.subarray(i * 4096, (i + 1) * 4096)),
  );
  expect([...out]).toEqual(values);
  // Another block, another volume.
  const [first] = [data.subarray(0, 4096)];
  expect(blockChecksum(algorithm, seed, BLOCK + 1, first)).not.toBe(values[0]);
  const foreign = checksumSeed(algorithm, randomBytes(16));
  expect(blockChecksum(algorithm, foreign, BLOCK, first)).not.toBe(values[0]);
});

it.each(['crc32c', 'crc64nvme'] as const)('%s of a block is as documented', (algorithm) => {
  const data = randomBytes(4096);
  const number = Buffer.alloc(8);
  number.writeBigUInt64LE(BigInt(BLOCK));
  const expected = crc(algorithm, data, crc(algorithm, number, crc(algorithm, uuid)));
  expect(blockChecksum(algorithm, checksumSeed(algorithm, uuid), BLOCK, data)).toBe(expected);
});
