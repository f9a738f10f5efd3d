// Faults on purpose, for tests: errors, short transfers, late and lost answers, injected natively between a queue and its
// backend (native/io/faulty_backend.h).
//
// The key is a symbol that the package does not export: no environment variable, no configuration file and no misspelt
// option can switch this on in a service. Where it is on, a warning and `engine.info.remarks` say so.

import { checkInteger, checkOptions, invalidType, outOfRange } from '../validate.js';
import type { EngineOptions } from './options.js';

const FAULTS = Symbol('ringbolt.faults');

/** Rates are shares of all operations, 0 to 1. Default: 0. */
export interface FaultPlan {
  /** The same seed and order of operations gives the same faults. 1 to 2^53 - 1. */
  readonly seed: number;
  readonly eintr?: number;
  readonly eagain?: number;
  /** Half of them after the operation was done all the same. */
  readonly eio?: number;
  /** Of writes and flushes, as `erofs`. */
  readonly enospc?: number;
  readonly erofs?: number;
  readonly shortTransfers?: number;
  /** Completions that come late, so that others overtake them. */
  readonly delays?: number;
  readonly lostCancels?: number;
}

const RATES = [
  'eintr',
  'eagain',
  'eio',
  'enospc',
  'erofs',
  'shortTransfers',
  'delays',
  'lostCancels',
] as const;

/** As native code wants it: operations in a million. */
export type NativeFaultPlan = Readonly<Record<'seed' | (typeof RATES)[number], number>>;

export function withFaults(options: EngineOptions, plan: FaultPlan): EngineOptions {
  const marked: EngineOptions & { [FAULTS]: FaultPlan } = { ...options, [FAULTS]: plan };
  return marked;
}

/** @throws TypeError, RangeError with Node's codes */
export function faultsOf(options: EngineOptions): NativeFaultPlan | undefined {
  const { [FAULTS]: plan } = options as { readonly [FAULTS]?: FaultPlan };
  if (plan === undefined) return undefined;
  checkOptions('faults', plan, ['seed', ...RATES]);
  checkInteger('faults.seed', plan.seed, 1);
  const rates = RATES.map((name) => {
    const rate: unknown = plan[name] ?? 0;
    if (typeof rate !== 'number') throw invalidType(`faults.${name}`, 'of type number', rate);
    if (!(rate >= 0 && rate <= 1)) throw outOfRange(`faults.${name}`, '>= 0 and <= 1', rate);
    return [name, Math.round(rate * 1e6)] as const;
  });
  return { seed: plan.seed, ...Object.fromEntries(rates) } as NativeFaultPlan;
}

/** Said aloud where it is on. */
export function faultsRemark(plan: NativeFaultPlan): string {
  const rates = RATES.filter((name) => plan[name] > 0).map((name) => `${name}=${plan[name] / 1e6}`);
  return `faults are injected: seed=${plan.seed} ${rates.join(' ')}`;
}
