// Shows that the checksums of blocks are those of the documented formula, whichever way the data goes: leases and copies,
// reads and writes, alone and in batches, direct and buffered, up to the end of a file and past it; and what is said of
// blocks that are not as expected.

import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { BlockChecksums, BlockFile, ChecksumName, Engine, Lease } from 'ringbolt';
import { beforeEach, describe, expect, it } from 'vitest';
import { blockValues, crc, setBits, type Formula } from '../support/checksums.js';
import { startEngine } from '../support/engine.js';
import { Random } from '../support/random.js';
import { tempFolder } from '../support/temp-folder.js';

const KIB = 1024;
const MIB = KIB * KIB;
const CRCS = ['crc32c', 'crc64nvme'] as const;
const ALGORITHMS: readonly ChecksumName[] = [...CRCS, 'xxh3'];

let engine: Engine;
let name: string;
let contents: Buffer;
beforeEach(async () => {
  engine = await startEngine({ queues: 2 });
  name = path.join(tempFolder(), 'data');
  contents = randomBytes(2 * MIB);
  writeFileSync(name, contents, { flush: true });
});

const open = (direct: boolean | 'auto' = 'auto') =>
  engine.open(name, { access: 'read-write', direct });

/** Memory of both kinds: `of` is to be released if it is a lease. */
function memories(bytes: number): [string, Lease | Uint8Array][] {
  return [
    ['a lease', engine.pool.acquire(bytes)],
    ['an array', new Uint8Array(bytes)],
  ];
}

const bytesOf = (memory: Lease | Uint8Array) =>
  'buffer' in memory && memory.buffer instanceof Uint8Array
    ? memory.buffer
    : (memory as Uint8Array);

function release(memory: Lease | Uint8Array): void {
  if ('release' in memory) memory.release();
}

