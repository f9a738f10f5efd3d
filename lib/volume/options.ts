// What users say when they make and open volumes: its checks, and its defaults.

import { CHECKSUM_NAMES, type ChecksumName } from '../checksum/names.js';
import { checkBoolean, checkInteger, checkOneOf, checkOptions, invalidType } from '../validate.js';
import type { OpenVolumeOptions } from './open.js';
import { checkBlockSize, PAGE_BYTES } from './geometry.js';
import type { PassProgress } from './pass.js';
import type { RecoveryProgress } from './recovery.js';

/** Where the parts of a volume are. */
export interface VolumePlace {
  /** Of the sidecar: a file on a disk. Default: the volume's path with `.ringbolt` behind it. A block device needs one. */
  readonly metaPath?: string;
}

/** How a volume is run. */
export interface VolumeSettings extends VolumePlace {
  /** `'auto'` (default) bypasses the page cache for the data where that can be had and the last block is no ragged one. */
  readonly direct?: 'auto' | false;
  /** Memory for tags, bytes: 4 KiB for those of 248 blocks. 64 KiB to 1 TiB; default 16 MiB. */
  readonly tagCacheBytes?: number;
  /**
   * So much data is in dirty regions, at most, which is what is read to recover after a crash; more only where one operation alone is in
   * more. Default 1 GiB.
   */
  readonly maxDirtyBytes?: number;
  /** What was written is settled, so that it needs no recovery, after so much time: 10 ms to an hour. Default 10,000. */
  readonly epochMs?: number;
  /** Operations that may wait for others on the same blocks, before they are refused with `ERR_RINGBOLT_OVERLOADED`. Default 4096. */
  readonly maxWaiting?: number;
  /** Called while the volume is recovered after a crash. */
  readonly onProgress?: (progress: RecoveryProgress) => void;
  /**
   * Whether the baseline of a protected volume, if it has not ended, goes on by itself, in the background. False leaves that to
   * {@link Volume.baseline}. Default true.
   */
  readonly baseline?: boolean;
  /** Called while that goes on. */
  readonly onBaselineProgress?: (progress: PassProgress) => void;
}

export interface VolumeOpenOptions extends VolumeSettings {
  /** `'read'` writes nothing, neither data nor sidecar, and shares the volume with other readers. Default `'read-write'`. */
  readonly access?: 'read' | 'read-write';
}

export interface VolumeProtectOptions extends VolumeSettings {
  /** Bytes: a power of two from 4 to 64 KiB. What is checked as a whole, and read and written as a whole. Default 4096. */
  readonly blockSize?: number;
  /** Default `'crc64nvme'`. */
  readonly algorithm?: ChecksumName;
}

export interface VolumeCreateOptions extends VolumeProtectOptions {
  /** Bytes; of a device it may be left out, and is then all of it. */
  readonly size?: number;
  /** A file with holes: no space is allocated for the data, and writes may fail with `ENOSPC`. Default false. */
  readonly sparse?: boolean;
  /** A block device is zeroed as a whole, for which this has to be true. A file must not be there yet, whatever this says. Default false. */
  readonly overwrite?: boolean;
}

const SETTINGS = [
  'metaPath',
  'direct',
  'tagCacheBytes',
  'maxDirtyBytes',
  'epochMs',
  'maxWaiting',
  'onProgress',
  'baseline',
  'onBaselineProgress',
];
const FORMAT = ['blockSize', 'algorithm'];

const MIN_TAG_CACHE_BYTES = 64 * 2 ** 10;
const DEFAULT_TAG_CACHE_BYTES = 16 * 2 ** 20;
const MAX_WAITING = 2 ** 20;
const HOUR_MS = 3_600_000;

/** Checked, with defaults where there is more than one user of them. */
interface ResolvedSettings {
  readonly direct: 'auto' | false;
  readonly settings: Omit<OpenVolumeOptions, 'data' | 'sidecar' | 'access'>;
}

function resolveSettings(options: VolumeSettings): ResolvedSettings {
  const { tagCacheBytes = DEFAULT_TAG_CACHE_BYTES, onProgress, direct = 'auto' } = options;
  const { maxDirtyBytes, epochMs, maxWaiting, baseline, onBaselineProgress } = options;
  checkOneOf('options.direct', direct, ['auto', false] as const);
  checkInteger('options.tagCacheBytes', tagCacheBytes, MIN_TAG_CACHE_BYTES, 2 ** 40);
  if (maxDirtyBytes !== undefined) checkInteger('options.maxDirtyBytes', maxDirtyBytes, 1);
  if (epochMs !== undefined) checkInteger('options.epochMs', epochMs, 10, HOUR_MS);
  if (maxWaiting !== undefined) checkInteger('options.maxWaiting', maxWaiting, 0, MAX_WAITING);
  if (baseline !== undefined) checkBoolean('options.baseline', baseline);
  for (const [name, listener] of Object.entries({ onProgress, onBaselineProgress })) {
    if (listener === undefined || typeof listener === 'function') continue;
    throw invalidType(`options.${name}`, 'of type function', listener);
  }
  const settings = {
    tagPages: Math.floor(tagCacheBytes / PAGE_BYTES),
    ...(maxDirtyBytes !== undefined && { maxDirtyBytes }),
    ...(epochMs !== undefined && { epochMs }),
    ...(maxWaiting !== undefined && { maxWaiting }),
    ...(onProgress !== undefined && { onProgress }),
    ...(baseline !== undefined && { baseline }),
    ...(onBaselineProgress !== undefined && { onBaselineProgress }),
  };
  return { direct, settings };
}

export interface ResolvedOpen extends ResolvedSettings {
  readonly access: 'read' | 'read-write';
}

/** @throws `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE`, `ERR_OUT_OF_RANGE`, as do the others */
export function resolveOpen(options: VolumeOpenOptions): ResolvedOpen {
  checkOptions('options', options, [...SETTINGS, 'access']);
  const { access = 'read-write' } = options;
  checkOneOf('options.access', access, ['read', 'read-write'] as const);
  return { ...resolveSettings(options), access };
}

interface ResolvedProtect extends ResolvedSettings {
  readonly blockSize: number;
  readonly algorithm: ChecksumName;
}

function resolveFormat(options: VolumeProtectOptions): ResolvedProtect {
  const { blockSize = 4096, algorithm = 'crc64nvme' } = options;
  checkBlockSize('options.blockSize', blockSize);
  checkOneOf('options.algorithm', algorithm, CHECKSUM_NAMES);
  return { ...resolveSettings(options), blockSize, algorithm };
}

export function resolveProtect(options: VolumeProtectOptions): ResolvedProtect {
  checkOptions('options', options, [...SETTINGS, ...FORMAT]);
  return resolveFormat(options);
}

export interface ResolvedCreate extends ResolvedProtect {
  readonly size: number | undefined;
  readonly sparse: boolean;
  readonly overwrite: boolean;
}

export function resolveCreate(options: VolumeCreateOptions): ResolvedCreate {
  checkOptions('options', options, [...SETTINGS, ...FORMAT, 'size', 'sparse', 'overwrite']);
  const { size, sparse = false, overwrite = false } = options;
  if (size !== undefined) checkInteger('options.size', size, 1);
  checkBoolean('options.sparse', sparse);
  checkBoolean('options.overwrite', overwrite);
  return { ...resolveFormat(options), size, sparse, overwrite };
}
