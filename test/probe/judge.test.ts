// Shows what a probe makes of machines that are not as they should be: which line says no, why, and what to do about it.

import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import type { NativeProbe } from '../../dist/lib/native.js';
import { judge, type Trials } from '../../dist/lib/probe/probe.js';
import type { Surroundings } from '../../dist/lib/probe/kernel.js';
import { readStorage } from '../../dist/lib/topology/storage.js';
import { tempFolder } from '../support/temp-folder.js';
import { buildMachine, type MachineDescription } from '../topology/fixtures/build.js';
import { container, CRYPT_BELOW_LVM, MIRROR, SMALL } from '../topology/fixtures/machines.js';

// A machine is hundreds of small files, on whatever disk there is.
vi.setConfig({ testTimeout: 30_000 });

const FINE = { errno: 0, syscall: '', detail: '' };
const COMPILED = { file: 'build/Release/ringbolt.node', optimized: true, sanitizer: '' };
const GOOD: NativeProbe = {
  uring: FINE,
  uringFeatures: [{ name: 'SUBMIT_ALL', active: true, reason: '' }],
  aio: FINE,
  affinity: FINE,
  cpus: [0, 1],
  cpusBound: [0],
  ioPriority: FINE,
  simd: { crc: 'avx512', crcKernels: [], xxh3: 'avx512', note: '' },
};

/** A folder that has sys and proc in it. */
function rootWith(files: Readonly<Record<string, string>>): string {
  const root = tempFolder();
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(path.dirname(path.join(root, name)), { recursive: true });
    writeFileSync(path.join(root, name), `${text}\n`);
  }
  return root;
}

const HEALTHY = {
  'proc/self/status': 'CapEff:\t0000000000000000\nSeccomp:\t0\nSeccomp_filters:\t0',
  'proc/self/limits': 'Max locked memory         unlimited            unlimited            bytes',
  'proc/sys/kernel/io_uring_disabled': '0',
  'sys/devices/system/cpu/online': '0-1',
  'sys/devices/system/node/node0/cpulist': '0-1',
  'sys/kernel/mm/transparent_hugepage/enabled': 'always [madvise] never',
};

interface Case {
  readonly files?: Readonly<Record<string, string>>;
  readonly native?: Partial<NativeProbe>;
  readonly around?: Partial<Surroundings>;
  readonly trials?: Partial<Trials>;
}

function report({ files = {}, native = {}, around = {}, trials = {} }: Case = {}) {
  return judge(
    {
      root: rootWith({ ...HEALTHY, ...files }),
      env: {},
      kernel: '6.18.1',
      node: 'v22.1.0',
      ...around,
    },
    {
      native: { ...GOOD, ...native },
      path: undefined,
      engine: { started: true, backend: 'io_uring', copies: '' },
      storage: undefined,
      addon: COMPILED,
      ...trials,
    },
  );
}

async function line(name: string, what: Case = {}) {
  const { features } = await report(what);
  const found = features.find((feature) => feature.name === name);
  expect(found, `a line '${name}'`).toBeDefined();
  // Whatever is wrong has a reason, and what is right has none.
  expect(found!.why === '').toBe(found!.available && !found!.degraded);
  return found!;
}

const failure = (errno: number, syscall: string, detail = '') => ({ errno, syscall, detail });

describe('a machine as it should be', () => {
  it('has nothing to mend', async () => {
    const { ok, features, container: inside } = await report();
    expect(features.filter(({ why }) => why !== '')).toEqual([]);
    expect(features.filter(({ remedy }) => remedy !== undefined)).toEqual([]);
    expect({ ok, inside }).toEqual({ ok: true, inside: undefined });
  });
});

