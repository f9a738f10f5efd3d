// Shows how names and globs choose workloads, and what the table promises.

import { describe, expect, it } from 'vitest';
import { chooseWorkloads, matchesGlob, WORKLOADS, writes } from '../../dist/bench/workloads.js';

function chosen(...globs: string[]): readonly string[] {
  const choice = chooseWorkloads(globs);
  expect(choice.status).toBe('ok');
  return choice.status === 'ok' ? choice.workloads.map(({ name }) => name) : [];
}

describe('matchesGlob', () => {
  it.each([
    ['rand-read-4k-qd1', 'rand-read-4k-qd1', true],
    ['rand-read-4k-qd1', 'rand-read-4k-qd', false],
    ['rand-read-4k-qd128', 'rand-read-4k-qd1', false],
    ['rand-read-4k-qd128', '*read*', true],
    ['rand-read-4k-qd128', 'rand-*-qd128', true],
    ['rand-read-4k-qd1', 'rand-read-?k-qd1', true],
    ['rand-read-4k-qd1', '.*', false],
    ['rand-read-4k-qd1', '', false],
    ['anything', '*', true],
  ])('%s by %j: %s', (name, glob, expected) => {
    expect(matchesGlob(name, glob)).toBe(expected);
  });
});

describe('chooseWorkloads', () => {
  it('takes all when nothing is named', () => {
    expect(chosen()).toEqual(WORKLOADS.map(({ name }) => name));
  });

  it('takes each once and in the order of the table', () => {
    expect(chosen('rand-read-*', 'seq-read*', 'rand-read-4k-qd1')).toEqual([
      'seq-read-1m-qd16',
      'seq-read-128k-qd32',
      'rand-read-4k-qd1',
      'rand-read-4k-qd128',
      'rand-read-128k-qd32',
    ]);
  });

  it('names the glob that matches nothing, even beside one that does', () => {
    expect(chooseWorkloads(['*', 'rand-raed*'])).toEqual({ status: 'unknown', glob: 'rand-raed*' });
  });
});

describe('the table', () => {
  it('says in a name what is done', () => {
    for (const workload of WORKLOADS) {
      expect(workload.name).toMatch(new RegExp(`-qd${workload.depth}$`));
      expect(writes(workload)).toBe(/write|mix/.test(workload.name));
      if (workload.kind === 'noop') continue;
      const size = /-(\d+)([km])-/.exec(workload.name)!;
      const unit = size[2] === 'm' ? 2 ** 20 : 2 ** 10;
      expect(workload.blockBytes).toBe(Number(size[1]) * unit);
      expect(workload.pattern).toBe(workload.name.startsWith('seq') ? 'sequential' : 'random');
    }
  });
});
