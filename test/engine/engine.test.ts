// Shows an engine's life, what it says of itself, and what it counts.

import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { Engine, type QueueStats } from 'ringbolt';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { BACKENDS, needBackend } from '../support/backends.js';
import { startEngine } from '../support/engine.js';
import { tempFolder } from '../support/temp-folder.js';

function dataFile(bytes = 2 ** 20): string {
  const name = path.join(tempFolder(), 'data');
  writeFileSync(name, Buffer.alloc(bytes, 1), { flush: true });
  return name;
}

describe('Engine.start', () => {
  it('says what it is made of', async () => {
    const { info } = await startEngine({ queues: 2, depth: 64 });
    expect(BACKENDS).toContain(info.backend);
    expect(info.depth).toBe(64);
    expect(info.queues).toHaveLength(2);
    for (const queue of info.queues) {
      expect(queue.cpus.length).toBeGreaterThan(0);
      for (const feature of queue.features) expect(feature.active).toBe(feature.reason === '');
    }
    expect(info.memory.poolBytes).toBe(8 * 2 ** 20);
    expect(info.memory.hugeBytes).toBeLessThanOrEqual(info.memory.poolBytes);
  });

  it('pins each queue to the CPUs it was given, and says when it could not', async () => {
    const { info } = await startEngine({ affinity: [[0], [8191]] });
    expect(info.queues[0]).toMatchObject({ cpusAsked: [0], cpus: [0], remarks: '' });
    expect(info.queues[1]!.cpusAsked).toEqual([8191]);
    expect(info.queues[1]!.cpus).not.toContain(8191);
    expect(info.queues[1]!.remarks).toMatch('8191');
  });

  it('goes without features that are switched off, and says why', async ({ skip }) => {
    await needBackend('io_uring', skip);
    vi.stubEnv('RINGBOLT_DISABLE', 'DEFER_TASKRUN,FIXED_FILES');
    onTestFinished(() => {
      vi.unstubAllEnvs();
    });
    const engine = await startEngine({ backend: 'io_uring' });
    const off = engine.info.queues[0]!.features.filter((feature) => !feature.active);
    expect(off.map(({ name }) => name)).toEqual(['DEFER_TASKRUN', 'FIXED_FILES']);
    expect(off[0]!.reason).toBe('disabled by request');
    const file = await engine.open(dataFile());
    expect(await file.read(0, new Uint8Array(4096))).toBe(4096);
  });
});

describe('RINGBOLT_DISABLE', () => {
  function disable(names: string): void {
    vi.stubEnv('RINGBOLT_DISABLE', names);
    onTestFinished(() => {
      vi.unstubAllEnvs();
    });
  }

  it.each(['DEFER_TASKRUN,FIXED_FILE', 'defer_taskrun', ' FIXED_FILES', 'all'])(
    '%j is refused, naming what there is',
    async (names) => {
      disable(names);
      await expect(Engine.start()).rejects.toMatchObject({
        name: 'TypeError',
        code: 'ERR_INVALID_ARG_VALUE',
        message: expect.stringMatching(
          /'RINGBOLT_DISABLE' must name features of SUBMIT_ALL, .*FIXED_FILES, USER_REAP, LOOP_RING, EXTERNAL_BUFFERS\. Received/,
        ) as string,
      });
    },
  );

  // Threads have none.
  it.for(['io_uring', 'aio'] as const)(
    'may name every feature of %s',
    async (backend, { skip }) => {
      await needBackend(backend, skip);
      const { info } = await startEngine({ backend });
      const names = info.queues[0]!.features.map(({ name }) => name);
      expect(names.length).toBeGreaterThan(0);
      disable(names.join(','));
      const without = await startEngine({ backend });
      expect(without.info.queues[0]!.features.filter(({ active }) => active)).toEqual([]);
    },
  );

  it('that is empty switches nothing off', async () => {
    disable(',');
    await startEngine();
  });
});

