// Every error ringbolt makes, and nothing else does. Match on `code`, never on the message.
//
// Failures of the operating system keep its code (`EIO`, `ENOSPC`); ringbolt's own begin with `ERR_RINGBOLT_`;
// wrong arguments are TypeErrors and RangeErrors with Node's codes (see validate.ts).

import { getSystemErrorMap } from 'node:util';

/** What ringbolt itself can refuse or find. */
export type RingboltErrorCode =
  /** The file or engine was closed. */
  | 'ERR_RINGBOLT_CLOSED'
  /** Offset or length is no multiple of the file's block size. */
  | 'ERR_RINGBOLT_MISALIGNED'
  /** It took longer than `timeoutMs`. */
  | 'ERR_RINGBOLT_TIMEOUT'
  /** More operations wait than `maxQueued` allows. */
  | 'ERR_RINGBOLT_OVERLOADED'
  /** Nothing that is free in the pool is large enough. */
  | 'ERR_RINGBOLT_POOL_EXHAUSTED'
  /** The lease was released before. */
  | 'ERR_RINGBOLT_RELEASED'
  /** The lease is in another operation, or somebody else holds the file's lock. */
  | 'ERR_RINGBOLT_BUSY'
  /** Data does not have the checksums that were expected of it. */
  | 'ERR_RINGBOLT_CORRUPT'
  /** The sidecar of a volume is none, is damaged beyond use, or is of a version that this one does not know. */
  | 'ERR_RINGBOLT_FORMAT'
  /** The data of a volume is not that which its sidecar is for, or has become shorter: nothing is written. */
  | 'ERR_RINGBOLT_OUT_OF_STEP'
  /** A write to the block failed and left neither what was there nor what was to be; it is refused until it is overwritten. */
  | 'ERR_RINGBOLT_TORN'
  /** The machine, kernel, file system, build or pool cannot do that, or the lease is of another engine. */
  | 'ERR_RINGBOLT_UNSUPPORTED';

/** The circumstances of a failure. Bytes and offsets are in the file. */
export interface ErrorDetails {
  readonly errno?: number | undefined;
  readonly syscall?: string | undefined;
  readonly path?: string | undefined;
  readonly offset?: number | undefined;
  readonly length?: number | undefined;
  readonly bytesDone?: number | undefined;
  /** Of a volume: numbers of the damaged ones, ascending. */
  readonly blocks?: readonly number[] | undefined;
  readonly cause?: unknown;
}

/**
 * The one error class. `code`, `errno` (negative, as Node has it), `syscall` and `path` are Node's own fields;
 * `offset`, `length` and `bytesDone` say which part of a file was meant and how much of it was done;
 * `blocks` which of a volume are damaged.
 */
export class RingboltError extends Error {
  override readonly name = 'RingboltError';
  readonly code: string;
  declare readonly errno?: number;
  declare readonly syscall?: string;
  declare readonly path?: string;
  declare readonly offset?: number;
  declare readonly length?: number;
  declare readonly bytesDone?: number;
  declare readonly blocks?: readonly number[];

  constructor(code: string, message: string, details: ErrorDetails = {}) {
    const { cause, ...fields } = details;
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    for (const [key, value] of Object.entries(fields)) {
      if (value !== undefined) Object.defineProperty(this, key, { value, enumerable: true });
    }
  }
}

/** An error of ringbolt's own. */
export function ringboltError(
  code: RingboltErrorCode,
  message: string,
  details?: ErrorDetails,
): RingboltError {
  return new RingboltError(code, message, details);
}

export function closedError(what: string, path?: string): RingboltError {
  return ringboltError('ERR_RINGBOLT_CLOSED', `The ${what} is closed`, { path });
}

/** The error of a call whose AbortSignal was aborted: as Node's own has it, which is not exported. */
export class AbortError extends Error {
  override readonly name = 'AbortError';
  readonly code = 'ABORT_ERR';
}

export function abortError(reason: unknown): AbortError {
  return new AbortError('The operation was aborted', { cause: reason });
}

/** What native code reports of a failed call: a positive errno, and the circumstances in words. */
export interface NativeFailure {
  readonly errno: number;
  readonly syscall: string;
  readonly detail: string;
}

/** Positive errno of an operation that was ended early. */
export const ECANCELED = 125;
const EBUSY = 16;
const ENOTSUP = 95;

/** What a refusal of these means. */
const SPACE_CALLS: Readonly<Record<string, string>> = {
  fallocate: 'The file system can neither punch holes nor zero ranges:',
  BLKDISCARD: 'The device cannot discard:',
  BLKZEROOUT: 'The device cannot zero ranges:',
};

/** What `errno` is called, and what it means. */
function nameOf(errno: number): readonly [name: string, text: string] {
  return getSystemErrorMap().get(-errno) ?? [`E${errno}`, 'unknown error'];
}

function joined(...parts: readonly string[]): string {
  return parts.filter((part) => part !== '').join(': ');
}

/** For a report: the call, the error's name, and the circumstances. */
export function systemErrorReason({ errno, syscall, detail }: NativeFailure): string {
  return joined(syscall, nameOf(errno)[0], detail);
}

/** The same, with what the error means. */
export function describeFailure({ errno, syscall, detail }: NativeFailure): string {
  return joined(syscall, ...nameOf(errno), detail);
}

/** Makes the error of a failed system call; `details` say where it happened. */
export function systemError(failure: NativeFailure, details: ErrorDetails = {}): RingboltError {
  const { errno, syscall, detail } = failure;
  const [name, text] = nameOf(errno);
  const path = details.path === undefined ? '' : ` '${details.path}'`;
  const tail = detail === '' ? '' : `: ${detail}`;
  const all = { ...details, errno: -errno, syscall };
  // The two errnos that native code gives a meaning of its own.
  if (errno === EBUSY && (syscall === 'fcntl' || syscall === 'open')) {
    return ringboltError('ERR_RINGBOLT_BUSY', `Cannot lock${path}${tail}`, all);
  }
  if (errno === ENOTSUP && syscall === 'open') {
    return ringboltError('ERR_RINGBOLT_UNSUPPORTED', `Cannot open${path}${tail}`, all);
  }
  const action = SPACE_CALLS[syscall];
  if (errno === ENOTSUP && action !== undefined) {
    return ringboltError('ERR_RINGBOLT_UNSUPPORTED', `${action}${path}`, all);
  }
  return new RingboltError(name, `${name}: ${text}, ${syscall}${path}${tail}`, all);
}
