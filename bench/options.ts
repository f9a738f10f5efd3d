// What the benchmark was asked to do. lib/cli/bench.ts makes it from the command line, all values checked.

import type { Peer } from './peers.js';
import type { Workload } from './workloads.js';

export interface BenchOptions {
  /** A file or block device; undefined: a temporary file. */
  readonly target: string | undefined;
  /** Undefined: all of the target; of a file that is made here, 1 GiB. */
  readonly sizeBytes: number | undefined;
  /** The user accepts that an existing target is overwritten. */
  readonly allowWrite: boolean;
  readonly direct: 'auto' | boolean;
  readonly workloads: readonly Workload[];
  /** Undefined: the default comparison, or with `full` everybody. */
  readonly peers: readonly Peer[] | undefined;
  readonly full: boolean;
  /** Per measurement; undefined: as long as the time budget allows. */
  readonly seconds: number | undefined;
  readonly rounds: number;
  /** In place of every workload's own. */
  readonly depth: number | undefined;
  /** Queues of ringbolt; undefined: as many as it chooses. */
  readonly queues: number | undefined;
  readonly seed: number;
}

/** The benchmark cannot run as asked; the message is for the user and names the remedy. */
export class BenchError extends Error {
  override readonly name = 'BenchError';
}