describe.each(['auto', false] as const)('checksums of blocks, direct: %s', (direct) => {
  let file: BlockFile;
  beforeEach(async () => {
    file = await open(direct);
  });

  it.each(CRCS)('%s of what is read', async (algorithm) => {
    for (const [what, memory] of memories(64 * KIB)) {
      const formula: Formula = { algorithm, blockSize: 4 * KIB, seed: 77n, firstBlock: 5 };
      const out = new BigUint64Array(18).fill(1n);
      expect(await file.read(20 * KIB, memory, { checksum: { ...formula, out } })).toBe(64 * KIB);
      const values = blockValues(formula, contents.subarray(20 * KIB, 84 * KIB));
      expect([...out], what).toEqual([...values, 1n, 1n]);
      release(memory);
    }
  });

  it.each(CRCS)('%s of what is written, from the data itself', async (algorithm) => {
    for (const [what, memory] of memories(64 * KIB)) {
      const formula: Formula = { algorithm, blockSize: 10_000, seed: 3n };
      const data = randomBytes(64 * KIB);
      bytesOf(memory).set(data);
      const out = new BigUint64Array(7);
      expect(await file.write(4 * KIB, memory, { checksum: { ...formula, out } })).toBe(64 * KIB);
      expect([...out], what).toEqual(blockValues(formula, data));
      release(memory);
      await file.flush();
      expect(
        readFileSync(name)
          .subarray(4 * KIB, 68 * KIB)
          .equals(data),
      ).toBe(true);
    }
  });

  it('of a transfer in many pieces are those of one', async () => {
    const array = new Uint8Array(1.5 * MIB);
    // No power of two: pieces must end where both kinds of blocks do.
    const formula: Formula = { algorithm: 'crc32c', blockSize: 1536, firstBlock: 1e12 };
    const out = new BigUint64Array(MIB / KIB);
    await file.read(512, array, { checksum: { ...formula, out } });
    const data = contents.subarray(512, 512 + array.length);
    expect([...out]).toEqual(blockValues(formula, data));
    const written = new BigUint64Array(MIB / KIB);
    await file.write(512, array, { checksum: { ...formula, out: written } });
    expect([...written]).toEqual([...out]);
    expect(engine.stats().copied.checksumBytes).toBe(array.length);
  });

  it('stop at the end of the file: the last block is as long as it is', async () => {
    const length = 2 * MIB - 100; // of the file
    writeFileSync(name, contents.subarray(0, length), { flush: true });
    for (const [what, memory] of memories(64 * KIB)) {
      const formula: Formula = { algorithm: 'crc64nvme', blockSize: 4 * KIB };
      const offset = 2 * MIB - 32 * KIB;
      const out = new BigUint64Array(16).fill(9n);
      const expected = BigUint64Array.from(
        blockValues(formula, Buffer.concat([contents.subarray(offset), Buffer.alloc(32 * KIB)])),
      );
      const mismatches = new Uint32Array(2).fill(0xdead);
      const checksum = { ...formula, out, expected, mismatches };
      expect(await file.read(offset, memory, { checksum }), what).toBe(32 * KIB - 100);
      const values = blockValues(formula, contents.subarray(offset, length));
      expect([...out], what).toEqual([...values, ...new Array<bigint>(8).fill(9n)]);
      // The block that was cut, and those that are not there; nothing beyond the words of these blocks.
      expect(setBits(mismatches.subarray(0, 1))).toEqual([7, 8, 9, 10, 11, 12, 13, 14, 15]);
      expect(mismatches[1]).toBe(0xdead);
      expect(await file.read(4 * MIB, memory, { checksum }), what).toBe(0);
      expect(setBits(mismatches.subarray(0, 1))).toHaveLength(16);
      release(memory);
    }
  });

  it('tell which of the blocks that were read are not as expected', async () => {
    const random = new Random();
    for (const algorithm of ALGORITHMS) {
      for (const [what, memory] of memories(256 * KIB)) {
        const formula = { algorithm, blockSize: 512, firstBlock: 0 };
        const expected = new BigUint64Array(512);
        await file.read(0, memory, { checksum: { ...formula, out: expected } });
        const wrong = new Set(Array.from({ length: 40 }, () => random.below(512)));
        for (const block of wrong) expected[block]! ^= 1n << BigInt(random.below(32));
        const mismatches = new Uint32Array(17).fill(0xffff_ffff);
        const checksum = { ...formula, expected, mismatches };
        expect(await file.read(0, memory, { checksum })).toBe(256 * KIB);
        const found = setBits(mismatches.subarray(0, 16));
        expect(found, `${algorithm}, ${what}`).toEqual([...wrong].toSorted((a, b) => a - b));
        expect(mismatches[16]).toBe(0xffff_ffff);
        release(memory);
      }
    }
    expect(engine.stats().classes.foreground.mismatchesTotal).toBeGreaterThan(0);
  });

  it('keep a write from being made that is not as expected', async () => {
    for (const algorithm of ALGORITHMS) {
      for (const [what, memory] of memories(64 * KIB)) {
        const formula = { algorithm, blockSize: 4 * KIB };
        bytesOf(memory).set(randomBytes(64 * KIB));
        const expected = new BigUint64Array(16);
        await file.write(MIB, memory, { checksum: { ...formula, out: expected } });
        await file.write(MIB, memory, { checksum: { ...formula, expected } });
        bytesOf(memory)[5 * 4 * KIB]! ^= 1;
        bytesOf(memory)[15 * 4 * KIB]! ^= 1;
        const before = engine.stats().classes.foreground.writtenBytes;
        const mismatches = new Uint32Array(1);
        for (const checksum of [
          { ...formula, expected },
          { ...formula, expected, mismatches },
        ]) {
          const write = file.write(MIB, memory, { checksum, durable: true });
          await expect(write, what).rejects.toMatchObject({
            code: 'ERR_RINGBOLT_CORRUPT',
            name: 'RingboltError',
            message: expect.stringContaining('5, 15') as string,
            ...{ path: name, offset: MIB, length: 64 * KIB, bytesDone: 0 },
          });
        }
        expect(setBits(mismatches)).toEqual([5, 15]);
        expect(engine.stats().classes.foreground.writtenBytes).toBe(before);
        bytesOf(memory)[5 * 4 * KIB]! ^= 1;
        bytesOf(memory)[15 * 4 * KIB]! ^= 1;
        // Not a failure of the disk: what is right can still be made durable.
        await file.write(MIB, memory, { checksum: { ...formula, expected }, durable: true });
        release(memory);
      }
    }
  });

  it('tell that a lease was changed while it was written, where that is asked for', async ({
    skip,
  }) => {
    const { features } = engine.info.memory;
    const [copied] = features.filter(({ active }) => !active);
    if (copied !== undefined) return skip(`leases are copied: ${copied.reason}`);
    const bytes = 64 * KIB;
    const hashed = () => engine.stats().classes.foreground.checksumBytes;
    for (const algorithm of CRCS) {
      const lease = engine.pool.acquire(bytes);
      const words = new Uint32Array(lease.buffer.buffer, lease.buffer.byteOffset, bytes / 4);
      const checksum = {
        algorithm,
        blockSize: 4 * KIB,
        out: new BigUint64Array(16),
        recheck: true,
      };
      const changes = async () => {
        const before = hashed();
        const write = file.write(MIB, lease, { checksum, durable: true });
        write.catch(() => undefined);
        await new Promise<void>((resolve) => process.nextTick(resolve)); // the queue has it from now on
        while (hashed() - before < 2 * bytes) words[9000]!++;
        return write;
      };
      let error: unknown;
      // It may have been looked at for the second time before it was changed.
      while (error === undefined) await changes().catch((reason: unknown) => (error = reason));
      expect(error).toMatchObject({
        code: 'ERR_RINGBOLT_CORRUPT',
        ...{ path: name, offset: MIB, length: bytes, bytesDone: bytes },
      });
      // Not a failure of the disk, and of this write alone.
      await file.write(MIB, lease, { checksum, durable: true });
      expect([...checksum.out]).toEqual(blockValues(checksum, lease.buffer));
      await file.write(MIB, Buffer.from(lease.buffer), { checksum });
      await file.read(MIB, lease, { checksum });
      lease.release();
    }
  });

  it('of a batch come one transfer after the other', async () => {
    const sizes = [512, 64 * KIB, 1536, 300 * KIB, 4 * KIB];
    const formula: Formula = { algorithm: 'crc32c', blockSize: 1 * KIB, firstBlock: 10 };
    const ops = sizes.map((bytes, i) => ({
      offset: 1024 * 512 * (i % 3),
      buffer: i % 2 === 0 ? engine.pool.acquire(bytes) : new Uint8Array(bytes),
      ...(i === 3 && { firstBlock: 1000 }),
    }));
    const blocks = sizes.map((bytes) => Math.ceil(bytes / KIB));
    const numbers = [10, 11, 75, 1000, 1300];
    const total = blocks.reduce((sum, count) => sum + count, 0);
    const out = new BigUint64Array(total);
    await file.readBatch(ops, { checksum: { ...formula, out } });
    const values = ops.flatMap(({ offset }, i) =>
      blockValues(
        { ...formula, firstBlock: numbers[i]! },
        contents.subarray(offset, offset + sizes[i]!),
      ),
    );
    expect([...out]).toEqual(values);
    out[70]! ^= 1n;
    const mismatches = new Uint32Array(Math.ceil(total / 32));
    await file.readBatch(ops, { checksum: { ...formula, expected: out, mismatches } });
    expect(setBits(mismatches)).toEqual([70]);
    await expect(
      file.writeBatch(ops, { checksum: { ...formula, expected: out } }),
    ).rejects.toMatchObject({ code: 'ERR_RINGBOLT_CORRUPT', offset: ops[3]!.offset });
    for (const { buffer } of ops) release(buffer);
  });

  it('may be expected and put out in the same array', async () => {
    for (const [, memory] of memories(64 * KIB)) {
      const formula: Formula = { algorithm: 'crc64nvme', blockSize: 4 * KIB };
      const values = blockValues(formula, contents.subarray(0, 64 * KIB));
      const both = BigUint64Array.from(values);
      both[2]! += 1n;
      const mismatches = new Uint32Array(1);
      await file.read(0, memory, {
        checksum: { ...formula, out: both, expected: both, mismatches },
      });
      expect(setBits(mismatches)).toEqual([2]);
      expect([...both]).toEqual(values);
      release(memory);
    }
  });
});

