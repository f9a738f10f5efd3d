// What the benchmark and its worker processes say to each other: one task down, one outcome up.

import type { NativeBuild } from '../lib/native.js';
import type { ChecksumName } from '../lib/index.js';
import type { GcFigures } from './gc-pauses.js';
import type { NodeApi } from './peers.js';
import type { IoWorkload, NoopWorkload, StreamWorkload } from './workloads.js';

/** Finds out how the target can be opened, and fills it with random bytes if it is ours to fill. */
export interface PrepareTask {
  readonly kind: 'prepare';
  readonly path: string;
  /** Bytes to fill; undefined: leave everything as it is. */
  readonly fillBytes: number | undefined;
  readonly direct: 'auto' | boolean;
}

export interface PrepareOutcome {
  readonly direct: boolean;
  /** What offsets and lengths must be multiples of. */
  readonly blockBytes: number;
  /** Why direct I/O was not had; empty if it was. */
  readonly remarks: string;
  /** Told from here, so that the process which waits loads no addon. */
  readonly nativeBuild: NativeBuild;
}

interface Timed {
  /** Measured. */
  readonly seconds: number;
  /** Run before that, and not counted. */
  readonly warmUpSeconds: number;
  /** Operations in flight. */
  readonly depth: number;
  readonly seed: number;
}

export interface IoTask extends Timed {
  readonly kind: 'io';
  readonly api: 'ringbolt' | 'buffers' | 'node-fs';
  /** Of every 4 KiB; undefined: none. */
  readonly checksum: ChecksumName | undefined;
  readonly workload: IoWorkload;
  readonly path: string;
  readonly sizeBytes: number;
  readonly direct: boolean;
  readonly queues: number | undefined;
}

export interface NoopTask extends Timed {
  readonly kind: 'noop';
  readonly workload: NoopWorkload;
  readonly queues: number | undefined;
}

export interface StreamTask extends Timed {
  readonly kind: 'stream';
  readonly api: NodeApi;
  readonly workload: StreamWorkload;
  readonly path: string;
  readonly sizeBytes: number;
  readonly direct: boolean;
  readonly queues: number | undefined;
}

export type Task = PrepareTask | IoTask | NoopTask | StreamTask;

/** Microseconds. */
export interface LatencyUs {
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
}

/** What one run of one peer showed. */
export interface Measurement {
  /** Completed inside the measured time. */
  readonly ops: number;
  readonly bytes: number;
  /** How long the measured time really was. */
  readonly seconds: number;
  /** User and system time of all threads of the process, in the measured time. */
  readonly cpuSeconds: number;
  /** Undefined where the peer does not measure it. */
  readonly latencyUs: LatencyUs | undefined;
  /** Of JavaScript, in the measured time; undefined where there is none. */
  readonly gc: GcFigures | undefined;
  /** The largest resident set of the process; undefined where the peer does not say. */
  readonly rssMaxBytes: number | undefined;
  /** Of ringbolt: what the engine said of itself. */
  readonly engine: unknown;
}

export type Outcome<T> =
  | { readonly status: 'ok'; readonly value: T }
  | { readonly status: 'failed'; readonly error: string };

/** One line that says what went wrong, without a stack. */
export function errorText(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
