// The ring that the event loop polls itself, beside those of the queues' threads: whether it can be had, and why not.

import { systemErrorReason } from '../errors.js';
import type { NativeEngine, NativeInfo } from '../native.js';
import { LOOP_RING } from './features.js';
import type { FeatureInfo } from './info.js';
import type { ResolvedEngineOptions } from './options.js';

/** Makes it, on an engine that has started. It is a matter of speed alone: without it, all goes to the queues. */
export function startLoopRing(
  native: NativeEngine,
  got: NativeInfo,
  options: Pick<ResolvedEngineOptions, 'faults'>,
  without: readonly string[],
): FeatureInfo {
  const reason = obstacle(got, options, without);
  if (reason !== '') return { name: LOOP_RING, active: false, reason };
  const failure = native.startDriven();
  const active = failure.errno === 0;
  return { name: LOOP_RING, active, reason: active ? '' : systemErrorReason(failure) };
}

function obstacle(
  got: NativeInfo,
  { faults }: Pick<ResolvedEngineOptions, 'faults'>,
  without: readonly string[],
): string {
  if (without.includes(LOOP_RING)) return 'disabled by request';
  const { backend } = got.queues[0]!;
  if (backend !== 'io_uring') return `an event loop cannot poll the backend ${backend}`;
  return faults === undefined ? '' : 'faults are injected into the queues';
}
