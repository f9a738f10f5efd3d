// So many operations in flight on a target for so long, each with a lease of its own; and what they cost.
import process from 'node:process';
import { acquire } from './files.mjs';

/**
 * `next()` says where the next operation goes, or undefined for no more; `batch`: transfers of an operation. Resolves to rates and CPU time, of the
 * whole process, of each transfer.
 */
export async function run(target, pool, { kind, bytes, depth, batch = 1 }, { next, ms, timed }) {
  const latencies = [];
  const begunCpu = process.cpuUsage();
  const begunLoop = performance.eventLoopUtilization();
  const begun = performance.now();
  const end = begun + ms;
  let count = 0;

  const single = (lease, resolve, reject) => {
    const step = () => {
      const offset = next();
      const now = timed || (count & 15) === 0 ? performance.now() : begun;
      if (offset === undefined || now >= end) return resolve();
      const done = () => {
        if (timed) latencies.push(performance.now() - now);
        count++;
        step();
      };
      target[kind](offset, lease).then(done, reject);
    };
    step();
  };
  const batched = (leases, resolve, reject) => {
    const step = () => {
      if (performance.now() >= end) return resolve();
      const ops = leases.map((buffer) => ({ offset: next(), buffer }));
      target[`${kind}Batch`](ops).then(() => {
        count += batch;
        step();
      }, reject);
    };
    step();
  };

  const workers = Array.from({ length: depth }, () => {
    const leases = Array.from({ length: batch }, () => acquire(pool, bytes));
    return new Promise((resolve, reject) => {
      if (batch === 1) single(leases[0], resolve, reject);
      else batched(leases, resolve, reject);
    }).finally(() => {
      for (const lease of leases) lease.release();
    });
  });
  await Promise.all(workers);
  const seconds = (performance.now() - begun) / 1e3;
  const { user, system } = process.cpuUsage(begunCpu);
  latencies.sort((a, b) => a - b);
  return {
    count,
    perSecond: count / seconds,
    cpuUs: (user + system) / count,
    loopBusy: performance.eventLoopUtilization(begunLoop).utilization,
    p50Us: timed ? 1e3 * latencies[latencies.length >> 1] : undefined,
  };
}
