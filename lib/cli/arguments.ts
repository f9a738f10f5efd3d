// Values on a command line: text in, checked value out, or an error that says what was expected.

import { InvalidArgumentError } from 'commander';

const UNITS: Readonly<Record<string, number>> = {
  '': 1,
  K: 2 ** 10,
  M: 2 ** 20,
  G: 2 ** 30,
  T: 2 ** 40,
};

export function parseInteger(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = /^\d+$/.test(text) ? Number(text) : NaN;
    if (value >= min && value <= max) return value;
    throw new InvalidArgumentError(`Expected a whole number from ${min} to ${max}.`);
  };
}

export function parseSeconds(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = /^\d*\.?\d+$/.test(text) ? Number(text) : NaN;
    if (value >= min && value <= max) return value;
    throw new InvalidArgumentError(`Expected a number of seconds from ${min} to ${max}.`);
  };
}

/** `64M`, `1GiB`, `4096`: powers of 1024, in any case. A multiple of `unitBytes`, at least one. */
export function parseBytes(unitBytes: number): (text: string) => number {
  return (text) => {
    const [, digits, unit = ''] = /^(\d+)\s*([kmgt]?)(?:i?b)?$/i.exec(text) ?? [];
    const bytes = Number(digits) * (UNITS[unit.toUpperCase()] ?? NaN);
    if (Number.isSafeInteger(bytes) && bytes > 0 && bytes % unitBytes === 0) return bytes;
    throw new InvalidArgumentError(
      `Expected a size such as 64M or 2G, a multiple of ${unitBytes} bytes.`,
    );
  };
}

/** For options that may be given several times. */
export function collect(text: string, earlier: readonly string[] | undefined): readonly string[] {
  return [...(earlier ?? []), text];
}
