export { Engine } from './engine/engine.js';
export type { CloseOptions } from './engine/engine.js';
export type { EngineOptions, OpenOptions } from './engine/options.js';
export type { PoolOptions } from './engine/pool-options.js';
export type { EngineInfo, FeatureInfo, PassedOver, QueueInfo } from './engine/info.js';
export type { MemoryInfo, PoolNodeInfo } from './engine/memory-info.js';
export type { ClassStats, EngineStats, LatencyStats, QueueStats } from './engine/stats.js';
export type { ThroughputSample, WatchOptions } from './engine/watch.js';
export { BlockFile } from './device/block-file.js';
export type { BlockChecksums } from './device/block-checksums.js';
export type { ChecksumOptions } from './device/memory-hasher.js';
export type {
  BatchErrors,
  BatchOptions,
  BatchResult,
  BlockTarget,
  FlushOptions,
  IoOptions,
  ReadBatchOptions,
  Transfer,
  WriteBatchOptions,
  WriteOptions,
} from './device/block-target.js';
export type { StreamOptions, WritableOptions } from './device/streams/options.js';
export type { CopyStats } from './device/copier.js';
export { BufferPool } from './memory/pool.js';
export type { LeaseHolder } from './memory/pool-debug.js';
export type { LargeStats, PoolNodeStats, PoolStats, SlabClassStats } from './memory/pool-stats.js';
export { Lease } from './memory/lease.js';
export type { LatencySummary } from './metrics/histogram.js';
export type { WaitOptions } from './interrupt.js';
export type { IoClass } from './schedule/operation.js';
export type { RateLimit } from './schedule/rate-limiter.js';
export type { EngineLimits } from './schedule/scheduler.js';
export { Volume } from './volume/volume.js';
export type { VolumeRange } from './volume/volume.js';
export type { VolumeStats, VolumeStatus } from './volume/status.js';
export type { TargetStats } from './volume/synced-target.js';
export type { BaselineRun, BaselineStatus } from './volume/baseline.js';
export type { PassProgress } from './volume/pass.js';
export type { RebaselineOptions, RebaselineReport } from './volume/rebaseline.js';
export type {
  InspectedVolume,
  TagCounts,
  VolumeInspection,
  VolumeInspectOptions,
} from './volume/inspect.js';
export type {
  VolumeCreateOptions,
  VolumeOpenOptions,
  VolumePlace,
  VolumeProtectOptions,
  VolumeSettings,
} from './volume/options.js';
export type { RecoveryProgress, RecoveryReport } from './volume/recovery.js';
export type { TagCacheStats } from './volume/tag-cache.js';
export type { Stability, VolumeReadOptions, VolumeWriteOptions } from './volume/io-options.js';
export { checksum } from './checksum/checksum.js';
export type { Checksum } from './checksum/checksum.js';
export type { ChecksumHasher } from './checksum/hashers.js';
export type { ChecksumName, SimdLevel } from './checksum/names.js';
export type { SimdInfo } from './checksum/simd.js';
export { probe } from './probe/probe.js';
export type { ProbeOptions } from './probe/probe.js';
export type { ProbeFeature, ProbeReport } from './probe/report.js';
export { AbortError, RingboltError } from './errors.js';
export type { ErrorDetails, RingboltErrorCode } from './errors.js';
