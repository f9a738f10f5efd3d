// What a probe finds: its types, and the one place where findings are made.

/** One thing that an engine uses, or that decides what it can use. */
export interface ProbeFeature {
  /** Stable, e.g. `io_uring` or `io_uring.DEFER_TASKRUN`. */
  readonly name: string;
  readonly available: boolean;
  /** It works, but less well than it could: `why` says how. */
  readonly degraded: boolean;
  /** Without it there is no engine, or no I/O on the path. */
  readonly needed: boolean;
  /** What was found, in words; may be empty. */
  readonly detail: string;
  /** Why it is not available, or degraded; empty if it is as it should be. */
  readonly why: string;
  /** What to do about it, where something can be done: commands, or settings. */
  readonly remedy?: string;
}

export interface ProbeReport {
  /** Everything needed is available. */
  readonly ok: boolean;
  readonly kernel: string;
  readonly node: string;
  readonly arch: string;
  /** What says that this is a container; undefined if nothing does. */
  readonly container: string | undefined;
  /** As it was given. */
  readonly path: string | undefined;
  readonly features: readonly ProbeFeature[];
}

interface Finding {
  readonly detail?: string;
  readonly why?: string;
  readonly remedy?: string | undefined;
  readonly needed?: boolean;
}

type Status = 'yes' | 'degraded' | 'no';

/** A remedy is left out where nothing is wrong. */
export function feature(name: string, status: Status, finding: Finding = {}): ProbeFeature {
  const { detail = '', why = '', remedy, needed = false } = finding;
  return {
    name,
    available: status !== 'no',
    degraded: status === 'degraded',
    needed,
    detail,
    why: status === 'yes' ? '' : why,
    ...(status === 'yes' || remedy === undefined ? {} : { remedy }),
  };
}

const UNITS = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

/** `64 KiB`; exact where it is a whole number of a unit, else to one decimal. */
export function formatBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${Number.isInteger(value) ? value : value.toFixed(1)} ${UNITS[unit]}`;
}
