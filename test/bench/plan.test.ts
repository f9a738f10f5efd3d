// Shows who is compared with whom, in which order, and that a default run keeps to its two minutes.

import { describe, expect, it } from 'vitest';
import { PEERS, type Peer, type PeerName } from '../../dist/bench/peers.js';
import { defaultSeconds, makePlan, warmUpSeconds } from '../../dist/bench/plan.js';
import { WORKLOADS } from '../../dist/bench/workloads.js';

const everybody = () => undefined;
const base = {
  workloads: WORKLOADS,
  peers: undefined,
  full: false,
  rounds: 3,
  depth: undefined,
};

const peersNamed = (...names: PeerName[]) => PEERS.filter(({ name }) => names.includes(name));
const namesOf = (peers: readonly Peer[]) => peers.map(({ name }) => name);

function peersOf(plan: ReturnType<typeof makePlan>, workload: string): readonly string[] {
  const comparison = plan.comparisons.find((one) => one.workload.name === workload);
  return namesOf(comparison?.peers ?? []);
}

describe('makePlan', () => {
  it('compares the main workloads, and runs the others with ringbolt alone', () => {
    const plan = makePlan(base, everybody);
    expect(plan.comparisons).toHaveLength(WORKLOADS.length);
    for (const main of ['seq-read-1m-qd16', 'rand-read-4k-qd1', 'rand-read-4k-qd128']) {
      expect(peersOf(plan, main)).toEqual(['ringbolt', 'node-fs', 'fio']);
    }
    expect(peersOf(plan, 'rand-write-4k-qd128')).toEqual(['ringbolt']);
    expect(plan.steps).toHaveLength(3 * (WORKLOADS.length + 3 * 2));
  });

  it('runs everybody on everything with full, but no-ops with ringbolt only', () => {
    const plan = makePlan({ ...base, full: true }, everybody);
    const streamOnly: readonly string[] = ['ringbolt-leases', 'ringbolt-batch'];
    const transferring = PEERS.filter(
      ({ name, onlyByName }) => onlyByName !== true && !streamOnly.includes(name),
    );
    expect(peersOf(plan, 'rand-mix-16k-qd32')).toEqual(namesOf(transferring));
    expect(peersOf(plan, 'seq-stream-read-256k-qd16')).toEqual([
      ...['ringbolt', 'node-fs', 'node-fs-128', 'ringbolt-leases', 'ringbolt-batch'],
    ]);
    expect(peersOf(plan, 'seq-stream-write-256k-qd16')).not.toContain('ringbolt-leases');
    expect(peersOf(plan, 'noop-batches-qd128')).toEqual(['ringbolt']);
  });

  it('runs chosen peers on every chosen workload', () => {
    const peers = peersNamed('ringbolt', 'node-fs-128');
    const plan = makePlan({ ...base, peers }, everybody);
    expect(peersOf(plan, 'rand-write-4k-qd1')).toEqual(['ringbolt', 'node-fs-128']);
  });

  it('reads into new Buffers where that is asked for by name, and does nothing else with them', () => {
    const peers = peersNamed('ringbolt-buffers', 'ringbolt');
    const plan = makePlan({ ...base, peers }, everybody);
    const names = ['ringbolt', 'ringbolt-buffers'];
    for (const workload of ['rand-read-4k-qd128', 'rand-read-128k-qd32']) {
      expect([...peersOf(plan, workload)].sort()).toEqual(names);
    }
    for (const workload of [
      'rand-mix-16k-qd32',
      'seq-stream-read-256k-qd16',
      'seq-write-1m-qd16',
    ]) {
      expect(peersOf(plan, workload)).toEqual(['ringbolt']);
    }
  });

  it('runs ringbolt with checksums where that is asked for by name', () => {
    const peers = peersNamed('ringbolt', 'ringbolt-crc32c', 'ringbolt-xxh3');
    const plan = makePlan({ ...base, peers }, everybody);
    expect(peersOf(plan, 'seq-read-128k-qd32')).toEqual(namesOf(peers));
    expect(peersOf(plan, 'noop-promises-qd128')).toEqual(['ringbolt']);
  });

  it('says why a peer is left out', () => {
    const plan = makePlan(base, (peer) => (peer.kind === 'fio' ? 'not here' : undefined));
    expect(peersOf(plan, 'rand-read-4k-qd1')).toEqual(['ringbolt', 'node-fs']);
    expect(plan.skipped).toContainEqual({
      workload: 'rand-read-4k-qd1',
      peer: 'fio',
      reason: 'not here',
    });
  });

  it('puts the peers of a workload side by side, and another one first in each round', () => {
    const workloads = WORKLOADS.filter(({ name }) => name === 'rand-read-4k-qd1');
    const { steps } = makePlan({ ...base, workloads }, everybody);
    const rounds = [0, 1, 2].map((round) =>
      namesOf(steps.filter((step) => step.round === round).map(({ peer }) => peer)),
    );
    expect(rounds).toEqual([
      ['ringbolt', 'node-fs', 'fio'],
      ['node-fs', 'fio', 'ringbolt'],
      ['fio', 'ringbolt', 'node-fs'],
    ]);
  });

  it('makes what only reads come before what writes', () => {
    const { steps } = makePlan(base, everybody);
    const firstRound = steps.filter(({ round }) => round === 0);
    const kinds = firstRound.map(({ comparison }) => /write|mix/.test(comparison.workload.name));
    expect(kinds).toEqual(kinds.toSorted((a, b) => Number(a) - Number(b)));
  });

  it("takes a depth in place of every workload's own", () => {
    const plan = makePlan({ ...base, depth: 7 }, everybody);
    expect(plan.comparisons.every(({ depth }) => depth === 7)).toBe(true);
  });
});

describe('defaultSeconds', () => {
  const steps = makePlan(base, everybody).steps.length;

  it.each([0, 3, 20, 60])(
    'keeps a default run under two minutes after %d s of preparing',
    (spent) => {
      const seconds = defaultSeconds(steps, false, spent);
      // Half a second is more than starting a process takes.
      expect(spent + steps * (seconds + warmUpSeconds(seconds) + 0.45)).toBeLessThan(120);
      expect(seconds).toBeGreaterThanOrEqual(0.3);
    },
  );

  it('does not stretch a few measurements over the whole budget', () => {
    expect(defaultSeconds(3, false, 0)).toBeLessThanOrEqual(2);
  });
});