it.each([
  [0x00, 0x98f94189n, 0x6482d367eb22b64en, 0x93d76fe148c689ban],
  [0xff, 0x25c1fe13n, 0xc0ddba7302eca3acn, 0x074cfac273851dd6n],
])('are the published ones of 4096 bytes %d', async (byte, crc32c, crc64nvme, xxh3) => {
  const file = await open();
  for (const [, memory] of memories(16 * KIB)) {
    bytesOf(memory).fill(byte);
    for (const [algorithm, value] of Object.entries({ crc32c, crc64nvme, xxh3 })) {
      const checksum = { algorithm: algorithm as ChecksumName, blockSize: 4 * KIB };
      const [written, read] = [new BigUint64Array(4), new BigUint64Array(4)];
      await file.write(0, memory, { checksum: { ...checksum, out: written } });
      await file.read(0, memory, { checksum: { ...checksum, out: read } });
      expect([...written, ...read]).toEqual(new Array(8).fill(value));
    }
    release(memory);
  }
});

it.for([
  ['whole', 1024 * KIB],
  ['in parts', 4 * KIB],
] as const)(
  'random reads and writes %s have the checksums of a model',
  { timeout: 60_000 },
  async ([, maxIoBytes]) => {
    const random = new Random();
    const engine = await startEngine({ queues: 2, maxIoBytes });
    const file = await engine.open(name, { access: 'read-write' });
    const lanes = 16;
    const laneBytes = contents.length / lanes;
    let remaining = 2000;
    const lane = async (base: number): Promise<void> => {
      while (remaining-- > 0) {
        const start = 512 * random.below(200);
        const bytes = Math.min(512 * (1 + random.below(40)), laneBytes - start);
        const offset = base + start;
        const formula: Formula = {
          algorithm: CRCS[random.below(2)]!,
          blockSize: [512, 4 * KIB, 1 + random.below(5000)][random.below(3)]!,
          seed: BigInt(random.below(2 ** 31)),
          ...(random.below(2) === 0 && { firstBlock: random.below(2 ** 31) * 2 ** 20 }),
        };
        const blocks = Math.ceil(bytes / formula.blockSize);
        if (blocks > 4096) continue;
        const memory = random.below(2) === 0 ? engine.pool.acquire(bytes) : Buffer.alloc(bytes);
        const out = new BigUint64Array(blocks);
        const writing = random.below(2) === 0;
        const part = contents.subarray(offset, offset + bytes);
        if (writing) bytesOf(memory).fill(random.below(256)).copyWithin(0, 1);
        if (writing) part.set(bytesOf(memory));
        const expected = BigUint64Array.from(blockValues(formula, part));
        const mismatches = new Uint32Array(Math.ceil(blocks / 32)).fill(random.below(2 ** 31));
        // Without what is expected, as writes with that are never split.
        const compared = !writing || random.below(2) === 0;
        const checksum: BlockChecksums = {
          ...formula,
          out,
          ...(compared && { expected, mismatches }),
        };
        if (writing) await file.write(offset, memory, { checksum });
        else await file.read(offset, memory, { checksum });
        expect([...out]).toEqual([...expected]);
        if (compared) expect(setBits(mismatches)).toEqual([]);
        release(memory);
      }
    };
    await Promise.all(Array.from({ length: lanes }, (_, i) => lane(i * laneBytes)));
    expect(engine.stats().pool.bytesInUse).toBe(0);
    await file.flush();
    expect(readFileSync(name).equals(contents)).toBe(true);
  },
);