describe('io_uring that cannot be had', () => {
  const EPERM = { uring: failure(1, 'io_uring_setup') };
  const ENOSYS = { uring: failure(38, 'io_uring_setup') };
  const ENOMEM = { uring: failure(12, 'io_uring_setup') };
  const filtered = {
    'proc/self/status': 'CapEff:\t0000000000000000\nSeccomp:\t2\nSeccomp_filters:\t1',
  };
  const privileged = {
    'proc/self/status': 'CapEff:\t000001ffffffffff',
    'proc/self/uid_map': '         0          0 4294967295',
  };

  const sysctl = (value: string, group = '-1') => ({
    'proc/sys/kernel/io_uring_disabled': value,
    'proc/sys/kernel/io_uring_group': group,
  });

  it.each<[string, Case, RegExp, RegExp]>([
    [
      'the machine forbids it',
      { native: EPERM, files: sysctl('2') },
      /^io_uring_setup: EPERM: .*kernel.io_uring_disabled=2$/,
      /^sysctl -w kernel.io_uring_disabled=0/,
    ],
    [
      'only a group may',
      { native: EPERM, files: sysctl('1', '990') },
      /not among those who may/,
      /^join group 990, or sysctl -w/,
    ],
    [
      'a filter refuses it',
      { native: EPERM, files: filtered },
      /a seccomp filter forbids it/,
      /--security-opt seccomp=unconfined.*io_uring_setup.*seccompProfile/,
    ],
    ['a filter hides it', { native: ENOSYS, files: filtered }, /filter hides it/, /--security-opt/],
    ['something else refuses it', { native: EPERM }, /a security module/, /ausearch/],
    [
      'the kernel is too old',
      { native: ENOSYS, around: { kernel: '4.18.0-553.el8' } },
      /too old/,
      /^Linux 5\.6/,
    ],
    ['the kernel has none', { native: ENOSYS }, /built without it/, /CONFIG_IO_URING=y/],
    [
      'the addon was built without',
      { native: { uring: failure(38, 'io_uring_setup', 'liburing-dev was missing') } },
      /liburing-dev was missing/,
      /apt-get install liburing-dev.*npm rebuild ringbolt/,
    ],
    [
      'memory may not be locked',
      { native: ENOMEM },
      /RLIMIT_MEMLOCK is too small/,
      /ulimit -l unlimited.*--ulimit memlock=-1/,
    ],
    ['there is no memory', { native: ENOMEM, files: privileged }, /cgroup/, /memory limit/],
    [
      'there are no descriptors',
      { native: { uring: failure(24, 'eventfd') } },
      /^eventfd: EMFILE: .*too many open files/,
      /ulimit -n/,
    ],
  ])('%s', async (_, what, why, remedy) => {
    const native = { ...what.native, uringFeatures: [] };
    const found = await line('io_uring', { ...what, native });
    expect(found).toMatchObject({ available: false, needed: false });
    expect(found.why).toMatch(why);
    expect(found.remedy).toMatch(remedy);
  });

  it('an errno that nobody expected is named', async () => {
    const found = await line('io_uring', { native: { uring: failure(9999, 'io_uring_setup') } });
    expect(found.why).toBe('io_uring_setup: E9999: unknown error');
    expect(found).not.toHaveProperty('remedy');
  });

  it('capabilities in a user namespace do not lift the limit on locked memory', async () => {
    const files = { ...privileged, 'proc/self/uid_map': '0 1000 1' };
    expect((await line('io_uring', { native: ENOMEM, files })).remedy).toMatch(/ulimit -l/);
  });

  it('features that are missing are lines of their own, and are not missed without a ring', async () => {
    const uringFeatures = [
      { name: 'DEFER_TASKRUN', active: false, reason: 'Invalid argument: needs Linux 6.1' },
      { name: 'FIXED_FILES', active: false, reason: 'RLIMIT_NOFILE is below 1024' },
    ];
    expect(await line('io_uring.DEFER_TASKRUN', { native: { uringFeatures } })).toMatchObject({
      available: false,
      why: 'Invalid argument: needs Linux 6.1',
      remedy: 'a newer kernel',
    });
    const files = await line('io_uring.FIXED_FILES', { native: { uringFeatures } });
    expect(files.remedy).toMatch(/^ulimit -n/);
    const { features, ok } = await report({ native: { ...EPERM, uringFeatures: [] } });
    expect(features.filter(({ name }) => name.startsWith('io_uring.'))).toEqual([]);
    expect(ok).toBe(true); // as long as an engine starts on something else
  });
});

