// What an engine's own figures say about how it is set up: a pool that is too small or too large, memory that is copied, leases that
// were forgotten, queues that are full. A pure function of what a service has written with
//
//   JSON.stringify({ info: engine.info, stats: engine.stats() })
//
// perhaps with another version: what is not in it is not judged.

import { feature, formatBytes, type ProbeFeature } from './report.js';

const MIB = 2 ** 20;
/** A class, or the pool, is idle if it never had more than this share of its memory leased. */
const IDLE_SHARE = 1 / 8;
/** Of the pool: below that, what a class holds is not worth a word. */
const WORTH_SHARE = 1 / 8;
/** Copies below this share of all bytes are not worth a word. */
const COPIED_SHARE = 1 / 10;
/** Room above what was needed at most. */
const HEADROOM = 1.5;

/** A value of parsed JSON, of which nothing is known. */
class Json {
  readonly #value: unknown;

  constructor(value: unknown) {
    this.#value = value;
  }

  get isObject(): boolean {
    return typeof this.#value === 'object' && this.#value !== null && !Array.isArray(this.#value);
  }

  at(...keys: readonly string[]): Json {
    let value = this.#value;
    for (const key of keys) {
      const inside = typeof value === 'object' && value !== null && Object.hasOwn(value, key);
      value = inside ? (value as Readonly<Record<string, unknown>>)[key] : undefined;
    }
    return new Json(value);
  }