it('of more operations than the queues hold are all there, each with its own', async () => {
  const shallow = await startEngine({ depth: 2, queues: 2 });
  const file = await shallow.open(name);
  const ops = Array.from({ length: 200 }, (_, i) => ({
    offset: 512 * i,
    buffer: i % 2 === 0 ? shallow.pool.acquire(4 * KIB) : new Uint8Array(4 * KIB),
  }));
  const expected = BigUint64Array.from(ops, ({ offset }) =>
    crc('crc32c', contents.subarray(offset, offset + 4 * KIB)),
  );
  const out = new BigUint64Array(200);
  const mismatches = new Uint32Array(7);
  const checksum = { algorithm: 'crc32c', blockSize: 4 * KIB, out, expected, mismatches } as const;
  await file.readBatch(ops, { checksum });
  expect([...out]).toEqual([...expected]);
  expect(setBits(mismatches)).toEqual([]);
  for (const { buffer } of ops) release(buffer);
});

it('count as hashed bytes and time, beside the latencies', async () => {
  const file = await open();
  const lease = engine.pool.acquire(MIB);
  const out = new BigUint64Array(256);
  const checksum = { algorithm: 'crc32c', blockSize: 4 * KIB, out } as const;
  await file.read(0, lease, { checksum, ioClass: 'background' });
  const { background, foreground } = engine.stats().classes;
  expect(background.checksumBytes).toBe(MIB);
  expect(background.checksumNs).toBeGreaterThan(0);
  expect(foreground.checksumBytes).toBe(0);
  expect(background.latencyUs.kernel.count).toBe(1);
  lease.release();
});
