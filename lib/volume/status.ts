// What a volume says of itself.

import type { ChecksumName } from '../checksum/names.js';
import type { RecoveryReport } from './recovery.js';
import type { TagCacheStats } from './tag-cache.js';

export interface VolumeStatus {
  /** 32 hexadecimal digits. */
  readonly uuid: string;
  /** Path of the sidecar, and its bytes. */
  readonly metaPath: string;
  readonly metaBytes: number;
  readonly algorithm: ChecksumName;
  readonly state: 'open' | 'read-only' | 'failed' | 'closed';
  /** Rule 8: what it failed with. */
  readonly failure: unknown;
  /** What opening it found. Undefined for a volume that is only read. */
  readonly recovery: RecoveryReport | undefined;
  /** Rule 12: the data file is not what it was at the last clean close. */
  readonly changedWhileClosed: boolean;
  /** The data is shorter than the volume. */
  readonly truncated: boolean;
  readonly epoch: number;
  /** With a bit; and the data in them, at most, bytes: what recovery would read after a crash now. */
  readonly dirtyRegions: number;
  readonly dirtyBytes: number;
  readonly tags: TagCacheStats;
  /** Operations that wait for others on the same blocks. */
  readonly waiting: number;
  /** Reads that did not agree with their tags at once. */
  readonly readsRepeated: number;
  /** Blocks that were found to be damaged. */
  readonly blocksDamaged: number;
}
