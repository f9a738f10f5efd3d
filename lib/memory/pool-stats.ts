// What a pool says of itself.

/** One size class of the pool. */
export interface SlabClassStats {
  /** Bytes of each slab. */
  readonly slabBytes: number;
  /** Slabs this class has at present; when it runs short it takes more from what is free. */
  readonly capacity: number;
  readonly inUse: number;
  /** Most slabs in use at once. */
  readonly highWater: number;
  readonly acquiredTotal: number;
  /** Times that slabs were fetched from the lists that all threads share, many at a time. */
  readonly refillsTotal: number;
  /** Acquisitions that failed because nothing was free. */
  readonly missesTotal: number;
  /** Calls of `acquireWhenFree` that had to wait. */
  readonly waitsTotal: number;
}

/** The pool's memory on one NUMA node. */
export interface PoolNodeStats {
  /** Undefined where the pool is not bound to nodes. */
  readonly node: number | undefined;
  readonly bytes: number;
  readonly bytesInUse: number;
  /** Slabs that were leased from here because another node had none. */
  readonly remoteTotal: number;
}

/** Leases larger than the largest class. */
export interface LargeStats {
  /** Most bytes that may be leased at once. */
  readonly limitBytes: number;
  readonly bytesInUse: number;
  readonly highWaterBytes: number;
  readonly acquiredTotal: number;
  readonly missesTotal: number;
  readonly waitsTotal: number;
}

/** The pool's state and its totals since the engine's start. */
export interface PoolStats {
  readonly bytes: number;
  /** Of the classes' slabs; larger leases are in `large`. */
  readonly bytesInUse: number;
  /** Leases that were forgotten without release and taken back. */
  readonly leakedTotal: number;
  /** Given back to the system by `trim`. */
  readonly trimmedBytesTotal: number;
  /** Calls of `acquireWhenFree` that wait at present. */
  readonly waiting: number;
  readonly classes: readonly SlabClassStats[];
  readonly nodes: readonly PoolNodeStats[];
  readonly large: LargeStats;
}
