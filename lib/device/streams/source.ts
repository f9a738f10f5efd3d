// What streams need of whatever they read from and write to. A stream knows nothing else of its target, so that every
// BlockTarget has streams.

import { RingboltError } from '../../errors.js';
import type { BufferPool } from '../../memory/pool.js';
import type { IoClass } from '../../schedule/operation.js';
import type { TurnBudget } from '../../schedule/turn-budget.js';
import type { BlockTarget } from '../block-target.js';
import type { Reads } from './reads.js';

export interface StreamSource {
  readonly target: Pick<BlockTarget, 'path' | 'size' | 'blockSize' | 'read' | 'write' | 'flush'>;
  /** It stays as long as it is: its last block is written as short as that is, and nothing behind it. Default false. */
  readonly fixedSize?: boolean;
  /** Whose leases the target takes. */
  readonly pool: BufferPool;
  /** Shared by all that copy for the same engine. */
  readonly budget: TurnBudget;
  /** A shorter way to the target's reads than `target.read`, where there is one: for the reads of one stream. */
  readonly beginReading?: ((ioClass: IoClass) => Reads) | undefined;
}

/**
 * Reads or writes of one stream in flight at once, at most: as many as a queue takes by default. More would only wait, and
 * could be refused.
 */
export const MAX_IN_FLIGHT = 128;

const REFUSALS = ['ERR_RINGBOLT_OVERLOADED', 'ERR_RINGBOLT_POOL_EXHAUSTED'];

/** Whether an operation was refused because of what is under way, so that it may be begun when some of that has ended. */
export function isRefusal(error: unknown): boolean {
  return error instanceof RingboltError && REFUSALS.includes(error.code);
}

export function roundDown(value: number, unit: number): number {
  return value - (value % unit);
}

/** `value` is at most what can be counted less one unit. */
export function roundUp(value: number, unit: number): number {
  return roundDown(value + unit - 1, unit);
}
