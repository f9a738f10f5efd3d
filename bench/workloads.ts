// What is measured: a table, and how names on the command line choose from it.
//
// A workload is a pattern of operations and nothing else: which program runs it is a peer's business (peers.ts), for
// how long is the plan's (plan.ts).

/** Offsets one after the other, wrapping round, or uniformly random; both in multiples of the block. */
type Pattern = 'sequential' | 'random';

/** Reads and writes on the target. */
export interface IoWorkload {
  readonly kind: 'io';
  readonly name: string;
  readonly pattern: Pattern;
  /** 100: only reads; 0: only writes. Each operation draws anew. */
  readonly readPercent: number;
  readonly blockBytes: number;
  /** Operations in flight. */
  readonly depth: number;
  /** Measured with node:fs and fio by default, too; the others only with `--full` or `--peer`. */
  readonly main: boolean;
}

/** Nothing at all, through the whole path: what the engine itself costs. No other peer has such a thing. */
export interface NoopWorkload {
  readonly kind: 'noop';
  readonly name: string;
  /** A promise an operation, or one for a batch of `depth`. */
  readonly mode: 'promises' | 'batches';
  readonly blockBytes: 0;
  readonly depth: number;
  readonly main: boolean;
}

/** The target from one end to the other, again and again, as each peer likes to do that (streams.ts). */
export interface StreamWorkload {
  readonly kind: 'stream';
  readonly name: string;
  readonly pattern: 'sequential';
  readonly readPercent: 0 | 100;
  readonly blockBytes: number;
  /** Blocks in flight or buffered. */
  readonly depth: number;
  readonly main: boolean;
}

export type Workload = IoWorkload | NoopWorkload | StreamWorkload;

const KIB = 2 ** 10;
const MIB = 2 ** 20;

function io(
  name: string,
  pattern: Pattern,
  readPercent: number,
  blockBytes: number,
  depth: number,
): IoWorkload {
  return { kind: 'io', name, pattern, readPercent, blockBytes, depth, main: MAIN.has(name) };
}

function noop(name: string, mode: NoopWorkload['mode'], depth: number): NoopWorkload {
  return { kind: 'noop', name, mode, blockBytes: 0, depth, main: false };
}

function stream(
  name: string,
  readPercent: 0 | 100,
  blockBytes: number,
  depth: number,
): StreamWorkload {
  const pattern = 'sequential';
  return { kind: 'stream', name, pattern, readPercent, blockBytes, depth, main: false };
}

const MAIN = new Set(['seq-read-1m-qd16', 'rand-read-4k-qd1', 'rand-read-4k-qd128']);

export const WORKLOADS: readonly Workload[] = [
  io('seq-read-1m-qd16', 'sequential', 100, MIB, 16),
  io('seq-read-128k-qd32', 'sequential', 100, 128 * KIB, 32),
  io('seq-write-1m-qd16', 'sequential', 0, MIB, 16),
  io('rand-read-4k-qd1', 'random', 100, 4 * KIB, 1),
  io('rand-read-4k-qd128', 'random', 100, 4 * KIB, 128),
  io('rand-read-128k-qd32', 'random', 100, 128 * KIB, 32),
  io('rand-write-4k-qd1', 'random', 0, 4 * KIB, 1),
  io('rand-write-4k-qd128', 'random', 0, 4 * KIB, 128),
  io('rand-mix-16k-qd32', 'random', 70, 16 * KIB, 32),
  stream('seq-stream-read-256k-qd16', 100, 256 * KIB, 16),
  stream('seq-stream-write-256k-qd16', 0, 256 * KIB, 16),
  noop('noop-promises-qd128', 'promises', 128),
  noop('noop-batches-qd128', 'batches', 128),
];

export function writes(workload: Workload): boolean {
  return workload.kind !== 'noop' && workload.readPercent < 100;
}

/** Whether a name matches a glob of `*` (anything) and `?` (one character). */
export function matchesGlob(name: string, glob: string): boolean {
  const source = glob
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.');
  return new RegExp(`^${source}$`).test(name);
}

export type WorkloadChoice =
  | { readonly status: 'ok'; readonly workloads: readonly Workload[] }
  | { readonly status: 'unknown'; readonly glob: string };

/** The workloads that any of the globs names, in the table's order; no globs mean all. */
export function chooseWorkloads(globs: readonly string[]): WorkloadChoice {
  if (globs.length === 0) return { status: 'ok', workloads: WORKLOADS };
  const unknown = globs.find((glob) => !WORKLOADS.some(({ name }) => matchesGlob(name, glob)));
  if (unknown !== undefined) return { status: 'unknown', glob: unknown };
  return {
    status: 'ok',
    workloads: WORKLOADS.filter(({ name }) => globs.some((glob) => matchesGlob(name, glob))),
  };
}
