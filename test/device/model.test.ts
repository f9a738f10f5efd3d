// Shows on each backend, over 100,000 random reads and writes of random sizes, many at once on places that do not overlap, larger
// leases in parts, that a file always holds what was written last: against a model in memory, and in the end against node:fs.

import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { BACKENDS, needBackend } from '../support/backends.js';
import { startEngine } from '../support/engine.js';
import { Random } from '../support/random.js';
import { tempFolder } from '../support/temp-folder.js';

const BLOCK = 512;
const LANES = 64;
const LANE_BLOCKS = 128;
const OPERATIONS = 100_000;

it.for(BACKENDS)(
  'what is written is what is read: %s',
  { timeout: 120_000 },
  async (backend, { skip }) => {
    await needBackend(backend, skip);
    const random = new Random();
    const name = path.join(tempFolder(), 'data');
    writeFileSync(name, Buffer.alloc(LANES * LANE_BLOCKS * BLOCK), { flush: true });
    const engine = await startEngine({ backend, queues: 2, depth: 32, maxIoBytes: 8192 });
    const file = await engine.open(name, { access: 'read-write' });
    const model = Buffer.alloc(LANES * LANE_BLOCKS * BLOCK);
    let remaining = OPERATIONS;
    let mismatches = 0;

    // Each lane has a part of the file of its own, in which it does one thing at a time.
    const lane = async (index: number): Promise<void> => {
      const base = index * LANE_BLOCKS;
      while (remaining-- > 0) {
        const start = random.below(LANE_BLOCKS);
        const blocks = 1 + random.below(Math.min(LANE_BLOCKS - start, 40));
        const offset = (base + start) * BLOCK;
        const bytes = blocks * BLOCK;
        const lease = random.below(4) > 0 ? engine.pool.acquire(bytes) : undefined;
        const memory = lease?.buffer ?? Buffer.alloc(bytes);
        if (random.below(2) === 0) {
          memory
            .fill(random.below(256))
            .writeUInt32LE(random.below(2 ** 31), random.below(bytes - 3));
          memory.copy(model, offset);
          const durable = random.below(500) === 0;
          expect(await file.write(offset, lease ?? memory, { durable })).toBe(bytes);
          if (random.below(500) === 0) await file.flush();
        } else {
          expect(await file.read(offset, lease ?? memory)).toBe(bytes);
          if (!memory.equals(model.subarray(offset, offset + bytes))) mismatches++;
        }
        lease?.release();
      }
    };
    await Promise.all(Array.from({ length: LANES }, (_, index) => lane(index)));
    expect(mismatches).toBe(0);
    expect(engine.stats().pool.bytesInUse).toBe(0);
    await file.flush();
    expect(readFileSync(name).equals(model)).toBe(true);
  },
);
