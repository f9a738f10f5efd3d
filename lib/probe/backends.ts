// What moves bytes: io_uring and each of its features, native AIO, and whether an engine starts at all.

import { describeFailure, type NativeFailure } from '../errors.js';
import type { NativeProbe } from '../native.js';
import { ALLOW_URING, atLeast, type KernelFacts } from './kernel.js';
import { feature, type ProbeFeature } from './report.js';

/** How starting a small engine went. */
export type EngineOutcome =
  | {
      readonly started: true;
      readonly backend: string;
      /** Why leases are copied; empty if they are not. */
      readonly copies: string;
    }
  | { readonly started: false; readonly reason: string };

export interface EngineTrial {
  readonly outcome: EngineOutcome;
  /** What RINGBOLT_BACKEND says. */
  readonly named: string | undefined;
}

export function judgeBackends(
  native: NativeProbe,
  facts: KernelFacts,
  engine: EngineTrial,
): readonly ProbeFeature[] {
  return [
    judgeEngine(engine),
    ...judgeLeases(engine.outcome),
    judgeUring(native.uring, facts),
    ...judgeUringFeatures(native),
    judgeAio(native.aio),
  ];
}

function judgeEngine({ outcome, named = '' }: EngineTrial): ProbeFeature {
  const insists = named !== '' && named !== 'auto';
  const remedy = insists
    ? 'unset RINGBOLT_BACKEND: the best backend that can be had is taken then'
    : 'the lines below say what is missing, and what to do about it';
  if (!outcome.started) {
    const because = insists ? `RINGBOLT_BACKEND=${named}: ` : '';
    return feature('engine', 'no', { why: `${because}${outcome.reason}`, remedy, needed: true });
  }
  const detail = `starts, on ${outcome.backend}`;
  const best = outcome.backend === 'io_uring';
  const asked = insists ? `RINGBOLT_BACKEND=${named} asks for that; ` : '';
  const why = `${asked}io_uring does more with less CPU`;
  return feature('engine', best ? 'yes' : 'degraded', { detail, why, remedy, needed: true });
}

function judgeLeases(engine: EngineOutcome): readonly ProbeFeature[] {
  if (!engine.started) return [];
  const { copies } = engine;
  return [
    feature('external-buffers', copies === '' ? 'yes' : 'no', {
      detail: copies === '' ? 'leases go to the kernel without a copy' : 'leases are copied',
      why: copies,
      remedy: copies.includes('disabled')
        ? 'take EXTERNAL_BUFFERS out of RINGBOLT_DISABLE'
        : 'a process of plain Node.js; Electron allows no such memory',
    }),
  ];
}

function judgeUring(uring: NativeFailure, facts: KernelFacts): ProbeFeature {
  if (uring.errno === 0) return feature('io_uring', 'yes', { detail: 'a ring can be made' });
  const { because, remedy } = explainUring(uring, facts);
  const why = [describeFailure(uring), because].filter((part) => part !== '').join(': ');
  return feature('io_uring', 'no', { why, remedy });
}

const LIFT_SECCOMP =
  'docker run --security-opt seccomp=unconfined, or better a profile that allows io_uring_setup, ' +
  'io_uring_enter and io_uring_register; in Kubernetes securityContext.seccompProfile ' +
  '(type: Localhost, or Unconfined)';
export const RAISE_MEMLOCK =
  'ulimit -l unlimited; docker run --ulimit memlock=-1; LimitMEMLOCK=infinity in a systemd unit';
const RAISE_FILES = 'ulimit -n 65536; docker run --ulimit nofile=65536; LimitNOFILE=65536';
const INSTALL_LIBURING =
  'apt-get install liburing-dev (dnf install liburing-devel, apk add liburing-dev), ' +
  'then npm rebuild ringbolt';

interface Explanation {
  readonly because: string;
  readonly remedy?: string;
}

