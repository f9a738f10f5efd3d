// Runs tests that are not about memory where JavaScript may not see any of native code's, as in Electron: everything is copied,
// and they find nothing different.

import { afterAll } from 'vitest';

const NAME = 'RINGBOLT_DISABLE';
const before = process.env[NAME];
// Before the addon is loaded: it needs such memory for its checksum functions, too.
process.env[NAME] = 'EXTERNAL_BUFFERS';
afterAll(() => {
  if (before === undefined) Reflect.deleteProperty(process.env, NAME);
  else process.env[NAME] = before;
});

await import('../checksum/functions.test.js');
await import('../checksum/hashers.test.js');
await import('../device/block-checksums.test.js');
await import('../device/model.test.js');
await import('../device/streams/model.test.js');
await import('../device/streams/readable.test.js');
await import('../device/streams/writable.test.js');
await import('../engine/interrupt.test.js');
await import('../memory/pool.test.js');
