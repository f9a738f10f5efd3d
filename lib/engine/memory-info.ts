// What an engine's memory is made of: what was asked for, what was got, and why anything is missing.

import type { PoolLayout } from '../memory/pool.js';
import type { NativeInfo } from '../native.js';
import { EXTERNAL_BUFFERS } from './features.js';
import type { FeatureInfo } from './info.js';
import type { ResolvedPoolOptions } from './pool-options.js';

/** The pool's memory on one NUMA node. */
export interface PoolNodeInfo {
  /** That it was bound to; undefined where it was not. */
  readonly node: number | undefined;
  readonly bytes: number;
  /** `'hugetlb'`: huge pages that were set aside; `'transparent'`: the kernel's own, as many as `hugeBytes` says. */
  readonly pages: 'hugetlb' | 'transparent' | 'plain';
  /** How much of it lies in huge pages. */
  readonly hugeBytes: number;
  /** How much of it lies on its node; undefined where it has none, or the kernel would not say. */
  readonly bytesOnNode: number | undefined;
  /** What was not got, in words; empty if all was. */
  readonly remarks: string;
}

export interface MemoryInfo {
  /** Of all nodes. */
  readonly poolBytes: number;
  /** Bytes of the pool that lie in huge pages. */
  readonly hugeBytes: number;
  readonly nodes: readonly PoolNodeInfo[];
  /** `EXTERNAL_BUFFERS`: whether leases go to the kernel without a copy. A runtime may forbid it, as Electron does. */
  readonly features: readonly FeatureInfo[];
  /** What was not got, in words; empty if all was. */
  readonly remarks: string;
}

export function describeMemory(got: NativeInfo): MemoryInfo {
  const nodes = got.poolParts.map(({ node, bytes, pages, hugeBytes, bytesOnNode, remarks }) => ({
    node: node < 0 ? undefined : node,
    bytes,
    pages,
    hugeBytes,
    bytesOnNode: node < 0 || bytesOnNode < 0 ? undefined : bytesOnNode,
    remarks,
  }));
  const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
  return {
    poolBytes: sum(nodes.map(({ bytes }) => bytes)),
    hugeBytes: sum(nodes.map(({ hugeBytes }) => hugeBytes)),
    nodes,
    features: [got.externalBuffers],
    remarks: [got.memoryRemarks, copyRemark(got)].filter((remark) => remark !== '').join('; '),
  };
}

/** Why leases are copied; empty if they are not. */
export function whyCopied({ features }: Pick<MemoryInfo, 'features'>): string {
  return features.find(({ name }) => name === EXTERNAL_BUFFERS)?.reason ?? '';
}

function copyRemark({ externalBuffers }: NativeInfo): string {
  const reason = whyCopied({ features: [externalBuffers] });
  return reason === '' ? '' : `leases are copied: ${reason}`;
}

/** How the pool's units lie. */
export function poolLayout(got: NativeInfo, { classes, debug }: ResolvedPoolOptions): PoolLayout {
  return {
    parts: got.poolParts.map(({ node, bytes, firstUnit }) => ({
      node: node < 0 ? undefined : node,
      bytes,
      firstUnit,
    })),
    classBytes: classes,
    largeBytes: got.largeBytes,
    largeUnit: got.largeUnit,
    units: got.poolUnits,
    debug,
  };
}
