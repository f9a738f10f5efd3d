// How misuse is refused: by a promise that rejects, never by an exception out of the call, with a code to match on and a
// message that names what was wrong. And that afterwards everything works as before.

import { inspect } from 'node:util';
import type { BlockFile, Engine } from 'ringbolt';
import { expect } from 'vitest';
import { BLOCK, isNumbered } from '../lifecycle/numbered-file.js';

export interface Refusal {
  readonly code: string;
  /** Of the class: `TypeError`, `RangeError` or `RingboltError`. */
  readonly name?: string;
  /** What the message must contain. */
  readonly naming?: readonly string[];
}

export const TYPE = { code: 'ERR_INVALID_ARG_TYPE', name: 'TypeError' } as const;
export const VALUE = { code: 'ERR_INVALID_ARG_VALUE', name: 'TypeError' } as const;
export const RANGE = { code: 'ERR_OUT_OF_RANGE', name: 'RangeError' } as const;

/** Passes off anything as what is asked for. */
export function wrong(value: unknown): never {
  return value as never;
}

/** How messages show a value that has the wrong type or is out of range. */
export function shown(value: unknown): string {
  if (typeof value === 'function') return 'function';
  if (typeof value === 'object' && value !== null) {
    return `an instance of ${(value.constructor as { name: string }).name}`;
  }
  return inspect(value);
}

/** The error that `attempt` rejects with. An exception is none: then a caller's `.catch()` would not have seen it. */
export async function rejection(attempt: () => Promise<unknown>): Promise<unknown> {
  let promise: Promise<unknown>;
  try {
    promise = attempt();
  } catch (error) {
    throw new Error('threw, instead of returning a promise that rejects', { cause: error });
  }
  expect(promise).toBeInstanceOf(Promise);
  const outcome = await promise.then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  );
  if ('error' in outcome) return outcome.error;
  throw new Error(`resolved to ${inspect(outcome.value)}, instead of rejecting`);
}

function expectRefusal(error: unknown, { code, name, naming = [] }: Refusal): void {
  expect(error).toBeInstanceOf(Error);
  expect(error).toMatchObject({ code, ...(name !== undefined && { name }) });
  for (const text of naming) expect((error as Error).message).toContain(text);
}

export async function expectRefused(
  attempt: () => Promise<unknown>,
  refusal: Refusal,
): Promise<void> {
  expectRefusal(await rejection(attempt), refusal);
}

/** As {@link expectRefused}, for the few methods that return no promise. */
export function expectThrows(attempt: () => unknown, refusal: Refusal): void {
  let error: unknown;
  try {
    attempt();
  } catch (thrown) {
    error = thrown;
  }
  expectRefusal(error, refusal);
}

/** Reads a numbered file, with leases and without, and leaves nothing in use. */
export async function expectStillWorks(engine: Engine, file: BlockFile): Promise<void> {
  const inUse = engine.pool.stats().bytesInUse;
  const leases = Array.from({ length: 4 }, () => engine.pool.acquire(BLOCK));
  const copy = Buffer.alloc(2 * BLOCK);
  const reads = leases.map((lease, block) => file.read(block * BLOCK, lease));
  const bytes = await Promise.all([file.read(3 * BLOCK, copy), ...reads]);
  expect(bytes).toEqual([copy.length, ...leases.map(() => BLOCK)]);
  expect(isNumbered(copy, 3)).toBe(true);
  for (const [block, lease] of leases.entries()) {
    expect(isNumbered(lease.buffer, block), `block ${block}`).toBe(true);
    lease.release();
  }
  await engine.noop();
  expect(engine.pool.stats().bytesInUse).toBe(inUse);
  expect(engine.stats().waiting).toBe(0);
}

/** For a table: each value with how it looks. */
export function rows(values: readonly unknown[]): [string, unknown][] {
  return values.map((value) => [inspect(value), value]);
}

/** Every type there is but a number. */
export const NOT_NUMBERS: readonly unknown[] = [
  null,
  '1',
  '',
  true,
  1n,
  Symbol('one'),
  {},
  [1],
  () => 1,
  { valueOf: () => 1 },
  Object(1),
  new Date(0),
];

export const NOT_INTEGERS: readonly number[] = [NaN, 0.5, -0.5, Infinity, -Infinity];

/** Every type there is but a plain object. */
export const NOT_OBJECTS: readonly unknown[] = [
  null,
  'x',
  5,
  true,
  1n,
  Symbol('options'),
  [],
  () => ({}),
];
