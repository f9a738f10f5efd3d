// Who is measured beside ringbolt, and how each is started.
//
// All of them get the same target, pattern, depth and number of seconds. What differs is stated here.

import type { ChecksumName } from '../lib/index.js';
import { writes, type Workload } from './workloads.js';

export type PeerName =
  | 'ringbolt'
  | `ringbolt-${ChecksumName}`
  | 'ringbolt-buffers'
  | 'ringbolt-leases'
  | 'ringbolt-batch'
  | 'ringbolt-aio'
  | 'ringbolt-threads'
  | 'node-fs'
  | 'node-fs-128'
  | 'fio'
  | 'fio-tuned';

interface PeerBase {
  readonly name: PeerName;
  readonly description: string;
  /** Compared on the main workloads when nothing was chosen. */
  readonly byDefault: boolean;
  /** Measured by those who name it, not even with `--full`: it answers a question of its own. */
  readonly onlyByName?: boolean;
}

/** The last two stream only; `buffers` never does. */
export type NodeApi = 'ringbolt' | 'buffers' | 'node-fs' | 'leases' | 'batch';

/** Runs in a Node process of its own (worker.ts). */
export interface NodePeer extends PeerBase {
  readonly kind: 'node';
  readonly api: NodeApi;
  /** Of every 4 KiB that is read or written; ringbolt only. */
  readonly checksum?: ChecksumName;
  /** Added to the environment of that process. */
  readonly env: Readonly<Record<string, string>>;
}

export interface FioPeer extends PeerBase {
  readonly kind: 'fio';
  readonly extraArgs: readonly string[];
  /** Whether that command line leaves fio measuring latencies. */
  readonly latencies: boolean;
}

export type Peer = NodePeer | FioPeer;

function withChecksums(checksum: ChecksumName, algorithm: string): NodePeer {
  return {
    kind: 'node',
    name: `ringbolt-${checksum}`,
    description: `ringbolt with ${algorithm} of every 4 KiB`,
    byDefault: false,
    onlyByName: true,
    api: 'ringbolt',
    checksum,
    env: {},
  };
}

export const PEERS: readonly Peer[] = [
  {
    kind: 'node',
    name: 'ringbolt',
    description: 'a promise an operation, buffers leased from the pool',
    byDefault: true,
    api: 'ringbolt',
    env: {},
  },
  withChecksums('crc32c', 'CRC-32C'),
  withChecksums('crc64nvme', 'CRC-64/NVME'),
  withChecksums('xxh3', 'XXH3'),
  {
    kind: 'node',
    name: 'ringbolt-buffers',
    description: 'reads only: ringbolt with a new Buffer for each read, in place of a lease',
    byDefault: false,
    onlyByName: true,
    api: 'buffers',
    env: {},
  },
  // Fallbacks, for machines that forbid io_uring: named, so that they run where it is there too.
  {
    kind: 'node',
    name: 'ringbolt-aio',
    description: 'the same over Linux native AIO',
    byDefault: false,
    api: 'ringbolt',
    env: { RINGBOLT_BACKEND: 'aio' },
  },
  {
    kind: 'node',
    name: 'ringbolt-threads',
    description: 'the same over blocking calls on threads of its own',
    byDefault: false,
    api: 'ringbolt',
    env: { RINGBOLT_BACKEND: 'threads' },
  },
  {
    kind: 'node',
    name: 'node-fs',
    description: 'fs.read and fs.write with callbacks, the default pool of 4 threads',
    byDefault: true,
    api: 'node-fs',
    // Said, because the environment of whoever starts the benchmark may say otherwise.
    env: { UV_THREADPOOL_SIZE: '4', UV_USE_IO_URING: '0' },
  },
  {
    kind: 'node',
    name: 'node-fs-128',
    description: 'the same with UV_THREADPOOL_SIZE=128',
    byDefault: false,
    api: 'node-fs',
    env: { UV_THREADPOOL_SIZE: '128', UV_USE_IO_URING: '0' },
  },
  {
    kind: 'fio',
    name: 'fio',
    description: 'fio --ioengine=io_uring, one job',
    byDefault: true,
    extraArgs: [],
    latencies: true,
  },
  {
    kind: 'fio',
    name: 'fio-tuned',
    description: 'the same with registered buffers and files, and without most clock readings',
    byDefault: false,
    extraArgs: ['--fixedbufs', '--registerfiles', '--gtod_reduce=1'],
    latencies: false,
  },
  {
    kind: 'node',
    name: 'ringbolt-leases',
    description: 'streams only: file.leases(), without a copy',
    byDefault: true,
    api: 'leases',
    env: {},
  },
  {
    kind: 'node',
    name: 'ringbolt-batch',
    description: 'streams only: readBatch and writeBatch, two batches at a time',
    byDefault: true,
    api: 'batch',
    env: {},
  },
];

export const PEER_NAMES: readonly PeerName[] = PEERS.map(({ name }) => name);

/** Whether a peer can run a workload at all. */
export function supports(peer: Peer, workload: Workload): boolean {
  const api = peer.kind === 'node' ? peer.api : undefined;
  switch (workload.kind) {
    case 'noop':
      return peer.name === 'ringbolt';
    case 'io':
      if (api === 'buffers') return !writes(workload);
      return api !== 'leases' && api !== 'batch';
    case 'stream':
      // What backends and checksums cost is asked of single operations.
      if (api === 'buffers') return false;
      if (api === 'ringbolt' && peer.name !== 'ringbolt') return false;
      return api !== undefined && !(api === 'leases' && writes(workload));
  }
}
