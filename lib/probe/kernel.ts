// What the system around the process is: kernel, switches, filters, container. Read, never tried.

import { existsSync } from 'node:fs';
import path from 'node:path';
import { readStatus } from '../topology/cpus.js';
import { procPath, readNumber, readText, type TopologyRoots } from '../topology/sysfs.js';
import { feature, type ProbeFeature } from './report.js';

/** Where to look, and as whom; tests have others. */
export interface Surroundings {
  /** The folder that has sys and proc in it. Default `/`. */
  readonly root: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** As uname(2) has it. */
  readonly kernel: string;
  readonly node: string;
}

export function rootsOf({ root }: Surroundings): TopologyRoots {
  return { sys: path.join(root, 'sys'), proc: path.join(root, 'proc') };
}

export interface KernelFacts {
  readonly version: readonly [major: number, minor: number];
  /** kernel.io_uring_disabled; undefined before Linux 6.6, which has no such switch. */
  readonly uringDisabled: number | undefined;
  readonly uringGroup: number | undefined;
  /** 0: none, 1: strict, 2: a filter; undefined where the kernel does not say. */
  readonly seccomp: number | undefined;
  readonly seccompFilters: number | undefined;
  /** CAP_IPC_LOCK: exempt from RLIMIT_MEMLOCK. */
  readonly mayLockMemory: boolean;
  readonly container: string | undefined;
}

const CAP_IPC_LOCK = 14n;

export function readKernel(around: Surroundings): KernelFacts {
  const roots = rootsOf(around);
  const sysctl = (name: string) =>
    readNumber(path.join(around.root, 'proc', 'sys', 'kernel', name), -1);
  const [, major = '0', minor = '0'] = /^(\d+)\.(\d+)/.exec(around.kernel) ?? [];
  return {
    version: [Number(major), Number(minor)],
    uringDisabled: sysctl('io_uring_disabled'),
    uringGroup: sysctl('io_uring_group'),
    seccomp: toNumber(readStatus(roots, 'Seccomp')),
    seccompFilters: toNumber(readStatus(roots, 'Seccomp_filters')),
    mayLockMemory: mayLockMemory(roots),
    container: findContainer(around),
  };
}

/** A capability of a user namespace does not count: the limit is the machine's. */
function mayLockMemory(roots: TopologyRoots): boolean {
  const capabilities = readStatus(roots, 'CapEff') ?? '';
  const everybody = /^\s*0\s+0\s+4294967295$/.test(
    readText(procPath(roots, 'self', 'uid_map')) ?? '',
  );
  return (
    everybody &&
    /^[0-9a-f]{1,16}$/.test(capabilities) &&
    ((BigInt(`0x${capabilities}`) >> CAP_IPC_LOCK) & 1n) === 1n
  );
}

function toNumber(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,9}$/.test(text) ? Number(text) : undefined;
}

/** Hints only: a container need not be told that it is one. */
function findContainer(around: Surroundings): string | undefined {
  const there = (name: string) => existsSync(path.join(around.root, name));
  if (around.env['KUBERNETES_SERVICE_HOST'] !== undefined) return 'Kubernetes';
  if (there('.dockerenv')) return 'Docker (/.dockerenv)';
  if (there('run/.containerenv')) return 'Podman (/run/.containerenv)';
  const groups = readText(path.join(around.root, 'proc', 'self', 'cgroup')) ?? '';
  const match = /\b(kubepods|docker|libpod|lxc|containerd|machine\.slice)\b/.exec(groups);
  if (match !== null) return `its cgroup's name has '${match[1]}' in it`;
  return around.env['container'] === undefined ? undefined : "the variable 'container' is set";
}

export function atLeast(
  [major, minor]: KernelFacts['version'],
  leastMajor: number,
  leastMinor: number,
): boolean {
  return major > leastMajor || (major === leastMajor && minor >= leastMinor);
}

export function judgeSystem(around: Surroundings, facts: KernelFacts): readonly ProbeFeature[] {
  return [
    judgeKernel(around.kernel, facts.version),
    judgeNode(around.node),
    judgeSwitch(facts),
    judgeSeccomp(facts),
    feature('container', 'yes', { detail: facts.container ?? 'no sign of one' }),
  ];
}

function judgeKernel(kernel: string, version: KernelFacts['version']): ProbeFeature {
  const detail = `Linux ${kernel}`;
  const remedy = 'a newer kernel: 6.1 or later has all that ringbolt uses';
  if (!atLeast(version, 5, 6)) {
    return feature('kernel', 'no', { detail, why: 'io_uring needs 5.6 or later', remedy });
  }
  if (!atLeast(version, 6, 1)) {
    const why = 'some features of io_uring came later; each is listed with the version it needs';
    return feature('kernel', 'degraded', { detail, why, remedy });
  }
  return feature('kernel', 'yes', { detail });
}

/** The one in package.json's engines. */
const LEAST_NODE = [20, 3] as const;

function judgeNode(node: string): ProbeFeature {
  const [, major = '0', minor = '0'] = /^v?(\d+)\.(\d+)/.exec(node) ?? [];
  const enough = atLeast([Number(major), Number(minor)], ...LEAST_NODE);
  return feature('node', enough ? 'yes' : 'no', {
    detail: node,
    why: `ringbolt is made for ${LEAST_NODE.join('.')} or later`,
    remedy: 'a newer Node.js',
    needed: true,
  });
}

function judgeSwitch({ uringDisabled, uringGroup }: KernelFacts): ProbeFeature {
  const name = 'sysctl.io_uring_disabled';
  switch (uringDisabled) {
    case undefined:
      return feature(name, 'yes', { detail: 'this kernel has no such switch (Linux 6.6 has)' });
    case 0:
      return feature(name, 'yes', { detail: '0: everybody may use io_uring' });
    case 1:
      return feature(name, 'degraded', {
        detail: '1',
        why: `io_uring is for CAP_SYS_ADMIN and group ${uringGroup ?? -1} (kernel.io_uring_group)`,
        remedy: ALLOW_URING,
      });
    default:
      return feature(name, 'no', {
        detail: `${uringDisabled}`,
        why: 'io_uring is forbidden on the whole machine',
        remedy: ALLOW_URING,
      });
  }
}

export const ALLOW_URING =
  'sysctl -w kernel.io_uring_disabled=0, on the host; a file in /etc/sysctl.d makes it last';

function judgeSeccomp({ seccomp, seccompFilters }: KernelFacts): ProbeFeature {
  const name = 'seccomp';
  if (seccomp === undefined) return feature(name, 'yes', { detail: 'the kernel does not say' });
  if (seccomp === 0) return feature(name, 'yes', { detail: 'no filter' });
  const count = seccompFilters === undefined ? '' : ` (${seccompFilters})`;
  return feature(name, 'yes', {
    detail: `a filter is in force${count}; what it forbids shows in the other lines`,
  });
}