describe('Engine', () => {
  it('spreads work over its queues', async () => {
    const engine = await startEngine({ queues: 3, depth: 32 });
    const file = await engine.open(dataFile());
    const reads = Array.from({ length: 96 }, async (_, i) => {
      using lease = engine.pool.acquire(4096);
      await file.read(i * 4096, lease);
    });
    await Promise.all(reads);
    for (const queue of engine.stats().queues) {
      expect(queue.classes.foreground.readsTotal).toBe(32);
      expect(queue.depthMax).toBe(32);
    }
  });

  it('keeps more than its depth waiting, up to maxQueued, and refuses the rest with nothing lost', async () => {
    const engine = await startEngine({ depth: 4, maxQueued: 8 });
    const noops = Array.from({ length: 12 }, () => engine.noop());
    expect(engine.stats().waiting).toBe(8);
    await expect(engine.noop()).rejects.toMatchObject({ code: 'ERR_RINGBOLT_OVERLOADED' });
    await expect(engine.noopBatch(1)).rejects.toMatchObject({ code: 'ERR_RINGBOLT_OVERLOADED' });
    await Promise.all(noops);
    await engine.noopBatch(12);
    expect(engine.stats().classes.foreground.noopsTotal).toBe(24);
    expect(engine.stats().queues[0]!.depthMax).toBe(4);
  });

  it('lets foreground operations go before background ones that wait', async () => {
    const engine = await startEngine({ depth: 1 });
    const file = await engine.open(dataFile());
    const order: string[] = [];
    const read = async (ioClass: 'foreground' | 'background') => {
      using lease = engine.pool.acquire(4096);
      await file.read(0, lease, { ioClass });
      order.push(ioClass);
    };
    // The first goes at once; the others wait.
    await Promise.all([
      read('background'),
      read('background'),
      read('foreground'),
      read('foreground'),
    ]);
    expect(order).toEqual(['background', 'foreground', 'foreground', 'background']);
    const { classes } = engine.stats();
    expect(classes.foreground.readsTotal).toBe(2);
    expect(classes.background.readsTotal).toBe(2);
  });

  it('counts operations, bytes, errors and latencies by class and queue', async () => {
    const engine = await startEngine();
    const name = dataFile();
    const file = await engine.open(name, { access: 'read-write' });
    const readOnly = await engine.open(name);
    using lease = engine.pool.acquire(8192);
    await file.read(0, lease);
    await file.write(0, lease);
    await file.flush();
    await engine.noop();
    await expect(readOnly.write(0, lease)).rejects.toThrow();
    const { foreground, background } = engine.stats().classes;
    expect(foreground).toMatchObject({
      readsTotal: 1,
      writesTotal: 2,
      flushesTotal: 1,
      noopsTotal: 1,
      readBytes: 8192,
      writtenBytes: 8192,
      errorsTotal: 1,
    });
    const { waiting, kernel, total } = foreground.latencyUs;
    expect(total.count).toBe(5);
    expect(total.max).toBeGreaterThan(0);
    expect(total.p50).toBeLessThanOrEqual(total.p99);
    expect(total.max).toBeGreaterThanOrEqual(kernel.max);
    expect(total.max).toBeGreaterThanOrEqual(waiting.max);
    expect(background.latencyUs.total.count).toBe(0);
    const { queues, loopRing } = engine.stats();
    const counted = [queues[0]!, ...(loopRing === undefined ? [] : [loopRing])];
    const sum = (of: (stats: QueueStats) => number) =>
      counted.map(of).reduce((total, count) => total + count);
    expect(sum(({ classes }) => classes.foreground.latencyUs.total.count)).toBe(5);
    expect(sum(({ classes }) => classes.foreground.readsTotal)).toBe(1);
  });

  it('watches rates until it closes', async () => {
    const engine = await Engine.start({ pool: { bytes: 2 ** 20 } });
    const samples = [];
    for await (const sample of engine.watch({ intervalMs: 10 })) {
      samples.push(sample);
      if (samples.length === 1) await engine.noopBatch(1000);
      if (samples.length === 3) await engine.close();
    }
    expect(samples).toHaveLength(3);
    expect(samples[1]!.latencyUs.count).toBe(1000);
    expect(samples[1]!.iops).toBe(0); // no-ops are no I/O
    expect(samples[2]!.uptimeMs).toBeGreaterThan(samples[1]!.uptimeMs);
  });

  it('stops watching when the signal says so', async () => {
    const engine = await startEngine();
    const controller = new AbortController();
    let samples = 0;
    for await (const sample of engine.watch({ intervalMs: 10, signal: controller.signal })) {
      expect(sample.iops).toBe(0);
      samples++;
      controller.abort();
    }
    expect(samples).toBe(1);
  });

  it('drains what is under way when it closes, and refuses what comes after', async () => {
    const engine = await Engine.start({ pool: { bytes: 2 ** 20 }, depth: 2 });
    const file = await engine.open(dataFile());
    const array = new Uint8Array(2 ** 20);
    const work = [file.read(0, array), engine.noopBatch(100)];
    const closing = engine.close();
    await expect(engine.noop()).rejects.toMatchObject({ code: 'ERR_RINGBOLT_CLOSED' });
    await expect(engine.open('x')).rejects.toMatchObject({ code: 'ERR_RINGBOLT_CLOSED' });
    expect(await Promise.all(work)).toEqual([2 ** 20, undefined]);
    await closing;
    expect(array.every((byte) => byte === 1)).toBe(true);
    expect(() => engine.stats()).toThrow(
      expect.objectContaining({ code: 'ERR_RINGBOLT_CLOSED' }) as Error,
    );
    await engine.close();
  });

  it('opens more files at once than a queue has slots for, and no more than maxFiles', async () => {
    const engine = await startEngine({ maxFiles: 100, depth: 1 });
    const name = dataFile();
    const files = await Promise.all(Array.from({ length: 100 }, () => engine.open(name)));
    await expect(engine.open(name)).rejects.toMatchObject({ code: 'ENFILE' });
    await Promise.all(files.map((file) => file.close()));
    const file = await engine.open(name);
    expect(await file.read(0, new Uint8Array(4096))).toBe(4096);
  });
});
