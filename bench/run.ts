// A whole benchmark: target, plan, measurements, report. lib/cli/bench.ts calls it.
//
// This process only starts others and waits: whatever it did at the same time would be in the figures.

import fs from 'node:fs/promises';
import type { Children } from './children.js';
import { describeSurroundings, describeTarget, type Environment } from './environment.js';
import { fioArgs, fioVersion, measureFio, type FioTask } from './fio.js';
import { BenchError, type BenchOptions } from './options.js';
import type { FioPeer, NodePeer } from './peers.js';
import { defaultSeconds, makePlan, warmUpSeconds, type Plan, type Step } from './plan.js';
import type { Progress } from './progress.js';
import type { Measurement, Outcome, PrepareOutcome, Task } from './protocol.js';
import {
  compare,
  summarize,
  type BenchReport,
  type FinishedStep,
  type FioCommand,
} from './results.js';
import { acquireTarget, removeTarget, type Target } from './target.js';
import { warnAboutEnvironment, warnAboutResults } from './warnings.js';
import { writes } from './workloads.js';

/** For starting, stopping and one slow operation. */
const GRACE_SECONDS = 30;
/** 1 GiB at less than 10 MB/s is not worth waiting for. */
const PREPARE_TIMEOUT_SECONDS = 120;
const MS_PER_S = 1000;

/** Everything that is the same for all measurements. */
interface Setting {
  readonly children: Children;
  readonly target: Target;
  readonly direct: boolean;
  readonly seconds: number;
  readonly options: BenchOptions;
}

/**
 * Runs the benchmark. `children` are this run's processes: whoever is interrupted ends them and calls `process.exit`,
 * which removes the target.
 *
 * @throws BenchError if it cannot run as asked.
 */
export async function runBench(
  options: BenchOptions,
  children: Children,
  progress: Progress,
): Promise<BenchReport> {
  const fio = await fioVersion(children);
  const plan = makePlan(options, (peer) =>
    peer.kind === 'fio' && fio.status === 'failed' ? fio.error : undefined,
  );
  if (plan.steps.length === 0) throw new BenchError(nothingToDo(plan));

  const startedMs = performance.now();
  const surroundings = await describeSurroundings(); // before we load the machine ourselves
  const target = acquireTarget(options);
  // However the process ends, even by an error of our own: what we made goes.
  const remove = () => {
    removeTarget(target);
  };
  process.once('exit', remove);
  try {
    const prepared = await prepareTarget(children, target, options, progress);
    const spentSeconds = (performance.now() - startedMs) / MS_PER_S;
    const { direct } = prepared;
    const seconds =
      options.seconds ?? defaultSeconds(plan.steps.length, options.full, spentSeconds);
    const setting: Setting = { children, target, direct, seconds, options };
    const environment: Environment = {
      ...surroundings,
      fioVersion: usesFio(plan) && fio.status === 'ok' ? fio.value : null,
      nativeBuild: prepared.nativeBuild,
      target: describeTarget(target, direct),
      secondsPerMeasurement: seconds,
      warmUpSeconds: warmUpSeconds(seconds),
      rounds: options.rounds,
      seed: options.seed,
    };
    const warnings = warnAboutEnvironment(environment, target.path, prepared.remarks);
    const finished = await runSteps(plan, setting, progress);
    return makeReport(plan, setting, finished, environment, warnings);
  } finally {
    progress.end();
    process.off('exit', remove);
    remove();
  }
}

function usesFio(plan: Plan): boolean {
  return plan.steps.some(({ peer }) => peer.kind === 'fio');
}

function nothingToDo({ skipped }: Plan): string {
  const [first] = skipped;
  return first === undefined
    ? 'None of these peers can run these workloads: no-ops are for ringbolt alone, ' +
        'and ringbolt-leases and ringbolt-batch only stream'
    : `Nothing is left to measure: ${first.peer}: ${first.reason}`;
}

async function prepareTarget(
  children: Children,
  target: Target,
  options: BenchOptions,
  progress: Progress,
): Promise<PrepareOutcome> {
  if (target.owned) progress.show(`preparing ${target.sizeBytes / 2 ** 20} MiB of random bytes`);
  const task: Task = {
    kind: 'prepare',
    path: target.path,
    fillBytes: target.owned ? target.sizeBytes : undefined,
    direct: options.direct,
  };
  const outcome = await children.runTask<PrepareOutcome>(task, {}, PREPARE_TIMEOUT_SECONDS);
  if (outcome.status === 'failed') {
    throw new BenchError(`The target cannot be used: ${outcome.error}`);
  }
  const { blockBytes } = outcome.value;
  const odd = options.workloads.find((workload) => workload.blockBytes % blockBytes !== 0);
  if (odd !== undefined) {
    throw new BenchError(
      `${odd.name} transfers ${odd.blockBytes} bytes at a time, ` +
        `but the target wants multiples of ${blockBytes}; --direct off lifts that`,
    );
  }
  return outcome.value;
}

