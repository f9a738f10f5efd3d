// ringbolt as a user would call it: `depth` asynchronous loops, each awaiting one operation at a time on a lease of its
// own, or reading into a new Buffer each time. Runs in a worker process.
//
// Where each operation is timed, a latency includes the few nanoseconds in which the loop chooses an offset.

import { randomFillSync } from 'node:crypto';
import {
  Engine,
  type BlockFile,
  type ChecksumName,
  type IoOptions,
  type Lease,
} from '../lib/index.js';
import { AccessPattern } from './access-pattern.js';
import { MeasuredWindow } from './measured-window.js';
import { OpTimer, opsPerSample } from './op-timer.js';
import type { IoTask, Measurement, NoopTask } from './protocol.js';
import { writes } from './workloads.js';

const MIB = 2 ** 20;
const CHECKSUM_BLOCK_BYTES = 4096;
/** Half the default pool: what needs more gets a pool of its own size. */
const ROOM_IN_DEFAULT_POOL_BYTES = 32 * MIB;

export async function measureRingbolt(task: IoTask): Promise<Measurement> {
  const { workload, depth } = task;
  const bufferBytes = depth * workload.blockBytes;
  const engine = await Engine.start({
    depth,
    ...(task.queues !== undefined && { queues: task.queues }),
    ...(bufferBytes > ROOM_IN_DEFAULT_POOL_BYTES && { pool: { bytes: poolBytes(bufferBytes) } }),
  });
  const file = await engine.open(task.path, {
    access: writes(workload) ? 'read-write' : 'read',
    direct: task.direct,
  });
  const leases = task.api === 'buffers' ? [] : acquireFilled(engine, depth, workload.blockBytes);
  const pattern = new AccessPattern(workload, task.sizeBytes, task.seed);
  const window = new MeasuredWindow(task);
  const stride = opsPerSample(workload, depth);
  const loops = Array.from({ length: depth }, (_, place) => {
    const lease = leases[place];
    const memory = lease === undefined ? newBuffers(workload.blockBytes) : () => lease;
    return transferLoop(file, memory, task, pattern, new OpTimer(window, stride, place));
  });
  await Promise.all(loops);
  const measurement = await window.measurement(workload.blockBytes, engine.info);
  for (const lease of leases) lease.release();
  await file.close();
  await engine.close();
  return measurement;
}

/** As people do who do not lease; what `Buffer.allocUnsafe` gives is the same from 4 KiB on. */
function newBuffers(bytes: number): () => Buffer {
  return () => Buffer.allocUnsafeSlow(bytes);
}

async function transferLoop(
  file: BlockFile,
  memory: () => Lease | Buffer,
  { checksum: algorithm, workload: { blockBytes } }: IoTask,
  pattern: AccessPattern,
  timer: OpTimer,
): Promise<void> {
  const options = algorithm && checksumOptions(algorithm, blockBytes);
  do {
    const offset = pattern.nextOffset();
    if (pattern.nextIsRead()) {
      const bytes = await file.read(offset, memory(), options);
      if (bytes !== blockBytes) throw new Error(`Short read of ${bytes} bytes at ${offset}`);
    } else {
      await file.write(offset, memory(), options);
    }
  } while (timer.completed());
}

/** As a storage service has them: a value every 4 KiB, with its number hashed in. */
function checksumOptions(algorithm: ChecksumName, bytes: number): IoOptions {
  const out = new BigUint64Array(Math.ceil(bytes / CHECKSUM_BLOCK_BYTES));
  return { checksum: { algorithm, blockSize: CHECKSUM_BLOCK_BYTES, firstBlock: 0, out } };
}

/** Leases full of random bytes: a device that compresses or looks for zeros must not gain by it. */
export function acquireFilled(engine: Engine, count: number, bytes: number): readonly Lease[] {
  return Array.from({ length: count }, () => {
    const lease = engine.pool.acquire(bytes);
    randomFillSync(lease.buffer);
    return lease;
  });
}

/** A pool with room for that many bytes of buffers: whole slabs of the largest class. */
export function poolBytes(bufferBytes: number): number {
  return Math.ceil(bufferBytes / MIB) * MIB + MIB;
}

/** Batches in flight: while one is answered and asked for again, the queue has others to work on. */
const BATCHES_IN_FLIGHT = 4;

export async function measureNoops(task: NoopTask): Promise<Measurement> {
  const { depth } = task;
  const batches = task.workload.mode === 'promises' ? 1 : BATCHES_IN_FLIGHT;
  const engine = await Engine.start({
    depth: depth * batches,
    ...(task.queues !== undefined && { queues: task.queues }),
  });
  const window = new MeasuredWindow(task);
  const stride = opsPerSample(task.workload, depth);
  const loops =
    task.workload.mode === 'promises'
      ? Array.from({ length: depth }, () => noopLoop(engine, window, stride))
      : Array.from({ length: BATCHES_IN_FLIGHT }, () => noopBatchLoop(engine, depth, window));
  await Promise.all(loops);
  const measurement = await window.measurement(0, engine.info);
  await engine.close();
  return measurement;
}

async function noopLoop(engine: Engine, window: MeasuredWindow, stride: number): Promise<void> {
  for (;;) {
    for (let i = 1; i < stride; i++) await engine.noop();
    const begunMs = performance.now();
    await engine.noop();
    if (!window.completed(begunMs, performance.now(), stride)) return;
  }
}

/** Its latencies are those of whole batches. */
async function noopBatchLoop(engine: Engine, depth: number, window: MeasuredWindow): Promise<void> {
  let begunMs = performance.now();
  for (;;) {
    await engine.noopBatch(depth);
    const nowMs = performance.now();
    if (!window.completed(begunMs, nowMs, depth)) return;
    begunMs = nowMs;
  }
}
