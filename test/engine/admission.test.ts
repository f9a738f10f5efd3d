// Shows that every depth takes more work than it holds: what waits is let in while completions are delivered, and
// never more than the rings have room for.

import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from 'vitest';
import { startEngine } from '../support/engine.js';
import { tempFolder } from '../support/temp-folder.js';

it.each([1, 2, 31, 32, 33, 96, 128, 200, 224, 225, 480, 8192])(
  'depth %i with much more waiting, and files opened meanwhile',
  async (depth) => {
    const engine = await startEngine({ depth });
    const name = path.join(tempFolder(), 'data');
    writeFileSync(name, Buffer.alloc(65536), { flush: true });
    const noops = Array.from({ length: 8000 }, () => engine.noop());
    const files = await Promise.all(Array.from({ length: 40 }, () => engine.open(name)));
    await Promise.all([...noops, engine.noopBatch(8000)]);
    const reads = await Promise.all(files.map((file) => file.read(0, new Uint8Array(4096))));
    expect(reads.every((bytes) => bytes === 4096)).toBe(true);
    expect(engine.stats().classes.foreground.noopsTotal).toBe(16_000);
    expect(engine.stats().queues[0]!.depthMax).toBeLessThanOrEqual(depth);
  },
);
