// Shows flushes and durable writes beside each other on a device that fails now and then: Linux tells of lost data once, to whoever
// asks first, so whoever asked at the same time must not be told that all is well.

import { writeFileSync } from 'node:fs';
import path from 'node:path';
import type { BlockFile, Engine } from 'ringbolt';
import { describe, expect, it } from 'vitest';
import { Random } from '../support/random.js';
import { tempFolder } from '../support/temp-folder.js';
import { startFaulty } from './start-faulty.js';

const BLOCK = 4096;
const ROUNDS = 300;

/** What is begun in the same turn as the flush. */
const BESIDE: [string, (file: BlockFile, engine: Engine) => Promise<unknown>][] = [
  ['a durable write', (file) => file.write(0, Buffer.alloc(BLOCK, 1), { durable: true })],
  [
    'a durable batch',
    (file) =>
      file.writeBatch(
        [1, 2].map((block) => ({ offset: block * BLOCK, buffer: Buffer.alloc(BLOCK, 2) })),
        { durable: true },
      ),
  ],
];

describe.each(BESIDE)('a flush beside %s', (_, begin) => {
  it('fails when that fails, and the other way round', async () => {
    const { seed } = new Random();
    const engine = await startFaulty({ pool: { bytes: 2 ** 20 } }, { seed, eio: 0.3, delays: 0.5 });
    const name = path.join(tempFolder(), 'data');
    writeFileSync(name, Buffer.alloc(4 * BLOCK), { flush: true });
    const seen = { fulfilled: 0, rejected: 0 };
    for (let round = 0; round < ROUNDS; round++) {
      const file = await engine.open(name, { access: 'read-write' });
      const flushFirst = round % 2 === 0;
      const first = flushFirst ? file.flush() : begin(file, engine);
      const second = flushFirst ? begin(file, engine) : file.flush();
      const [one, two] = await Promise.allSettled([first, second]);
      expect(two.status, `round ${round}`).toBe(one.status);
      seen[one.status]++;
      await file.close().catch(() => undefined);
    }
    expect(Math.min(...Object.values(seen))).toBeGreaterThan(ROUNDS / 20);
  });
});
