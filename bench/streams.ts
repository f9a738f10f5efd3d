// Streams over the whole target, again and again: ringbolt's three ways to read it in order, and node:fs. Runs in a worker
// process.
//
// All have as many bytes in flight or buffered: `depth` blocks. An operation is a block that has come out of the stream, in
// however many chunks, or has been taken by it; its latency is the time since the one before.
//
// node:fs streams cannot use O_DIRECT, whose memory must be aligned. So that its reads come from the disk all the same, the page
// cache is emptied of the file before each pass: by dd, since Node cannot. That takes about a tenth of a second for a GiB.

import { randomFillSync } from 'node:crypto';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import type { Readable, Writable } from 'node:stream';
import { Engine, type BlockFile, type Lease, type Transfer } from '../lib/index.js';
import { MeasuredWindow } from './measured-window.js';
import type { Measurement, StreamTask } from './protocol.js';
import { acquireFilled, poolBytes } from './ringbolt-peer.js';
import { writes } from './workloads.js';

/** Counts bytes in blocks; false when the time is up. */
type Count = (bytes: number) => boolean;

export async function measureStream(task: StreamTask): Promise<Measurement> {
  const { workload } = task;
  const window = new MeasuredWindow(task);
  const count = blockCounter(window, workload.blockBytes);
  if (task.api === 'node-fs') {
    await (writes(workload) ? writeNodeFs(task, count) : readNodeFs(task, count));
    return await window.measurement(workload.blockBytes, undefined);
  }
  const engine = await Engine.start({
    pool: { bytes: poolBytes(2 * task.depth * workload.blockBytes) },
    ...(task.queues !== undefined && { queues: task.queues }),
  });
  const file = await engine.open(task.path, {
    access: writes(workload) ? 'read-write' : 'read',
    direct: task.direct,
  });
  await runRingbolt(task, engine, file, count);
  const measurement = await window.measurement(workload.blockBytes, engine.info);
  await file.close();
  await engine.close();
  return measurement;
}

function blockCounter(window: MeasuredWindow, blockBytes: number): Count {
  let bytes = 0;
  let begunMs = performance.now();
  return (more) => {
    bytes += more;
    while (bytes >= blockBytes) {
      bytes -= blockBytes;
      const nowMs = performance.now();
      if (!window.completed(begunMs, nowMs)) return false;
      begunMs = nowMs;
    }
    return true;
  };
}

function runRingbolt(
  task: StreamTask,
  engine: Engine,
  file: BlockFile,
  count: Count,
): Promise<void> {
  const { workload, depth, sizeBytes, api } = task;
  const { blockBytes } = workload;
  const options = { end: sizeBytes, chunkBytes: blockBytes, highWaterMark: depth * blockBytes };
  if (api === 'batch') return transferBatches(task, engine, file, count);
  if (api === 'leases') return readLeases(() => file.leases(options), count);
  return writes(workload)
    ? writeStream(() => file.writable(options), task, count)
    : readStream(() => file.readable(options), count);
}

/** `open` begins at the beginning again. */
async function readStream(open: () => Readable, count: Count): Promise<void> {
  while (await readPass(open(), count));
}

/** False when the time is up. */
function readPass(stream: Readable, count: Count): Promise<boolean> {
  return new Promise((resolve, reject) => {
    let more = true;
    stream.on('data', (chunk: Buffer) => {
      if (more) more = count(chunk.length);
      if (!more) stream.destroy();
    });
    stream.on('error', reject).on('close', () => {
      resolve(more);
    });
  });
}

async function readLeases(open: () => AsyncIterable<Lease>, count: Count): Promise<void> {
  for (;;) {
    for await (const lease of open()) {
      const more = count(lease.buffer.length);
      lease.release();
      if (!more) return;
    }
  }
}

/** Two batches of half the bytes each, so that one is under way while the other is answered. */
async function transferBatches(
  { workload, depth, sizeBytes }: StreamTask,
  engine: Engine,
  file: BlockFile,
  count: Count,
): Promise<void> {
  const { blockBytes } = workload;
  const blocks = Math.floor(sizeBytes / blockBytes);
  let next = 0;
  const loop = async (leases: readonly Lease[]): Promise<void> => {
    for (let more = true; more;) {
      const ops: Transfer[] = leases.map((buffer) => ({
        offset: (next++ % blocks) * blockBytes,
        buffer,
      }));
      const { bytesTotal } = await (writes(workload) ? file.writeBatch(ops) : file.readBatch(ops));
      more = count(bytesTotal);
    }
    for (const lease of leases) lease.release();
  };
  const leases = acquireFilled(engine, Math.max(depth, 2), blockBytes);
  const half = Math.ceil(leases.length / 2);
  await Promise.all([loop(leases.slice(0, half)), loop(leases.slice(half))]);
}

async function writeStream(
  open: () => Writable,
  { workload, sizeBytes }: StreamTask,
  count: Count,
): Promise<void> {
  const chunk = randomFillSync(Buffer.alloc(workload.blockBytes));
  for (let more = true; more;) {
    const stream = open();
    for (let at = 0; more && at + chunk.length <= sizeBytes; at += chunk.length) {
      if (!stream.write(chunk)) await once(stream, 'drain');
      more = count(chunk.length);
    }
    stream.end();
    await once(stream, 'finish');
  }
}

function readNodeFs(task: StreamTask, count: Count): Promise<void> {
  const { path, sizeBytes, workload, direct } = task;
  const options = { highWaterMark: workload.blockBytes, end: sizeBytes - 1 };
  return readStream(() => {
    if (direct) spawnSync('dd', [`if=${path}`, 'iflag=nocache', 'count=0']);
    return fs.createReadStream(path, options);
  }, count);
}

function writeNodeFs(task: StreamTask, count: Count): Promise<void> {
  const { workload, depth, path } = task;
  const options = { flags: 'r+', highWaterMark: depth * workload.blockBytes };
  return writeStream(() => fs.createWriteStream(path, options), task, count);
}
