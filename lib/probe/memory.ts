// Memory: what may be locked, whether huge pages can be had, and what the cgroup allows.

import path from 'node:path';
import { defaultPoolBytes, memoryLimitBytes } from '../memory/budget.js';
import { listFolder, procPath, readNumber, readText, sysPath } from '../topology/sysfs.js';
import type { TopologyRoots } from '../topology/sysfs.js';
import { RAISE_MEMLOCK } from './backends.js';
import { rootsOf, type KernelFacts, type Surroundings } from './kernel.js';
import { feature, formatBytes, type ProbeFeature } from './report.js';

/** What a queue's ring of the default depth took on Linux 6.18, which counts it against RLIMIT_MEMLOCK. */
const RING_BYTES = 20 * 1024;
/** Fewer queues than this, and one more process of the same user may be one too many: the count is by user. */
const ENOUGH_RINGS = 16;
const DEFAULT_POOL_BYTES = 64 * 2 ** 20;
const LARGEST_CLASS_BYTES = 2 ** 20;

export async function judgeMemory(
  around: Surroundings,
  facts: KernelFacts,
): Promise<readonly ProbeFeature[]> {
  const roots = rootsOf(around);
  return [judgeMemlock(roots, facts), judgeHugePages(roots), await judgeLimit(around)];
}

function judgeMemlock(roots: TopologyRoots, { mayLockMemory }: KernelFacts): ProbeFeature {
  const limits = readText(procPath(roots, 'self', 'limits')) ?? '';
  const [, soft] = /^Max locked memory\s+(\d+|unlimited)\s/m.exec(limits) ?? [];
  if (mayLockMemory) return feature('memlock', 'yes', { detail: 'no limit (CAP_IPC_LOCK)' });
  if (soft === undefined) return feature('memlock', 'yes', { detail: 'the kernel does not say' });
  if (soft === 'unlimited') return feature('memlock', 'yes', { detail: 'no limit' });
  const bytes = Number(soft);
  const rings = Math.floor(bytes / RING_BYTES);
  const why =
    'kernels before 5.12, and current ones again, count rings against it: ' +
    `this is enough for ${rings} queue${rings === 1 ? '' : 's'} of this user`;
  return feature('memlock', rings < ENOUGH_RINGS ? 'degraded' : 'yes', {
    detail: formatBytes(bytes),
    why,
    remedy: RAISE_MEMLOCK,
  });
}

function judgeHugePages(roots: TopologyRoots): ProbeFeature {
  const text = readText(sysPath(roots, 'kernel', 'mm', 'transparent_hugepage', 'enabled')) ?? '';
  const mode = /\[(\w{1,16})\]/.exec(text)?.[1] ?? 'not there';
  const detail = `transparent: ${mode}; hugetlb: ${describeHugetlb(roots)}`;
  if (mode === 'always' || mode === 'madvise') return feature('huge-pages', 'yes', { detail });
  return feature('huge-pages', 'no', {
    detail,
    why: 'pools lie in transparent huge pages, and there are none: large transfers cost more CPU',
    remedy: 'echo madvise > /sys/kernel/mm/transparent_hugepage/enabled, on the host',
  });
}

/** `3 of 16 free pages of 2 MiB` */
function describeHugetlb(roots: TopologyRoots): string {
  const folder = sysPath(roots, 'kernel', 'mm', 'hugepages');
  const sizes = listFolder(folder).slice(0, 16);
  const found = sizes.flatMap((name) => {
    const kib = /^hugepages-(\d{1,9})kB$/.exec(name)?.[1];
    const total = readNumber(path.join(folder, name, 'nr_hugepages'));
    const free = readNumber(path.join(folder, name, 'free_hugepages'));
    if (kib === undefined || total === undefined || free === undefined || total === 0) return [];
    return [`${free} of ${total} pages of ${formatBytes(Number(kib) * 1024)} free`];
  });
  return found.length === 0 ? 'none' : found.join(', ');
}

async function judgeLimit({ root }: Surroundings): Promise<ProbeFeature> {
  const bytes = await memoryLimitBytes(root);
  const pool = await defaultPoolBytes(LARGEST_CLASS_BYTES, root);
  return feature('memory-limit', pool < DEFAULT_POOL_BYTES ? 'degraded' : 'yes', {
    detail: formatBytes(bytes),
    why: `a pool takes an eighth by default: ${formatBytes(pool)}, less than 64 MiB`,
    remedy: "raise the cgroup's limit (docker run --memory=1g), or set pool.bytes",
  });
}
