// CPUs: which may be used, whether threads can be bound to them, nodes, and the instruction sets of checksums.

import type { NativeProbe } from '../native.js';
import { formatCpuList, tryParseCpuList } from '../topology/cpu-list.js';
import { listNodes, readCpuTopology } from '../topology/cpus.js';
import { nodesForQueues } from '../topology/placement.js';
import { readCpuset } from '../topology/cpuset.js';
import { readText, sysPath, type TopologyRoots } from '../topology/sysfs.js';
import { describeFailure } from '../errors.js';
import { feature, type ProbeFeature } from './report.js';

export async function judgeCpus(
  roots: TopologyRoots,
  native: NativeProbe,
): Promise<readonly ProbeFeature[]> {
  return [
    judgeAllowed(roots, native),
    judgePinning(native),
    await judgeNodes(roots),
    judgeSimd(native),
  ];
}

function judgeAllowed(roots: TopologyRoots, { cpus }: NativeProbe): ProbeFeature {
  const online = tryParseCpuList(readText(sysPath(roots, 'devices', 'system', 'cpu', 'online')));
  const cpuset = readCpuset(roots);
  const limited = online !== undefined && cpus.length < online.length;
  const by = cpuset !== undefined && cpuset.cpus.length < (online?.length ?? 0);
  const detail =
    `${formatCpuList(cpus)} (${cpus.length} of ${online?.length ?? cpus.length} online)` +
    (limited ? `, limited by ${by ? `the cpuset of cgroup ${cpuset.group}` : 'affinity'}` : '');
  return feature('cpus', cpus.length === 1 ? 'degraded' : 'yes', {
    detail,
    why: "queues' threads and JavaScript take turns on one CPU",
    remedy: 'allow more: docker run --cpuset-cpus, taskset, CPUAffinity= in a systemd unit',
  });
}

function judgePinning({ affinity, cpus, cpusBound }: NativeProbe): ProbeFeature {
  if (affinity.errno !== 0) {
    return feature('pinning', 'no', {
      why: describeFailure(affinity),
      remedy: "a seccomp profile that allows sched_setaffinity; or { affinity: 'none' }",
    });
  }
  if (cpusBound.length === 1 && cpusBound[0] === cpus[0]) {
    return feature('pinning', 'yes', { detail: 'a thread can be bound to a CPU' });
  }
  return feature('pinning', 'degraded', {
    why: `asked for CPU ${cpus[0]}, a thread got ${formatCpuList(cpusBound)}: it is ignored here`,
  });
}

async function judgeNodes(roots: TopologyRoots): Promise<ProbeFeature> {
  const topology = await readCpuTopology(roots);
  const { nodes } = topology;
  const usable = nodesForQueues(topology).map(({ node }) => node);
  if (listNodes(roots).length === 0) {
    return feature('numa', 'yes', { detail: 'this kernel tells of no nodes: all is taken as one' });
  }
  const detail =
    nodes.length === 1
      ? 'one node: nothing lies far away'
      : usable.length === nodes.length
        ? `${nodes.length} nodes with CPUs: queues are spread over them`
        : `${nodes.length} nodes with CPUs, queues on ${formatCpuList(usable)}: the others have none that may be used`;
  return feature('numa', 'yes', { detail });
}

function judgeSimd({ simd }: NativeProbe): ProbeFeature {
  const { crc, crcKernels, xxh3, note } = simd;
  const detail = `CRC: ${crc}; XXH3: ${xxh3 === '' ? 'not built' : xxh3}`;
  if (note !== '') {
    return feature('simd', 'degraded', { detail, why: note, remedy: 'unset RINGBOLT_SIMD' });
  }
  if (crc !== 'portable') return feature('simd', 'yes', { detail });
  const reasons = crcKernels
    .filter(({ whyNot }) => whyNot !== '')
    .map(({ name, whyNot }) => `${name}: ${whyNot}`);
  return feature('simd', 'degraded', {
    detail,
    why: `checksums take the slow path: ${reasons.join('; ') || 'RINGBOLT_SIMD asks for it'}`,
  });
}