  get list(): readonly Json[] {
    return Array.isArray(this.#value) ? this.#value.map((each) => new Json(each)) : [];
  }

  /** A count or a size; undefined if it is none. */
  get number(): number | undefined {
    const value = this.#value;
    return typeof value === 'number' && Number.isFinite(value) && value >= 0 ? value : undefined;
  }

  get count(): number {
    return this.number ?? 0;
  }

  get text(): string {
    return typeof this.#value === 'string' ? this.#value : '';
  }
}

/**
 * One finding for each matter that the figures say something about.
 *
 * @throws Error if they are not an engine's, in words
 */
export function judgeEngineStats(written: unknown): readonly ProbeFeature[] {
  const report = new Json(written);
  if (!report.at('stats').isObject || !report.at('info').isObject) {
    throw new Error(
      'it is not what JSON.stringify({ info: engine.info, stats: engine.stats() }) makes: ' +
        'an object with "info" and "stats"',
    );
  }
  const [info, stats] = [report.at('info'), report.at('stats')];
  const pool = stats.at('pool');
  return [
    ...judgePool(pool),
    ...pool.at('classes').list.flatMap((each) => judgeClass(each, pool)),
    ...judgeLarge(pool.at('large')),
    ...judgeLeaks(pool),
    ...judgeHugePages(info.at('memory')),
    ...judgeCopies(stats),
    ...judgeQueues(info, stats),
    ...judgeRefusals(info, stats),
    ...judgePlacement(info),
  ];
}

/** Bytes that all classes had leased at most, if all did so at once. */
function peakBytes(pool: Json): number {
  return pool
    .at('classes')
    .list.reduce((sum, each) => sum + each.at('highWater').count * each.at('slabBytes').count, 0);
}

function largestSlab(pool: Json): number {
  const sizes = pool.at('classes').list.map((each) => each.at('slabBytes').count);
  return Math.max(0, ...sizes);
}

/** A size for `pool.bytes` that holds so much, in words. */
function poolFor(bytes: number): string {
  const mebibytes = Math.max(1, Math.ceil((bytes * HEADROOM) / MIB));
  return `pool: { bytes: ${mebibytes} * 2 ** 20 }`;
}

function judgePool(pool: Json): readonly ProbeFeature[] {
  const bytes = pool.at('bytes').number;
  if (bytes === undefined || bytes === 0) return [];
  const peak = peakBytes(pool);
  const detail = `${formatBytes(bytes)}, of which at most ${formatBytes(peak)} were leased`;
  const idle = peak > 0 && peak < bytes * IDLE_SHARE && bytes > MIB;
  return [
    feature('pool', idle ? 'degraded' : 'yes', {
      detail,
      why: 'most of it was never needed',
      remedy: `if this was its busiest time: ${poolFor(Math.max(peak, largestSlab(pool)))}`,
    }),
  ];
}

function judgeClass(each: Json, pool: Json): readonly ProbeFeature[] {
  const slabBytes = each.at('slabBytes').number;
  if (slabBytes === undefined) return [];
  const name = `pool.${formatBytes(slabBytes).replace(' ', '-')}`;
  const short = judgeShortage(name, each, pool);
  return short.length > 0 ? short : judgeIdleness(name, each, { slabBytes, pool });
}

function judgeShortage(name: string, each: Json, pool: Json): readonly ProbeFeature[] {
  const [misses, waits] = [each.at('missesTotal').count, each.at('waitsTotal').count];
  if (misses + waits === 0) return [];
  const asked = each.at('acquiredTotal').count + misses;
  const bytes = pool.at('bytes').count;
  const peak = Math.max(peakBytes(pool), bytes);
  return [
    feature(name, 'degraded', {
      detail: `of ${asked} leases asked for, ${misses} were refused${share(misses, asked)} and ${waits} had to wait${share(waits, asked)}`,
      why: 'nothing of this size, or that could be cut to it, was free',
      remedy: `${poolFor(peak)}; fewer operations at once; or release leases earlier`,
    }),
  ];
}

function judgeIdleness(
  name: string,
  each: Json,
  { slabBytes, pool }: { readonly slabBytes: number; readonly pool: Json },
): readonly ProbeFeature[] {
  const [capacity, highWater] = [each.at('capacity').count, each.at('highWater').count];
  const held = capacity * slabBytes;
  if (held < pool.at('bytes').count * WORTH_SHARE || held === 0) return [];
  if (highWater > capacity * IDLE_SHARE) return [];
  const never = each.at('acquiredTotal').count === 0;
  return [
    feature(name, 'degraded', {
      detail: `holds ${formatBytes(held)} in ${capacity} slabs`,
      why: never ? 'none was ever leased' : `at most ${highWater} were leased at once`,
      remedy: never
        ? 'leave this size out of pool.classes, or make pool.bytes less'
        : 'make pool.bytes less, if this was its busiest time',
    }),
  ];
}

function judgeLarge(large: Json): readonly ProbeFeature[] {
  const [misses, waits] = [large.at('missesTotal').count, large.at('waitsTotal').count];
  const acquired = large.at('acquiredTotal').count;
  if (acquired + misses === 0) return [];
  const most = formatBytes(large.at('highWaterBytes').count);
  return [
    feature('pool.large', misses + waits > 0 ? 'degraded' : 'yes', {
      detail: `${acquired} leases larger than the largest class, at most ${most} at once`,
      why: `${misses} were refused${share(misses, acquired + misses)}, ${waits} had to wait`,
      remedy: 'more pool.largeBytes; or larger pool.classes, whose slabs are kept for the next',
    }),
  ];
}

function judgeLeaks(pool: Json): readonly ProbeFeature[] {
  const leaked = pool.at('leakedTotal').number;
  if (leaked === undefined) return [];
  return [
    feature('leases', leaked > 0 ? 'degraded' : 'yes', {
      detail: leaked > 0 ? '' : 'none was forgotten',
      why: `${leaked} were forgotten without release(), and taken back by the garbage collector, whenever that came`,
      remedy:
        "release() in a finally block, or 'using lease = ...'; pool: { debug: true } tells who",
    }),
  ];
}

function judgeHugePages(memory: Json): readonly ProbeFeature[] {
  const [bytes, huge] = [memory.at('poolBytes').number, memory.at('hugeBytes').number];
  if (bytes === undefined || huge === undefined) return [];
  const remarks = memory.at('remarks').text;
  return [
    feature('huge-pages', huge < bytes ? 'degraded' : 'yes', {
      detail: `${formatBytes(huge)} of ${formatBytes(bytes)}`,
      why: remarks === '' ? 'the rest lies in small pages' : remarks,
      remedy:
        'echo madvise > /sys/kernel/mm/transparent_hugepage/enabled; ringbolt doctor says more',
    }),
  ];
}

function judgeCopies(stats: Json): readonly ProbeFeature[] {
  const classes = ['foreground', 'background'].map((name) => stats.at('classes', name));
  const findings = [
    { verb: 'read', copied: 'readBytes', total: 'readBytes' },
    { verb: 'written', copied: 'writtenBytes', total: 'writtenBytes' },
  ].flatMap(({ verb, copied, total }) => {
    const bytes = stats.at('copied', copied).count;
    const all = classes.reduce((sum, each) => sum + each.at(total).count, 0);
    if (bytes === 0 || bytes < all * COPIED_SHARE) return [];
    return [`${formatBytes(bytes)} of the ${formatBytes(Math.max(all, bytes))} ${verb}`];
  });
  if (!stats.at('copied').isObject) return [];
  return [
    feature('copies', findings.length > 0 ? 'degraded' : 'yes', {
      detail: findings.length > 0 ? findings.join(', ') : 'few bytes or none',
      why: 'copied on the JavaScript thread, for memory that is not a lease',
      remedy:
        'file.acquire(bytes) and its lease in place of a Buffer; file.leases() in place of readable()',
    }),
  ];
}

/** Operations wait longer for a queue than they take: that is more than a peak which has reached the depth once. */
function judgeQueues(info: Json, stats: Json): readonly ProbeFeature[] {
  const depth = info.at('depth').number;
  const queues = stats.at('queues').list;
  if (depth === undefined || queues.length === 0) return [];
  const full = queues.filter((queue) => queue.at('depthMax').count >= depth).length;
  const latency = stats.at('classes', 'foreground', 'latencyUs');
  const [waiting, kernel] = [latency.at('waiting', 'p50').count, latency.at('kernel', 'p50').count];
  const detail = `${full} of ${queues.length} reached their depth of ${depth}`;
  return [
    feature('queues', full > 0 && waiting > kernel ? 'degraded' : 'yes', {
      detail,
      why: `half of the foreground operations waited ${Math.round(waiting)} us or more, for a device that takes ${Math.round(kernel)} us`,
      remedy:
        'the device has no more to give, or wants more at once: try a larger depth or more queues with ringbolt bench, else submit less',
    }),
  ];
}

function judgeRefusals(info: Json, stats: Json): readonly ProbeFeature[] {
  const refused = stats.at('refusedTotal').number;
  if (refused === undefined) return [];
  const maxQueued = info.at('maxQueued').number;
  return [
    feature('refusals', refused > 0 ? 'degraded' : 'yes', {
      detail: refused > 0 ? `${refused} operations, with ERR_RINGBOLT_OVERLOADED` : 'none',
      why: `more than maxQueued${maxQueued === undefined ? '' : ` (${maxQueued})`} would have waited`,
      remedy:
        'await engine.whenRoom() before submitting; a larger maxQueued only makes the wait longer',
    }),
  ];
}

function judgePlacement(info: Json): readonly ProbeFeature[] {
  const queues = info.at('queues').list;
  const remarks = queues.map((queue) => queue.at('remarks').text).filter((text) => text !== '');
  if (remarks.length === 0) return [];
  return [
    feature('placement', 'degraded', {
      detail: `${remarks.length} of ${queues.length} queues are not where they should be`,
      why: [...new Set(remarks)].slice(0, 4).join('; '),
      remedy: 'ringbolt topology shows which CPUs may be used',
    }),
  ];
}

/** ` (3 %)` */
function share(part: number, whole: number): string {
  return part === 0 || whole === 0 ? '' : ` (${((100 * part) / whole).toPrecision(2)} %)`;
}
