// Checksums of what is in one piece, and joining CRCs of pieces. A call for 64 bytes takes some fifty nanoseconds, most of
// it the way into native code: what only matters when something is wrong is not looked at before.

import { NativeChecksum } from '../native.js';
import { checkBigInt, checkInteger } from '../validate.js';
import {
  block32,
  block64,
  checkEmpty,
  checkXxh3,
  digestXxh3,
  newXxh3State,
  SECOND32,
  SECOND64,
} from './block.js';

export const MAX_32 = 0xffff_ffff;
export const MAX_64 = 0xffff_ffff_ffff_ffffn;

// Constants, so that the compiler knows which function it is.
const nativeCrc32c = NativeChecksum.crc32c;
const nativeCrc64nvme = NativeChecksum.crc64nvme;
const nativeXxh3 = NativeChecksum.xxh3;
const { combineCrc32c: nativeCombineCrc32c, combineCrc64nvme: nativeCombineCrc64nvme } =
  NativeChecksum;

export function crc32c(data: ArrayBufferView, seed = 0): number {
  if (seed !== 0) checkInteger('seed', seed, 0, MAX_32);
  block32[0] = seed;
  if (nativeCrc32c(data) === undefined) return block32[0];
  checkEmpty(data);
  return seed;
}

export function crc64nvme(data: ArrayBufferView, seed = 0n): bigint {
  if (seed !== 0n) checkBigInt('seed', seed, 0n, MAX_64);
  block64[0] = seed;
  if (nativeCrc64nvme(data) === undefined) return block64[0];
  checkEmpty(data);
  return seed;
}

export function xxh3(data: ArrayBufferView, seed = 0n): bigint {
  if (seed !== 0n) checkBigInt('seed', seed, 0n, MAX_64);
  checkXxh3();
  block64[0] = seed;
  if (nativeXxh3!(data) === undefined) return block64[0];
  checkEmpty(data);
  return digestXxh3(newXxh3State(seed));
}

export function combineCrc32c(a: number, b: number, bytesB: number): number {
  checkInteger('a', a, 0, MAX_32);
  checkInteger('b', b, 0, MAX_32);
  checkInteger('bytesB', bytesB, 0);
  block32[0] = a;
  block32[SECOND32] = b;
  nativeCombineCrc32c(bytesB);
  return block32[0];
}

export function combineCrc64nvme(a: bigint, b: bigint, bytesB: number): bigint {
  checkBigInt('a', a, 0n, MAX_64);
  checkBigInt('b', b, 0n, MAX_64);
  checkInteger('bytesB', bytesB, 0);
  block64[0] = a;
  block64[SECOND64] = b;
  nativeCombineCrc64nvme(bytesB);
  return block64[0];
}
