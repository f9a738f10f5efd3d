// `--list`: what can be asked for, and what of it cannot be had here.

import { columns } from './columns.js';
import type { Outcome } from './protocol.js';
import { PEERS, type Peer } from './peers.js';
import { WORKLOADS, type Workload } from './workloads.js';

/** `fio`: its version, or why it is missing. */
export function formatList(fio: Outcome<string>): string {
  const workloads = WORKLOADS.map((workload) => [
    `  ${workload.name}`,
    describeWorkload(workload),
    workload.main ? 'compared by default' : '',
  ]);
  const peers = PEERS.map((peer) => [`  ${peer.name}`, describePeer(peer, fio)]);
  return `Workloads\n${columns(workloads)}\n\nPeers\n${columns(peers)}\n`;
}

function describeWorkload(workload: Workload): string {
  const { depth } = workload;
  if (workload.kind === 'noop') return `no-ops in ${workload.mode}, ${depth} in flight`;
  const { pattern, readPercent, blockBytes } = workload;
  if (workload.kind === 'stream') {
    const verb = readPercent === 100 ? 'reads' : 'writes';
    return `a stream that ${verb} ${blockBytes / 1024} KiB at a time, ${depth} in flight`;
  }
  const what =
    readPercent === 100
      ? 'reads'
      : readPercent === 0
        ? 'writes'
        : `reads (${readPercent} %) and writes`;
  return `${pattern} ${what} of ${blockBytes / 1024} KiB, ${depth} in flight`;
}

function describePeer(peer: Peer, fio: Outcome<string>): string {
  if (peer.kind === 'node') return peer.description;
  return `${peer.description} (${fio.status === 'ok' ? fio.value : fio.error})`;
}
