// The options of an engine's pool: their defaults, their checks, and how its memory is spread over NUMA nodes.

import { checkPoolBytes, defaultPoolBytes } from '../memory/budget.js';
import { HUGE_PAGES, LAYOUT } from '../native.js';
import {
  checkBoolean,
  checkInteger,
  checkOneOf,
  checkOptions,
  invalidType,
  invalidValue,
  outOfRange,
} from '../validate.js';

export interface PoolOptions {
  /**
   * Size of the pool on all NUMA nodes together, up to 64 GiB; more than the process's cgroup or the machine has is refused with
   * `ENOMEM`. Default 64 MiB for each node in use, at most an eighth of that memory. From 2 MiB on each node's share is rounded up to
   * whole huge pages, unless `hugePages` is `'off'`.
   */
  readonly bytes?: number;
  /** Slab sizes: ascending powers of two, 4 KiB to 64 MiB. Default 4 KiB to 1 MiB. */
  readonly classes?: readonly number[];
  /**
   * Leases larger than the largest class get memory of their own, so many bytes at once at most; 0: there are none. Each counts
   * as the next power of two, from 2 MiB on. It is not set aside: leases that are not there take none. Default: as `bytes`.
   */
  readonly largeBytes?: number;
  /**
   * `'auto'` (default): huge pages that the administrator has set aside (hugetlb), else transparent ones, else none. `'require'`: the
   * engine does not start without. `'off'`: none.
   */
  readonly hugePages?: 'auto' | 'off' | 'require';
  /**
   * Find out who misuses memory, at the cost of speed: {@link BufferPool.holders} says who holds what, memory is detached and
   * filled with a pattern on release, and the pattern is checked when it is leased again. Default: whether the
   * environment variable `RINGBOLT_POOL_DEBUG` is 1.
   */
  readonly debug?: boolean;
}

/** Options with every default filled in that does not depend on the machine. */
export interface ResolvedPoolOptions {
  readonly bytes: number | undefined;
  readonly classes: readonly number[];
  readonly largeBytes: number | undefined;
  readonly hugePages: 'auto' | 'off' | 'require';
  readonly debug: boolean;
}

export const MAX_SLAB_BYTES = 64 * 2 ** 20;
const HUGE_PAGE_BYTES = 2 * 2 ** 20;
const MAX_POOL_BYTES = 2 ** 36;
const DEFAULT_CLASSES = Array.from({ length: 9 }, (_, power) => LAYOUT.slabUnitBytes * 2 ** power);

/** @throws TypeError, RangeError with Node's codes */
export function resolvePool(pool: PoolOptions): ResolvedPoolOptions {
  checkOptions('options.pool', pool, ['bytes', 'classes', 'largeBytes', 'hugePages', 'debug']);
  const { bytes, classes = DEFAULT_CLASSES, largeBytes, hugePages = 'auto' } = pool;
  const { debug = process.env['RINGBOLT_POOL_DEBUG'] === '1' } = pool;
  checkOneOf('options.pool.hugePages', hugePages, HUGE_PAGES);
  checkBoolean('options.pool.debug', debug);
  if (largeBytes !== undefined) {
    checkInteger('options.pool.largeBytes', largeBytes, 0, MAX_POOL_BYTES);
  }
  if (!Array.isArray(classes)) throw invalidType('options.pool.classes', 'an array', classes);
  if (classes.length < 1 || classes.length > 16) {
    throw invalidValue('options.pool.classes', 'must have 1 to 16 sizes', classes);
  }
  let previous = 0;
  for (const size of classes as readonly unknown[]) {
    checkInteger('options.pool.classes', size, LAYOUT.slabUnitBytes, MAX_SLAB_BYTES);
    if (!Number.isInteger(Math.log2(size)) || size <= previous) {
      throw outOfRange('options.pool.classes', 'ascending powers of two', classes);
    }
    previous = size;
  }
  if (bytes !== undefined) checkInteger('options.pool.bytes', bytes, previous, MAX_POOL_BYTES);
  return { bytes, classes: [...(classes as readonly number[])], largeBytes, hugePages, debug };
}

/**
 * Up to whole huge pages, unless that would be a waste: the device reads one piece of memory in place of hundreds. `bytes` is of whole
 * slabs and stays so, both being powers of two.
 */
function inHugePages(bytes: number): number {
  return bytes < HUGE_PAGE_BYTES ? bytes : Math.ceil(bytes / HUGE_PAGE_BYTES) * HUGE_PAGE_BYTES;
}

/** What of the pool lies where. */
export interface PoolPlan {
  readonly parts: readonly { readonly node: number; readonly bytes: number }[];
  readonly largeBytes: number;
}

/**
 * `nodes`: those in use; none where memory is not to be bound. Each has the same share, of whole slabs; where there are not
 * enough slabs for all, the first ones have them.
 *
 * @throws `ENOMEM` if this process could never have so much.
 */
export async function planPool(
  pool: ResolvedPoolOptions,
  nodes: readonly number[],
): Promise<PoolPlan> {
  const largest = pool.classes.at(-1)!;
  if (pool.bytes !== undefined) await checkPoolBytes(pool.bytes);
  const bytes =
    pool.bytes ?? (await defaultPoolBytes(largest, undefined, Math.max(nodes.length, 1)));
  const slabs = Math.floor(bytes / largest);
  const bound = nodes.slice(0, slabs);
  const share = Math.floor(slabs / Math.max(bound.length, 1)) * largest;
  const partBytes = pool.hugePages === 'off' ? share : inHugePages(share);
  const parts = (bound.length === 0 ? [-1] : bound).map((node) => ({ node, bytes: partBytes }));
  const largeBytes = pool.largeBytes ?? bytes;
  return {
    parts,
    largeBytes: Math.floor(largeBytes / LAYOUT.slabUnitBytes) * LAYOUT.slabUnitBytes,
  };
}
