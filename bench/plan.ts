// Which measurements are made, in which order, and how long each takes.
//
// The order is what makes figures comparable (statistics.ts): in each round every workload is run by its peers one right
// after the other, and each round begins with another peer, so that none always follows the same one. Workloads that
// only read come first, because writes can keep a disk busy after they are done.

import type { BenchOptions } from './options.js';
import { PEERS, supports, type Peer } from './peers.js';
import { writes, type Workload } from './workloads.js';

/** One workload, and who runs it. */
export interface Comparison {
  readonly workload: Workload;
  readonly depth: number;
  readonly peers: readonly Peer[];
}

/** A comparison that is not made, in whole or in part. */
export interface Skipped {
  readonly workload: string;
  readonly peer: string;
  readonly reason: string;
}

/** One run of one peer. */
export interface Step {
  readonly round: number;
  readonly comparison: Comparison;
  readonly peer: Peer;
}

export interface Plan {
  readonly comparisons: readonly Comparison[];
  readonly skipped: readonly Skipped[];
  readonly steps: readonly Step[];
}

type PlanOptions = Pick<BenchOptions, 'workloads' | 'peers' | 'full' | 'rounds' | 'depth'>;

/** `unavailable` says why a peer cannot run here. */
export function makePlan(
  options: PlanOptions,
  unavailable: (peer: Peer) => string | undefined,
): Plan {
  const comparisons: Comparison[] = [];
  const skipped: Skipped[] = [];
  for (const workload of options.workloads) {
    const peers: Peer[] = [];
    for (const peer of peersFor(workload, options)) {
      const reason = unavailable(peer);
      if (reason === undefined) peers.push(peer);
      else skipped.push({ workload: workload.name, peer: peer.name, reason });
    }
    const depth = options.depth ?? workload.depth;
    if (peers.length > 0) comparisons.push({ workload, depth, peers });
  }
  return { comparisons, skipped, steps: order(comparisons, options.rounds) };
}

function peersFor(workload: Workload, { peers, full }: PlanOptions): readonly Peer[] {
  const wanted =
    peers ??
    PEERS.filter(({ name, byDefault, onlyByName }) =>
      full ? onlyByName !== true : byDefault || name === 'ringbolt',
    );
  const compared = peers !== undefined || full || workload.main;
  return wanted.filter(
    (peer) => supports(peer, workload) && (compared || peer.name === 'ringbolt'),
  );
}

function order(comparisons: readonly Comparison[], rounds: number): readonly Step[] {
  const readsFirst = [
    ...comparisons.filter(({ workload }) => !writes(workload)),
    ...comparisons.filter(({ workload }) => writes(workload)),
  ];
  const steps: Step[] = [];
  for (let round = 0; round < rounds; round++) {
    for (const comparison of readsFirst) {
      const { peers } = comparison;
      const first = round % peers.length;
      for (const peer of [...peers.slice(first), ...peers.slice(0, first)]) {
        steps.push({ round, comparison, peer });
      }
    }
  }
  return steps;
}

const WARM_UP_SHARE = 0.2;
const WARM_UP_LEAST_SECONDS = 0.2;

export function warmUpSeconds(seconds: number): number {
  return Math.max(WARM_UP_SHARE * seconds, WARM_UP_LEAST_SECONDS);
}

/** A default run ends within two minutes; this much of them is for the file and the measurements. */
const BUDGET_SECONDS = 108;
/** Starting and ending a process around a measurement; seen: 0.2 s for Node, 0.35 s for fio. */
const START_SECONDS = 0.45;
const SHORTEST_SECONDS = 0.3;
const LONGEST_SECONDS = 1.5;
/** `--full` is for those who have the time. */
const FULL_SECONDS = 3;

/** How long to measure when nobody said. `spentSeconds` have gone into preparing the target. */
export function defaultSeconds(steps: number, full: boolean, spentSeconds: number): number {
  if (full) return FULL_SECONDS;
  const each = (BUDGET_SECONDS - spentSeconds) / Math.max(steps, 1) - START_SECONDS;
  // The share that is left of `each` after its warm-up, in steps of 0.1 s.
  const seconds = Math.floor((each / (1 + WARM_UP_SHARE)) * 10) / 10;
  return Math.min(Math.max(seconds, SHORTEST_SECONDS), LONGEST_SECONDS);
}