describe('what an engine needs', () => {
  it('it cannot be started: nothing is ok', async () => {
    const trials = { engine: { started: false, reason: 'no threads' } } as const;
    expect(await line('engine', { trials })).toMatchObject({ needed: true, why: 'no threads' });
    expect((await report({ trials })).ok).toBe(false);
  });

  it('it runs, but not on the best backend', async () => {
    const trials = { engine: { started: true, backend: 'threads', copies: '' } } as const;
    expect(await line('engine', { trials })).toMatchObject({ degraded: true });
    expect((await report({ trials })).ok).toBe(true);
  });

  it('it copies leases', async () => {
    const started = { started: true, backend: 'io_uring' } as const;
    const found = (copies: string) =>
      line('external-buffers', { trials: { engine: { ...started, copies } } });
    expect(await found('')).toMatchObject({ available: true, why: '' });
    expect(await found('forbidden here')).toMatchObject({
      available: false,
      needed: false,
      why: 'forbidden here',
      remedy: expect.stringContaining('Electron') as string,
    });
  });

  it.each([
    { started: true, backend: 'threads', copies: '' },
    { started: false, reason: 'no threads' },
  ] as const)('it runs on what the environment asks for, or not at all: %j', async (engine) => {
    const asked = (backend: string) =>
      line('engine', { trials: { engine }, around: { env: { RINGBOLT_BACKEND: backend } } });
    const { why, remedy } = await asked('threads');
    expect(why).toMatch(/^RINGBOLT_BACKEND=threads/);
    expect(remedy).toMatch('unset RINGBOLT_BACKEND');
    for (const nothing of ['', 'auto']) {
      expect((await asked(nothing)).why).not.toMatch('RINGBOLT_BACKEND');
    }
  });

  it.each([
    ['v18.20.0', false],
    ['v20.2.9', false],
    ['v20.3.0', true],
    ['v100.0.0', true],
    ['', false],
  ])('Node %j: %j', async (node, ok) => {
    expect((await report({ around: { node } })).ok).toBe(ok);
  });

  it.each([
    ['5.4.0', { available: false }],
    ['5.15.0-91-generic', { available: true, degraded: true }],
    ['6.1.0', { degraded: false }],
    ['garbage', { available: false }],
  ])('Linux %s: %j', async (kernel, expected) => {
    expect(await line('kernel', { around: { kernel } })).toMatchObject(expected);
  });
});

describe('native AIO', () => {
  it.each([
    [11, /fs\.aio-max-nr/],
    [38, /CONFIG_AIO/],
    [1, /seccomp profile/],
  ])('errno %i has a remedy', async (errno, remedy) => {
    const found = await line('aio', { native: { aio: failure(errno, 'io_setup') } });
    expect(found).toMatchObject({ available: false });
    expect(found.remedy).toMatch(remedy);
  });
});

describe('memory', () => {
  const limits = (bytes: string) => ({
    'proc/self/limits': `Limit   Soft   Hard   Units\nMax locked memory  ${bytes}  ${bytes}  bytes`,
  });

  it('little that may be locked is enough for few queues', async () => {
    const found = await line('memlock', { files: limits('65536') });
    expect(found).toMatchObject({ available: true, degraded: true, detail: '64 KiB' });
    expect(found.why).toMatch(/enough for 3 queues/);
    expect(found.remedy).toMatch(/LimitMEMLOCK=infinity/);
    expect(await line('memlock', { files: limits('8388608') })).toMatchObject({ degraded: false });
    expect((await line('memlock', { files: limits('garbage') })).detail).toMatch(/does not say/);
  });

  it('no transparent huge pages', async () => {
    const files = {
      'sys/kernel/mm/transparent_hugepage/enabled': 'always madvise [never]',
      'sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages': '16',
      'sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages': '3',
      'sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages': '0',
      'sys/kernel/mm/hugepages/hugepages-1048576kB/free_hugepages': '0',
    };
    const found = await line('huge-pages', { files });
    expect(found).toMatchObject({
      available: false,
      detail: 'transparent: never; hugetlb: 3 of 16 pages of 2 MiB free',
    });
    expect(found.remedy).toMatch(/^echo madvise > /);
  });

  it('a small container has a small pool', async () => {
    const files = {
      'proc/self/cgroup': '0::/',
      'sys/fs/cgroup/memory.max': `${256 * 2 ** 20}`,
    };
    expect(await line('memory-limit', { files })).toMatchObject({
      degraded: true,
      detail: '256 MiB',
      why: 'a pool takes an eighth by default: 32 MiB, less than 64 MiB',
    });
  });
});

