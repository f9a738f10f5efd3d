// node:fs at its fastest: callbacks, `depth` calls outstanding, each callback making the next call. Runs in a worker
// process, which is started with the thread pool's size (peers.ts).
//
// O_DIRECT needs buffers aligned to the logical block, and Node has no way to allocate one: with unaligned ones the calls
// fail or, worse, are bounced. So the buffers come from a ringbolt pool, which is all that ringbolt does here; the
// engine's threads sleep. It costs the figures nothing but the pool's part of the resident set.

import fs from 'node:fs';
import { Engine } from '../lib/index.js';
import { AccessPattern } from './access-pattern.js';
import { MeasuredWindow } from './measured-window.js';
import { OpTimer, opsPerSample } from './op-timer.js';
import type { IoTask, Measurement } from './protocol.js';
import { acquireFilled, poolBytes } from './ringbolt-peer.js';
import { writes } from './workloads.js';

export async function measureNodeFs(task: IoTask): Promise<Measurement> {
  const { workload, depth } = task;
  const engine = await Engine.start({
    queues: 1,
    pool: { bytes: poolBytes(depth * workload.blockBytes) },
  });
  const leases = acquireFilled(engine, depth, workload.blockBytes);
  const access = writes(workload) ? fs.constants.O_RDWR : fs.constants.O_RDONLY;
  const fd = fs.openSync(task.path, access | (task.direct ? fs.constants.O_DIRECT : 0));
  const pattern = new AccessPattern(workload, task.sizeBytes, task.seed);
  const window = new MeasuredWindow(task);
  const stride = opsPerSample(workload, depth);
  const chains = leases.map(({ buffer }, place) =>
    transferChain(fd, buffer, pattern, new OpTimer(window, stride, place)),
  );
  await Promise.all(chains);
  const measurement = await window.measurement(workload.blockBytes, undefined);
  fs.closeSync(fd);
  for (const lease of leases) lease.release();
  await engine.close();
  return measurement;
}

/** Calls one after the other until the time is up. The promise is one for them all: no call pays for it. */
function transferChain(
  fd: number,
  buffer: Buffer,
  pattern: AccessPattern,
  timer: OpTimer,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const next = (): void => {
      const offset = pattern.nextOffset();
      if (pattern.nextIsRead()) fs.read(fd, buffer, 0, buffer.length, offset, settled);
      else fs.write(fd, buffer, 0, buffer.length, offset, settled);
    };
    const settled = (error: Error | null, bytes: number): void => {
      if (error !== null) {
        reject(error);
      } else if (bytes !== buffer.length) {
        reject(new Error(`Short transfer of ${bytes} bytes`));
      } else if (timer.completed()) {
        next();
      } else {
        resolve();
      }
    };
    next();
  });
}
