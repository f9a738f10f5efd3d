// Shows which values the command line takes, misuse first.

import { InvalidArgumentError } from 'commander';
import { describe, expect, it } from 'vitest';
import { collect, parseBytes, parseInteger, parseSeconds } from '../../dist/lib/cli/arguments.js';

describe('parseInteger', () => {
  const parse = parseInteger(3, 1000);

  it.each(['', '2', '1001', '-5', '3.5', '1e2', ' 5', '0x10', 'five', 'Infinity'])(
    'refuses %j',
    (text) => {
      expect(() => parse(text)).toThrow(InvalidArgumentError);
    },
  );

  it.each([
    ['3', 3],
    ['1000', 1000],
    ['007', 7],
  ])('takes %j', (text, value) => {
    expect(parse(text)).toBe(value);
  });
});

describe('parseSeconds', () => {
  const parse = parseSeconds(0.1, 60);

  it.each(['', '0', '0.05', '61', '-1', '1s', '1.', 'NaN', '1e1'])('refuses %j', (text) => {
    expect(() => parse(text)).toThrow(InvalidArgumentError);
  });

  it.each([
    ['0.2', 0.2],
    ['.5', 0.5],
    ['60', 60],
  ])('takes %j', (text, value) => {
    expect(parse(text)).toBe(value);
  });
});

describe('parseBytes', () => {
  const parse = parseBytes(2 ** 20);

  it.each(['', '0', '1', '1000', '1.5G', '-1M', '1P', 'M', '1 M B', '99999999999T'])(
    'refuses %j',
    (text) => {
      expect(() => parse(text)).toThrow(InvalidArgumentError);
    },
  );

  it.each([
    ['1048576', 2 ** 20],
    ['1024K', 2 ** 20],
    ['64M', 64 * 2 ** 20],
    ['64m', 64 * 2 ** 20],
    ['64MB', 64 * 2 ** 20],
    ['2GiB', 2 ** 31],
    ['1T', 2 ** 40],
  ])('takes %j', (text, value) => {
    expect(parse(text)).toBe(value);
  });
});

describe('collect', () => {
  it('keeps what was given before', () => {
    expect(collect('b', collect('a', undefined))).toEqual(['a', 'b']);
  });
});