describe('CPUs', () => {
  it('a cpuset is named as the reason for fewer', async () => {
    const files = {
      'sys/devices/system/cpu/online': '0-15',
      'proc/self/cgroup': '0::/pod',
      'sys/fs/cgroup/pod/cpuset.cpus.effective': '2-4',
    };
    const found = await line('cpus', { files, native: { cpus: [2, 3, 4] } });
    expect(found.detail).toBe('2-4 (3 of 16 online), limited by the cpuset of cgroup /pod');
    const alone = { ...GOOD, cpus: [5], cpusBound: [5] };
    const taskset = await line('cpus', {
      files: { 'sys/devices/system/cpu/online': '0-15' },
      native: alone,
    });
    expect(taskset).toMatchObject({ degraded: true });
    expect(taskset.detail).toMatch(/limited by affinity$/);
  });

  it('nodes, and those that queues are on', async () => {
    const folder = 'sys/devices/system/node';
    const nodes = { [`${folder}/node0/cpulist`]: '0-3', [`${folder}/node1/cpulist`]: '4-7' };
    const both = await line('numa', { files: nodes });
    expect(both.detail).toBe('2 nodes with CPUs: queues are spread over them');
    const status = { 'proc/self/status': 'Cpus_allowed_list:\t4-5' };
    const one = await line('numa', { files: { ...nodes, ...status } });
    expect(one.detail).toBe(
      '2 nodes with CPUs, queues on 1: the others have none that may be used',
    );
  });

  it('binding that fails, or does nothing', async () => {
    const refused = { affinity: failure(1, 'sched_setaffinity'), cpusBound: [0, 1] };
    expect(await line('pinning', { native: refused })).toMatchObject({ available: false });
    const ignored = await line('pinning', { native: { cpusBound: [0, 1] } });
    expect(ignored).toMatchObject({ available: true, degraded: true });
    expect(ignored.why).toMatch(/asked for CPU 0, a thread got 0-1/);
  });

  it('slow checksums say what the CPU lacks', async () => {
    const crcKernels = [
      { name: 'portable', whyNot: '' },
      { name: 'sse42', whyNot: 'no SSE4.2' },
    ];
    const simd = { crc: 'portable', crcKernels, xxh3: '', note: '' };
    const found = await line('simd', { native: { simd } });
    expect(found).toMatchObject({ degraded: true, detail: 'CRC: portable; XXH3: not built' });
    expect(found.why).toMatch(/sse42: no SSE4\.2/);
  });
});

