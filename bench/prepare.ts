// The target before the first measurement: how it can be opened, and, if it is ours, its contents. Runs in a worker
// process.
//
// Every block is written, because what was never written is not on the disk: a file system answers such reads with
// zeros and without asking the device. The bytes are random, because some devices and layers compress. And they are
// written past the page cache where that is possible, so that no measurement finds them in it.

import { randomFillSync } from 'node:crypto';
import { Engine, type BlockFile, type Lease } from '../lib/index.js';
import { NATIVE_BUILD } from '../lib/native.js';
import type { PrepareOutcome, PrepareTask } from './protocol.js';

const CHUNK_BYTES = 2 ** 20;
const DEPTH = 8;

export async function prepare(task: PrepareTask): Promise<PrepareOutcome> {
  const engine = await Engine.start();
  const file = await engine.open(task.path, {
    direct: task.direct,
    // Space for all of it first, so that it lies together whatever order the writes come in.
    ...(task.fillBytes !== undefined && { access: 'write', size: task.fillBytes }),
  });
  if (task.fillBytes !== undefined) await fill(engine, file, task.fillBytes);
  const { direct, blockSize, remarks } = file;
  await file.close();
  await engine.close();
  return { direct, blockBytes: blockSize, remarks, nativeBuild: NATIVE_BUILD };
}

/** `bytes` is a multiple of the chunk. */
async function fill(engine: Engine, file: BlockFile, bytes: number): Promise<void> {
  let next = 0;
  const loop = async (lease: Lease): Promise<void> => {
    while (next < bytes) {
      const offset = next;
      next += CHUNK_BYTES;
      randomFillSync(lease.buffer);
      await file.write(offset, lease);
    }
    lease.release();
  };
  const leases = Array.from({ length: DEPTH }, () => engine.pool.acquire(CHUNK_BYTES));
  await Promise.all(leases.map(loop));
  await file.flush();
}
