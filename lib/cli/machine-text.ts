// A machine as a picture: a box for each node with its CPUs and caches, and under it the disks that are attached to it.

import type { BlockDevice } from '../topology/block-devices.js';
import { formatCpuList, intersectCpus } from '../topology/cpu-list.js';
import type { CpuCache, Machine, NumaNode } from '../topology/machine.js';
import { nodesForQueues } from '../topology/placement.js';
import { formatBytes } from '../probe/report.js';
import { describeDevice } from './storage-text.js';
import { printable, wrap } from './text.js';

const WIDTH = 76;
const LABEL_WIDTH = 11;
/** Of one row. */
const MAX_LINES = 8;
const MAX_DISKS = 64;

export function formatMachine(machine: Machine, disks: readonly BlockDevice[]): string {
  // What lies on other devices is shown apart, with what it lies on.
  const hardware = disks.filter(({ below }) => below.length === 0);
  const stacked = disks.filter(({ below }) => below.length > 0);
  const homeless = hardware.filter((disk) => homeOf(disk, machine.nodes) === undefined);
  return [
    ...describeMachine(machine),
    '',
    ...machine.nodes.flatMap((node) => [
      ...box(`node ${node.node}`, describeNode(node, machine)),
      ...branches(hardware.filter((disk) => homeOf(disk, machine.nodes) === node.node)),
      '',
    ]),
    ...section('disks of no known node', homeless),
    ...section('devices on other devices', stacked),
  ].join('\n');
}

function describeMachine(machine: Machine): readonly string[] {
  const { nodes, online, offline, isolated, cores, allowed, cpuset } = machine;
  const threads = Math.max(1, ...cores.map(({ cpus }) => cpus.length));
  const list = (label: string, cpus: readonly number[]) =>
    cpus.length === 0 ? [] : row(label, formatCpuList(cpus));
  const counts = [
    count(nodes.length, 'node'),
    count(cores.length, 'core'),
    count(online.length, 'CPU'),
    threads > 1 ? `${threads} threads a core` : 'no SMT',
  ];
  const by =
    cpuset !== undefined && cpuset.cpus.length < online.length
      ? ` (cpuset of cgroup ${printable(cpuset.group)})`
      : '';
  return [
    counts.join(', '),
    ...(allowed.length < online.length ? row('allowed', `${formatCpuList(allowed)}${by}`) : []),
    ...list('offline', offline),
    ...list('isolated', isolated),
  ];
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}

function describeNode(node: NumaNode, machine: Machine): readonly string[] {
  const { cpus, memoryBytes, distances } = node;
  const allowed = intersectCpus(cpus, machine.allowed);
  const isolated = intersectCpus(cpus, machine.isolated);
  const queues = nodesForQueues(machine).find((each) => each.node === node.node)?.cpus ?? [];
  const listed = (list: readonly number[]) => (list.length === 0 ? 'none' : formatCpuList(list));
  return [
    ...(memoryBytes === undefined ? [] : row('memory', describeMemory(node, machine))),
    ...row('CPUs', listed(cpus)),
    ...(allowed.length < cpus.length ? row('allowed', listed(allowed)) : []),
    ...(isolated.length > 0 ? row('isolated', listed(isolated)) : []),
    ...(queues.length < allowed.length ? row('queues on', listed(queues)) : []),
    ...describeCores(cpus, machine),
    ...describeCaches(cpus, machine.caches),
    ...(distances.length > 1 ? row('distances', distances.join(' ')) : []),
  ];
}

function describeMemory({ node, memoryBytes = 0 }: NumaNode, { memoryNodes }: Machine): string {
  if (memoryBytes === 0) return 'none';
  const allowed = memoryNodes?.includes(node) ?? true;
  return `${formatBytes(memoryBytes)}${allowed ? '' : ' (not allowed)'}`;
}

/** A label and what belongs to it, cut where it would fill the screen. */
function row(label: string, text: string): readonly string[] {
  // CPU lists have no blanks to break them at.
  const lines = wrap(text.replaceAll(',', ', '), WIDTH - LABEL_WIDTH);
  const shown = lines.slice(0, MAX_LINES);
  if (lines.length > MAX_LINES) shown.push(`and ${lines.length - MAX_LINES} more lines`);
  return shown.map((line, index) => (index === 0 ? label : '').padEnd(LABEL_WIDTH) + line);
}

/** Which CPUs share a core; nothing where none do. */
function describeCores(cpus: readonly number[], { cores }: Machine): readonly string[] {
  const here = new Set(cpus);
  const mine = cores.filter((core) => here.has(core.cpus[0]!));
  if (mine.every((core) => core.cpus.length === 1)) return [];
  return row('cores', mine.map((core) => core.cpus.join('+')).join(' '));
}

/** The caches that are alike in one row: `L2 1 MiB × 4`. Who shares the last ones is worth telling. */
function describeCaches(cpus: readonly number[], caches: readonly CpuCache[]): readonly string[] {
  const here = new Set(cpus);
  const kinds = new Map<string, { readonly label: string; readonly alike: CpuCache[] }>();
  for (const cache of caches.filter((each) => here.has(each.cpus[0]!))) {
    const { level, type, bytes } = cache;
    const label = `L${level}${{ data: 'd', instruction: 'i', unified: '' }[type]}`;
    const key = `${label} ${bytes ?? ''}`;
    const kind = kinds.get(key);
    if (kind === undefined) kinds.set(key, { label, alike: [cache] });
    else kind.alike.push(cache);
  }
  return [...kinds.values()].flatMap(({ label, alike }) => {
    const bytes = alike[0]!.bytes;
    const shared = alike.some((cache) => cache.level >= 3 && cache.cpus.length < cpus.length);
    const sharers = alike.map((cache) => formatCpuList(cache.cpus)).join(' | ');
    const size = bytes === undefined ? '' : `${formatBytes(bytes)} `;
    return row(label, `${size}× ${alike.length}${shared ? ` (${sharers})` : ''}`);
  });
}

function box(title: string, rows: readonly string[]): readonly string[] {
  const width = Math.max(title.length + 4, ...rows.map((row) => row.length + 2));
  return [
    `┌─ ${title} ${'─'.repeat(width - title.length - 3)}┐`,
    ...rows.map((row) => `│ ${row.padEnd(width - 2)} │`),
    `└${'─'.repeat(width)}┘`,
  ];
}

function branches(disks: readonly BlockDevice[]): readonly string[] {
  const shown = disks.slice(0, MAX_DISKS).map(describeDevice);
  if (disks.length > MAX_DISKS) shown.push(`and ${disks.length - MAX_DISKS} more`);
  return shown.map((text, index) => `   ${index === shown.length - 1 ? '└' : '├'}─ ${text}`);
}

function section(title: string, disks: readonly BlockDevice[]): readonly string[] {
  if (disks.length === 0) return [];
  const lines = disks.slice(0, MAX_DISKS).map((disk) => {
    const below = disk.below.map(({ name }) => name).slice(0, 8);
    return `   ${describeDevice(disk)}${below.length === 0 ? '' : `, on ${below.join(', ')}`}`;
  });
  const more = disks.length > MAX_DISKS ? [`   and ${disks.length - MAX_DISKS} more`] : [];
  return [title, ...lines.map(printable), ...more, ''];
}

/** The node to draw a disk under: on a machine of one node there is no other. */
function homeOf({ nodes, kind }: BlockDevice, all: readonly NumaNode[]): number | undefined {
  const [first] = nodes;
  if (first !== undefined && all.some(({ node }) => node === first)) return first;
  return all.length === 1 && kind === 'disk' ? all[0]!.node : undefined;
}
