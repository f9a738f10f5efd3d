// What a volume says of itself.

import type { ChecksumName } from '../checksum/names.js';
import type { BaselineStatus } from './baseline.js';
import type { RecoveryReport } from './recovery.js';
import type { TargetStats } from './synced-target.js';
import type { TagCacheStats } from './tag-cache.js';

export interface VolumeStatus {
  /** 32 hexadecimal digits. */
  readonly uuid: string;
  /** Path of the sidecar, and its bytes. */
  readonly metaPath: string;
  readonly metaBytes: number;
  readonly algorithm: ChecksumName;
  /** `'out-of-step'`: rule 12. It is read and verified; nothing is written until {@link Volume.rebaseline}. */
  readonly state: 'open' | 'read-only' | 'out-of-step' | 'failed' | 'closed';
  /** Rule 8: what it failed with. */
  readonly failure: unknown;
  /** What opening it found. Undefined for a volume that is only read, or out of step. */
  readonly recovery: RecoveryReport | undefined;
  /** Rule 12: the data file is not what it was at the last clean close. */
  readonly changedWhileClosed: boolean;
  /** The data is shorter than the volume: what is missing is damaged, and cannot be written until somebody makes it as long again. */
  readonly truncated: boolean;
  readonly baseline: BaselineStatus;
  readonly epoch: number;
  /** With a bit; and the data in them, at most, bytes: what recovery would read after a crash now. */
  readonly dirtyRegions: number;
  readonly dirtyBytes: number;
  /** Operations that wait for others on the same blocks. */
  readonly waiting: number;
}

/** Totals since it was opened. */
export interface VolumeStats {
  /** What went to the files and came from them, for users and for the volume itself: recovery, baseline, reads that were repeated. */
  readonly data: TargetStats;
  readonly sidecar: TargetStats;
  readonly tags: TagCacheStats;
  /** Reads that did not agree with their tags at once. */
  readonly readsRepeated: number;
  /** Blocks that were found to be damaged. */
  readonly blocksDamaged: number;
}
