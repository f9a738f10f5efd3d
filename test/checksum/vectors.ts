// The recorded checksums of test/vectors/checksums.json, with the data that the file only describes.

import { readFileSync } from 'node:fs';
import path from 'node:path';

export interface Vector {
  readonly name: string;
  readonly data: Buffer;
  readonly crc32c: number;
  readonly crc64nvme: bigint;
  readonly xxh3: bigint;
}

interface RawCase {
  readonly name: string;
  readonly data: string;
  readonly length: number;
  readonly crc32c: string;
  readonly crc64nvme: string;
  readonly xxh3_64: string;
}

function lcg(bytes: number, seed: number): Buffer {
  let x = seed;
  const next = () => (x = (Math.imul(x, 1664525) + 1013904223) >>> 0) >>> 24;
  return Buffer.from(Array.from({ length: bytes }, next));
}

function makeData(text: string, length: number): Buffer {
  const bytes = (value: (i: number) => number) =>
    Buffer.from(Array.from({ length }, (_, i) => value(i)));
  const [, count, value] = /^(\d+) x (0x..)$/.exec(text) ?? [];
  if (count !== undefined) return Buffer.alloc(Number(count), Number(value));
  const [, n, seed] = /^lcg n=(\d+) seed=(\d+)$/.exec(text) ?? [];
  if (n !== undefined) return lcg(Number(n), Number(seed));
  if (text === '') return Buffer.alloc(0);
  if (text.startsWith('ascii ')) return Buffer.from(text.slice(6), 'ascii');
  if (text === '0..31' || text === 'i mod 256') return bytes((i) => i % 256);
  if (text === '31..0') return bytes((i) => 31 - i);
  if (text === '255 - i mod 256') return bytes((i) => 255 - (i % 256));
  throw new Error(`what data is "${text}"?`);
}

const file = path.join(import.meta.dirname, '..', 'vectors', 'checksums.json');
const { cases } = JSON.parse(readFileSync(file, 'utf8')) as { cases: readonly RawCase[] };

export const VECTORS: readonly Vector[] = cases.map((one) => {
  const data = makeData(one.data, one.length);
  if (data.length !== one.length) throw new Error(`${one.name}: the data has another length`);
  return {
    name: one.name,
    data,
    crc32c: Number(one.crc32c),
    crc64nvme: BigInt(one.crc64nvme),
    xxh3: BigInt(one.xxh3_64),
  };
});