const ENOMEM = 12;
const EMFILE = 24;
const ENFILE = 23;
const EPERM = 1;
const EACCES = 13;
const ENOSYS = 38;

function explainUring({ errno, detail }: NativeFailure, facts: KernelFacts): Explanation {
  // The backend's own words, of an addon that was built without.
  if (errno === ENOSYS && detail.includes('liburing')) {
    return { because: '', remedy: INSTALL_LIBURING };
  }
  switch (errno) {
    case EPERM:
    case EACCES:
      return explainRefusal(facts);
    case ENOSYS:
      return explainAbsence(facts);
    case ENOMEM:
      return {
        because: facts.mayLockMemory
          ? 'no memory, or the memory limit of the cgroup'
          : 'RLIMIT_MEMLOCK is too small: rings count against it on this kernel',
        remedy: facts.mayLockMemory ? "raise the cgroup's memory limit" : RAISE_MEMLOCK,
      };
    case EMFILE:
    case ENFILE:
      return { because: 'too many open files', remedy: RAISE_FILES };
    default:
      return { because: '' };
  }
}

function explainRefusal(facts: KernelFacts): Explanation {
  const { uringDisabled = 0, uringGroup = -1, seccomp = 0 } = facts;
  if (uringDisabled >= 2) {
    return { because: `kernel.io_uring_disabled=${uringDisabled}`, remedy: ALLOW_URING };
  }
  if (uringDisabled === 1) {
    const group = uringGroup >= 0 ? `join group ${uringGroup}, or ` : '';
    return {
      because: 'kernel.io_uring_disabled=1, and this process is not among those who may',
      remedy: `${group}${ALLOW_URING}`,
    };
  }
  if (seccomp !== 0) return { because: 'a seccomp filter forbids it', remedy: LIFT_SECCOMP };
  return {
    because: 'neither kernel.io_uring_disabled nor seccomp: a security module, such as SELinux',
    remedy: 'ausearch -m AVC -c node shows what SELinux refused; allow io_uring in its policy',
  };
}

function explainAbsence({ version, seccomp = 0 }: KernelFacts): Explanation {
  if (!atLeast(version, 5, 6)) {
    return {
      because: 'this kernel is too old',
      remedy: 'Linux 5.6 or later; 6.1 for all features',
    };
  }
  // Some profiles answer ENOSYS, so that programs think the kernel old; gVisor has no io_uring.
  if (seccomp !== 0) return { because: 'a seccomp filter hides it', remedy: LIFT_SECCOMP };
  return {
    because: 'this kernel was built without it, or something in between hides it (gVisor, qemu)',
    remedy: 'a kernel with CONFIG_IO_URING=y',
  };
}

function judgeUringFeatures({ uring, uringFeatures }: NativeProbe): readonly ProbeFeature[] {
  if (uring.errno !== 0) return []; // then none can be had, for one reason
  return uringFeatures.map(({ name, active, reason }) =>
    feature(`io_uring.${name}`, active ? 'yes' : 'no', {
      why: reason,
      remedy: reason.includes('RLIMIT_NOFILE') ? RAISE_FILES : 'a newer kernel',
    }),
  );
}

const EAGAIN = 11;

function judgeAio(aio: NativeFailure): ProbeFeature {
  if (aio.errno === 0) {
    return feature('aio', 'yes', { detail: 'Linux native AIO: for direct I/O without io_uring' });
  }
  const remedies: Readonly<Record<number, string>> = {
    [EAGAIN]:
      'sysctl -w fs.aio-max-nr=1048576, on the host (/proc/sys/fs/aio-nr says what is used)',
    [ENOSYS]: 'a kernel with CONFIG_AIO=y, or a seccomp profile that allows io_setup',
    [EPERM]: 'a seccomp profile that allows io_setup, io_submit, io_getevents and io_destroy',
  };
  return feature('aio', 'no', { why: describeFailure(aio), remedy: remedies[aio.errno] });
}