async function runSteps(
  plan: Plan,
  setting: Setting,
  progress: Progress,
): Promise<readonly FinishedStep[]> {
  const finished: FinishedStep[] = [];
  const startedMs = performance.now();
  for (const [index, step] of plan.steps.entries()) {
    progress.show(describeStep(plan, index, step, performance.now() - startedMs));
    const outcome = await measure(setting, step);
    if (writes(step.comparison.workload)) await settle(setting.target);
    finished.push({ step, outcome });
  }
  return finished;
}

function describeStep(plan: Plan, index: number, step: Step, elapsedMs: number): string {
  const total = plan.steps.length;
  const { workload } = step.comparison;
  const leftSeconds = ((elapsedMs / MS_PER_S) * (total - index)) / index;
  const left = index === 0 ? '' : `, ${leftSeconds.toFixed(0)} s left`;
  return `[${index + 1}/${total}] round ${step.round + 1}: ${workload.name}, ${step.peer.name}${left}`;
}

/** What was written reaches the disk now and not during the next measurement. */
async function settle(target: Target): Promise<void> {
  const file = await fs.open(target.path, 'r');
  try {
    await file.datasync();
  } finally {
    await file.close();
  }
}

function measure(setting: Setting, step: Step): Promise<Outcome<Measurement>> {
  const { children, seconds } = setting;
  const timeoutSeconds = seconds + warmUpSeconds(seconds) + GRACE_SECONDS;
  if (step.peer.kind === 'fio') {
    return measureFio(children, fioTask(setting, step, step.peer), timeoutSeconds);
  }
  const task = nodeTask(setting, step, step.peer);
  return children.runTask<Measurement>(task, step.peer.env, timeoutSeconds);
}

function timing({ seconds, options }: Setting, { round, comparison }: Step) {
  // The same for all peers of a round, another in each round.
  const seed = options.seed + round;
  return { seconds, warmUpSeconds: warmUpSeconds(seconds), depth: comparison.depth, seed };
}

function nodeTask(setting: Setting, step: Step, peer: NodePeer): Task {
  const { queues } = setting.options;
  const { workload } = step.comparison;
  const { path, sizeBytes } = setting.target;
  const { direct } = setting;
  const timed = timing(setting, step);
  if (workload.kind === 'noop') return { kind: 'noop', workload, queues, ...timed };
  const { api, checksum } = peer;
  if (workload.kind === 'stream') {
    return { kind: 'stream', api, workload, path, sizeBytes, direct, queues, ...timed };
  }
  if (api === 'leases' || api === 'batch') throw new Error(`${peer.name} only streams`);
  return { kind: 'io', api, checksum, workload, path, sizeBytes, direct, queues, ...timed };
}

function fioTask(setting: Setting, step: Step, peer: FioPeer): FioTask {
  const { workload } = step.comparison;
  if (workload.kind !== 'io') throw new Error(`fio has no ${workload.kind}`);
  const { path, sizeBytes } = setting.target;
  return { peer, workload, path, sizeBytes, direct: setting.direct, ...timing(setting, step) };
}

function makeReport(
  plan: Plan,
  setting: Setting,
  finished: readonly FinishedStep[],
  environment: Environment,
  warnings: readonly string[],
): BenchReport {
  const results = summarize(plan.comparisons, finished);
  return {
    schema: 3,
    environment,
    engine: engineInfo(finished),
    results,
    ratios: compare(results, environment.seed),
    skipped: plan.skipped,
    commands: fioCommands(plan, setting),
    warnings: [...warnings, ...warnAboutResults(plan, results)],
  };
}

function engineInfo(finished: readonly FinishedStep[]): unknown {
  for (const { step, outcome } of finished) {
    if (step.peer.name === 'ringbolt' && outcome.status === 'ok') return outcome.value.engine;
  }
  return null;
}

/** As they were run in the first round; later ones differ in the seed. */
function fioCommands(plan: Plan, setting: Setting): readonly FioCommand[] {
  return plan.steps.flatMap((step) => {
    const { peer, round, comparison } = step;
    if (peer.kind !== 'fio' || round > 0) return [];
    const command = ['fio', ...fioArgs(fioTask(setting, step, peer))].join(' ');
    return [{ workload: comparison.workload.name, peer: peer.name, command }];
  });
}
