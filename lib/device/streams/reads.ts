// The reads of one stream: many under way, none of which needs a promise, a signal or a check of its own.
//
//   ReadAhead ─ begin(read) ─▶ Reads ─▶ target
//   ReadAhead ◀─ read.succeeded(bytes) or read.failed(error), once ◀─┘
//
// A target that has a shorter way than its public methods says so (StreamSource.beginReading); for any other there is this one.

import type { Lease } from '../../memory/lease.js';
import type { IoClass } from '../../schedule/operation.js';
import type { BlockTarget } from '../block-target.js';

/** One read, and who is told how it ended: once, and not before begin() has returned. No user's code runs in that. */
export interface StreamRead {
  readonly offset: number;
  readonly lease: Lease;
  succeeded(bytes: number): void;
  failed(error: unknown): void;
}

export interface Reads {
  begin(read: StreamRead): void;
  /** Ends all that are under way as soon as can be, some of them before this returns. None is begun afterwards. */
  cancel(): void;
}

/** Through the target's own method, which may do with each read what it likes. */
export function promisedReads(target: Pick<BlockTarget, 'read'>, ioClass: IoClass): Reads {
  const canceller = new AbortController();
  const { signal } = canceller;
  return {
    begin(read) {
      target.read(read.offset, read.lease, { ioClass, signal }).then(
        (bytes) => {
          read.succeeded(bytes);
        },
        (error: unknown) => {
          read.failed(error);
        },
      );
    },
    cancel() {
      canceller.abort();
    },
  };
}
