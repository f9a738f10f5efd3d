// Copying between slabs and other memory. Where JavaScript sees slabs, that is its own affair; where no ArrayBuffer may lie over
// native memory (engine.info.memory.features), native code does it, and a lease's `buffer` is other memory, too.

import type { NativeEngine } from '../native.js';
import { plainView } from './intrinsics.js';
import { leases, type Lease } from './lease.js';

/** Arrays are plain, not empty, and lie within their slab from `at` on. */
export interface Slabs {
  /** Whether a lease's memory is its slab. */
  readonly visible: boolean;
  fill(lease: Lease, at: number, from: Uint8Array): void;
  read(lease: Lease, at: number, into: Uint8Array): void;
}

const visibleSlabs: Slabs = {
  visible: true,
  fill(lease, at, from) {
    plainView(leases.memory(lease)).set(from, at);
  },
  read(lease, at, into) {
    into.set(plainView(leases.memory(lease)).subarray(at, at + into.length));
  },
};

function hiddenSlabs(native: NativeEngine): Slabs {
  const check = (copied: boolean): void => {
    if (!copied) throw new Error('ringbolt: a copy does not lie within its slab');
  };
  return {
    visible: false,
    fill(lease, at, from) {
      check(native.fillSlab(leases.unit(lease), at, from));
    },
    read(lease, at, into) {
      check(native.readSlab(leases.unit(lease), at, into));
    },
  };
}

export function slabsOf(native: NativeEngine, visible: boolean): Slabs {
  return visible ? visibleSlabs : hiddenSlabs(native);
}