describe('the system around', () => {
  it.each([
    [{ env: { KUBERNETES_SERVICE_HOST: '10.0.0.1' } }, {}, 'Kubernetes'],
    [{}, { '.dockerenv': '' }, 'Docker (/.dockerenv)'],
    [{}, { 'run/.containerenv': '' }, 'Podman (/run/.containerenv)'],
    [{}, { 'proc/self/cgroup': '0::/lxc/1' }, "its cgroup's name has 'lxc' in it"],
    [{}, { 'proc/self/cgroup': '0::/user.slice' }, undefined],
  ])('%j and %j: %j', async (around, files: Record<string, string>, expected) => {
    expect((await report({ around, files })).container).toBe(expected);
  });

  it('the switch of io_uring', async () => {
    const name = 'sysctl.io_uring_disabled';
    const at = (value: string) => ({ files: { 'proc/sys/kernel/io_uring_disabled': value } });
    expect(await line(name, at('2'))).toMatchObject({ available: false });
    expect(await line(name, at('1'))).toMatchObject({ degraded: true });
    expect(await line(name, at('many'))).toMatchObject({ available: true, degraded: false });
  });

  it('the addon: prebuilt or compiled', async () => {
    const at = (file: string) => line('addon', { trials: { addon: { ...COMPILED, file } } });
    expect((await at('prebuilds/linux-x64/ringbolt.glibc.node')).detail).toMatch(/^prebuilt \(/);
    expect((await at('../mine/ringbolt.node')).detail).toMatch(/^from outside of the package \(/);
    expect((await line('addon')).detail).toMatch(/^compiled on this machine \(/);
    const sanitized = { ...COMPILED, sanitizer: 'AddressSanitizer' };
    expect(await line('addon', { trials: { addon: sanitized } })).toMatchObject({
      degraded: true,
      why: 'made for tests (AddressSanitizer), and slow',
    });
  });
});

describe('a path', () => {
  const file = { ...FINE, direct: true, alignment: 512, remarks: '' };
  const on = async (
    name: string,
    machine: MachineDescription,
    native: Partial<NativeProbe> = {},
  ) => {
    const roots = buildMachine({ ...machine, nodes: [], online: '' }); // its CPUs are not asked for
    return {
      native: { file, ...native },
      trials: { path: name, storage: await readStorage(name, roots) },
    };
  };

  it('through all its layers, with their node, and a scheduler that ignores priorities', async () => {
    const what = await on('/srv/file', CRYPT_BELOW_LVM);
    expect((await line('path', what)).detail).toBe('file on ext4, mounted on /srv');
    expect((await line('device', what)).detail).toBe(
      'dm-1 on dm-0 on nvme1n1p2 on nvme1n1; node 1; blocks of 512 bytes; requests up to 1.3 MiB',
    );
    expect(await line('o_direct', what)).toMatchObject({
      detail: 'offsets and lengths in multiples of 512 bytes',
    });
    expect(await line('io-priority', what)).toMatchObject({
      available: false,
      detail: 'nvme1n1: none',
      why: 'the scheduler of nvme1n1 pays no heed to it',
      remedy: 'echo mq-deadline > /sys/block/nvme1n1/queue/scheduler',
    });
    expect((await report(what)).ok).toBe(true);
  });

  it('over several disks: priorities are honoured by all, some or none', async () => {
    const [first, second, mirror] = MIRROR.disks!;
    const scheduler = { scheduler: 'none [mq-deadline]' };
    const deadline = { ...first!, queue: scheduler };
    const bfq = { ...second!, queue: { scheduler: '[bfq] none' } };
    const disks = (...all: (typeof deadline)[]) => ({ ...MIRROR, disks: [...all, mirror!] });
    const judged = async (machine: MachineDescription) =>
      line('io-priority', await on('/dev/md127', machine));
    expect(await judged(disks(deadline, bfq))).toMatchObject({ available: true, degraded: false });
    expect(await judged(disks(deadline, second! as typeof deadline))).toMatchObject({
      degraded: true,
      why: 'the scheduler of nvme1n1 pays no heed to it',
    });
    expect(await judged(MIRROR)).toMatchObject({ available: false });
  });

  it('without a device: the reason', async () => {
    const what = await on('/app', container(2));
    expect((await line('device', what)).why).toMatch(/^overlay: .* cannot be seen from here/);
    expect((await line('o_direct', what)).why).toMatch(/^a folder is not read/);
    expect(await line('io-priority', what)).toMatchObject({ available: false });
    expect((await report(what)).ok).toBe(true);
  });

  it('that cannot be read: nothing is ok', async () => {
    const denied = { file: { ...failure(13, 'open'), direct: false, alignment: 1, remarks: '' } };
    const what = await on('/srv/file', SMALL, denied);
    expect((await line('path', what)).why).toMatch(/^open: EACCES/);
    expect((await report(what)).ok).toBe(false);
    const missing = { trials: { path: '/no', storage: 'ENOENT: no such file' } };
    expect(await line('path', missing)).toMatchObject({ available: false, needed: true });
    expect((await report(missing)).ok).toBe(false);
  });

  it('without direct I/O: what the file system said', async () => {
    const remarks = 'O_DIRECT: Invalid argument: not supported';
    const what = await on('/srv/file', SMALL, { file: { ...file, direct: false, remarks } });
    expect(await line('o_direct', what)).toMatchObject({ available: false, why: remarks });
    expect((await report(what)).ok).toBe(true);
  });
});

it('a machine of garbage is judged all the same', async () => {
  const files = Object.fromEntries(
    [
      ...['proc/self/status', 'proc/self/limits', 'proc/self/cgroup', 'proc/self/uid_map'],
      ...['proc/sys/kernel/io_uring_disabled', 'sys/devices/system/cpu/online'],
      ...['sys/kernel/mm/transparent_hugepage/enabled', 'sys/fs/cgroup/memory.max'],
      ...['sys/kernel/mm/hugepages/hugepages-kB/nr_hugepages'],
    ].map((name) => [name, '\u001b[2J[]:::-1 \0,'.repeat(5000)]),
  );
  const { features } = await report({ files, around: { kernel: '\0', node: '9'.repeat(1000) } });
  expect(features.length).toBeGreaterThan(15);
});
