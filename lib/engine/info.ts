// What an engine is made of: what was asked for, what was got, and why anything is missing.

import { SIMD, type SimdInfo } from '../checksum/simd.js';
import { systemErrorReason } from '../errors.js';
import type { NativeInfo } from '../native.js';
import { exceptCpus, formatCpuList } from '../topology/cpu-list.js';
import type { CpuTopology } from '../topology/cpus.js';
import { nodeOfCpus, type QueuePlacement } from '../topology/placement.js';
import { faultsRemark } from './faults.js';
import { describeMemory, type MemoryInfo } from './memory-info.js';
import type { ResolvedEngineOptions } from './options.js';

/** An optional ability of the backend, or of memory. */
export interface FeatureInfo {
  readonly name: string;
  readonly active: boolean;
  /** Why it is not active; empty if it is. */
  readonly reason: string;
}

/** A backend that would have been better and could not be had. */
export interface PassedOver {
  readonly backend: 'io_uring' | 'aio' | 'threads';
  /** The call that failed, the error, and what is behind it: `io_uring_setup: EPERM: kernel.io_uring_disabled=2`. */
  readonly reason: string;
}

export interface QueueInfo {
  readonly index: number;
  readonly backend: 'io_uring' | 'aio' | 'threads';
  /**
   * The NUMA node that has all CPUs which its thread may run on. Undefined where they lie on several; with `affinity: 'none'`, where
   * the machine has several.
   */
  readonly node: number | undefined;
  /** CPUs asked for; empty: any. */
  readonly cpusAsked: readonly number[];
  /** CPUs that the queue's thread may run on. */
  readonly cpus: readonly number[];
  readonly features: readonly FeatureInfo[];
  /** What was not got, in words; empty if all was. */
  readonly remarks: string;
}

export interface EngineInfo {
  /** That of the first queue. The others have the same, unless something ran out between them: see `queues`. */
  readonly backend: 'io_uring' | 'aio' | 'threads';
  /** What was tried before it, for any queue. Empty where the best was had, or a backend was named. */
  readonly passedOver: readonly PassedOver[];
  readonly depth: number;
  readonly maxQueued: number;
  /** Larger reads and writes are done in parts. */
  readonly maxIoBytes: number;
  /** What makes it unfit for real data: faults that are injected for a test. Empty in every service. */
  readonly remarks: string;
  readonly queues: readonly QueueInfo[];
  /** The ring that the event loop polls itself: small reads are quicker by it while there is only one of them. */
  readonly loopRing: FeatureInfo;
  readonly memory: MemoryInfo;
  /** Of checksums. */
  readonly simd: SimdInfo;
}

/** What was asked of the machine for queues, and what it is. */
interface Asked {
  readonly placement: readonly QueuePlacement[];
  readonly topology: CpuTopology;
}

export function describeEngine(
  got: NativeInfo,
  { placement, topology }: Asked,
  options: ResolvedEngineOptions,
  loopRing: FeatureInfo,
): EngineInfo {
  return {
    backend: got.queues[0]!.backend,
    passedOver: describePassedOver(got),
    depth: options.depth,
    maxQueued: options.maxQueued,
    maxIoBytes: options.maxIoBytes,
    remarks: options.faults === undefined ? '' : faultsRemark(options.faults),
    queues: got.queues.map((queue, index) => {
      const { node, cpus } = placement[index]!;
      return {
        index,
        backend: queue.backend,
        // What was got counts: CPUs may have gone since the machine was looked at.
        node: cpus.length === 0 ? node : nodeOfCpus(topology, queue.cpus),
        cpusAsked: cpus,
        cpus: queue.cpus,
        features: queue.features,
        remarks: placementRemarks(cpus, queue),
      };
    }),
    loopRing,
    memory: describeMemory(got),
    simd: SIMD,
  };
}

/** The same cause for each of many queues is told once. */
function describePassedOver(got: NativeInfo): readonly PassedOver[] {
  const told = new Map<string, PassedOver>();
  for (const tried of got.queues.flatMap(({ passedOver }) => passedOver)) {
    const reason = systemErrorReason(tried);
    told.set(`${tried.backend}: ${reason}`, { backend: tried.backend, reason });
  }
  return [...told.values()];
}

const EINVAL = 22;

function placementRemarks(
  asked: readonly number[],
  { cpus: got, bind }: Pick<NativeInfo['queues'][number], 'cpus' | 'bind'>,
): string {
  if (asked.length === 0) return '';
  const list = formatCpuList(asked);
  if (bind.errno === EINVAL) return `not bound to CPUs ${list}: none of them may be used`;
  if (bind.errno !== 0) return `not bound to CPUs ${list}: ${systemErrorReason(bind)}`;
  const missing = exceptCpus(asked, got);
  const others = exceptCpus(got, asked);
  return [
    missing.length === 0 ? '' : `CPUs ${formatCpuList(missing)} may not be used`,
    // Sandboxes that stand in for the kernel do not all heed it.
    others.length === 0 ? '' : `CPUs ${formatCpuList(others)} are used as well: binding is ignored`,
  ]
    .filter((remark) => remark !== '')
    .join('; ');
}
