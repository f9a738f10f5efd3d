// Checks of arguments, made before anything happens. Errors are Node's: its classes, codes and wording, each naming
// what was expected and what came.

import { inspect } from 'node:util';

type Coded = Error & { code: string };

function withCode<E extends Error>(error: E, code: string): E & Coded {
  return Object.assign(error, { code });
}

function received(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (typeof value === 'function') return `function ${value.name}`;
  if (typeof value === 'object') {
    const name = (value.constructor as { name?: unknown } | undefined)?.name;
    return typeof name === 'string' ? `an instance of ${name}` : inspect(value, { depth: -1 });
  }
  const text = inspect(value);
  return `type ${typeof value} (${text.length > 40 ? `${text.slice(0, 40)}...` : text})`;
}

export function invalidType(name: string, expected: string, value: unknown): TypeError & Coded {
  return withCode(
    new TypeError(`The "${name}" argument must be ${expected}. Received ${received(value)}`),
    'ERR_INVALID_ARG_TYPE',
  );
}

export function outOfRange(name: string, expected: string, value: unknown): RangeError & Coded {
  return withCode(
    new RangeError(
      `The value of "${name}" is out of range. It must be ${expected}. Received ${inspect(value)}`,
    ),
    'ERR_OUT_OF_RANGE',
  );
}

export function invalidValue(name: string, reason: string, value: unknown): TypeError & Coded {
  return withCode(
    new TypeError(`The argument '${name}' ${reason}. Received ${inspect(value, { depth: 0 })}`),
    'ERR_INVALID_ARG_VALUE',
  );
}

/** A whole number from `min` to `max`, both included. */
export function checkInteger(
  name: string,
  value: unknown,
  min: number,
  max: number = Number.MAX_SAFE_INTEGER,
): asserts value is number {
  if (typeof value !== 'number') throw invalidType(name, 'of type number', value);
  if (!Number.isInteger(value)) throw outOfRange(name, 'an integer', value);
  if (value < min || value > max) throw outOfRange(name, `>= ${min} and <= ${max}`, value);
}

/** From `min` to `max`, both included. */
export function checkBigInt(
  name: string,
  value: unknown,
  min: bigint,
  max: bigint,
): asserts value is bigint {
  if (typeof value !== 'bigint') throw invalidType(name, 'of type bigint', value);
  if (value < min || value > max) throw outOfRange(name, `>= ${min} and <= ${max}`, value);
}

export function checkPath(name: string, value: unknown): asserts value is string {
  if (typeof value !== 'string') throw invalidType(name, 'of type string', value);
  if (value !== '' && !value.includes('\0')) return;
  throw invalidValue(name, 'must be a path without null bytes', value);
}

export function checkBoolean(name: string, value: unknown): asserts value is boolean {
  if (typeof value !== 'boolean') throw invalidType(name, 'of type boolean', value);
}

export function checkOneOf<T>(
  name: string,
  value: unknown,
  allowed: readonly T[],
): asserts value is T {
  if (allowed.includes(value as T)) return;
  throw invalidValue(
    name,
    `must be one of ${allowed.map((one) => inspect(one)).join(', ')}`,
    value,
  );
}

/**
 * An object with no properties but `known`: a misspelt option that did nothing would be found out too late.
 */
export function checkOptions(name: string, value: unknown, known: readonly string[]): void {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw invalidType(name, 'an object', value);
  }
  for (const key of Object.keys(value)) {
    if (!known.includes(key)) {
      throw invalidValue(`${name}.${key}`, `is no option; known are ${known.join(', ')}`, key);
    }
  }
}
