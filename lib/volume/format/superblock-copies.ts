// Which of the four copies of a superblock counts. Rule 1: the highest sequence with a valid copy; the others are mended, by whoever
// holds the lock and may write. Nothing is read or written here.
//
// Copies are written as two pairs with a flush between, so that one pair is whole at any time:
//
//   before        0 0 0 0
//   first pair    1 1 0 0   any of these two may be damaged by a crash, or old
//   flush
//   second pair   1 1 1 1   the same of these

import { SUPERBLOCK_BYTES } from '../geometry.js';
import {
  decodeSuperblock,
  FIELD,
  formatError,
  HEADER_BYTES,
  MAGIC,
  MAX_HEADER_BYTES,
  superblockCrc,
  unknownForWriting,
  type Superblock,
} from './superblock.js';

export interface ChosenSuperblock {
  readonly superblock: Superblock;
  /** Indices of the copies that are not what the chosen one is. Empty if nothing may be written. */
  readonly mend: readonly number[];
  /** False if it has features that only readers may ignore. */
  readonly writable: boolean;
}

interface ValidCopy {
  readonly bytes: Uint8Array;
  readonly sequence: bigint;
}

/**
 * `copies`: 4 KiB each, undefined where one could not be read. `path`: of the sidecar, for errors.
 *
 * @throws `ERR_RINGBOLT_FORMAT` if none is valid, two of one sequence differ, or one is of a version or has features that this version
 * does not know
 */
export function chooseSuperblock(
  copies: readonly (Uint8Array | undefined)[],
  path: string,
): ChosenSuperblock {
  const found = copies.map(inspect);
  const valid = found.filter((one): one is ValidCopy => typeof one !== 'string');
  if (valid.length === 0) {
    const reasons = found.map((reason, index) => `copy ${index} ${reason as string}`);
    throw formatError(path, `no superblock is valid: ${reasons.join('; ')}`);
  }
  // Any of them, not the highest alone: what wrote a newer one may have been here in between.
  const decoded = valid.map(({ bytes }) => decodeSuperblock(bytes, path));
  checkTwins(valid, path);
  const highest = valid.reduce((best, one) => (one.sequence > best.sequence ? one : best));
  const superblock = decoded[valid.indexOf(highest)]!;
  const writable = unknownForWriting(superblock.features) === 0n;
  const differs = (copy: Uint8Array | undefined) =>
    copy === undefined || copy.length < SUPERBLOCK_BYTES || !isSame(copy, highest.bytes);
  const mend = copies.flatMap((copy, index) => (differs(copy) ? [index] : []));
  return { superblock, mend: writable ? mend : [], writable };
}

/** A valid copy, or what is wrong with it. */
function inspect(copy: Uint8Array | undefined): ValidCopy | string {
  if (copy === undefined) return 'cannot be read';
  if (copy.length < SUPERBLOCK_BYTES) return `ends after ${copy.length} bytes`;
  if (copy.every((byte) => byte === 0)) return 'was never written';
  const magic = Buffer.from(copy.subarray(0, FIELD.crc)).toString('latin1');
  if (magic !== MAGIC) return `begins with ${JSON.stringify(magic)}, expected "${MAGIC}"`;
  const view = new DataView(copy.buffer, copy.byteOffset, copy.byteLength);
  const headerBytes = view.getUint32(FIELD.headerBytes, true);
  if (headerBytes < HEADER_BYTES || headerBytes > MAX_HEADER_BYTES) {
    return `has a header of ${headerBytes} bytes, expected ${HEADER_BYTES} to ${MAX_HEADER_BYTES}`;
  }
  const crc = view.getUint32(FIELD.crc, true);
  const expected = superblockCrc(copy, headerBytes);
  if (crc !== expected) return `has CRC-32C ${hex(crc)}, expected ${hex(expected)}`;
  return { bytes: copy, sequence: view.getBigUint64(FIELD.sequence, true) };
}

function checkTwins(valid: readonly ValidCopy[], path: string): void {
  for (const [index, one] of valid.entries()) {
    const twin = valid
      .slice(index + 1)
      .find(({ sequence, bytes }) => sequence === one.sequence && !isSame(bytes, one.bytes));
    if (twin === undefined) continue;
    const text = `two superblocks of sequence ${one.sequence} are not the same`;
    throw formatError(path, `${text}: two programs wrote it at once`);
  }
}

/** What is behind the header counts for nothing: no CRC covers it, and a bit that rots there must not look like a second writer. */
function isSame(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(headerOf(a), headerOf(b)) === 0;
}

function headerOf(copy: Uint8Array): Uint8Array {
  const { buffer, byteOffset, byteLength } = copy;
  const bytes = new DataView(buffer, byteOffset, byteLength).getUint32(FIELD.headerBytes, true);
  return copy.subarray(0, Math.min(bytes, MAX_HEADER_BYTES));
}

function hex(value: number): string {
  return `0x${value.toString(16).padStart(8, '0')}`;
}
