// Shows that no turn of the event loop copies more than its budget, and that order is kept.

import { describe, expect, it } from 'vitest';
import { COPY_BYTES_PER_TURN, TurnBudget } from '../../dist/lib/schedule/turn-budget.js';

const nextTurn = () => new Promise((resolve) => setImmediate(resolve));

describe('TurnBudget', () => {
  it('runs what fits at once and the rest in later turns, in order', async () => {
    const budget = new TurnBudget();
    const ran: number[] = [];
    const bytes = COPY_BYTES_PER_TURN / 4;
    for (let i = 0; i < 10; i++) budget.spend(bytes, () => ran.push(i));
    expect(ran).toEqual([0, 1, 2, 3]);
    await nextTurn();
    expect(ran).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    // Two were left, so this one waits behind them although it would fit.
    budget.spend(1, () => ran.push(10));
    expect(ran).toHaveLength(8);
    await nextTurn();
    expect(ran).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  });

  it('starts afresh in each turn', async () => {
    const budget = new TurnBudget();
    let ran = 0;
    for (let turn = 1; turn <= 5; turn++) {
      budget.spend(COPY_BYTES_PER_TURN, () => ran++);
      expect(ran).toBe(turn);
      await nextTurn();
    }
  });

  it('counts what was copied beside it, which overtakes nobody', async () => {
    const budget = new TurnBudget();
    const ran: string[] = [];
    expect(budget.fits(COPY_BYTES_PER_TURN)).toBe(true);
    budget.charge(1);
    expect(budget.fits(COPY_BYTES_PER_TURN)).toBe(false);
    expect(budget.fits(COPY_BYTES_PER_TURN - 1)).toBe(true);
    budget.spend(COPY_BYTES_PER_TURN, () => ran.push('all of it'));
    expect(ran).toEqual([]);
    expect(budget.fits(1)).toBe(false); // somebody waits
    await nextTurn();
    expect(ran).toEqual(['all of it']);
    expect(budget.fits(1)).toBe(false);
    await nextTurn();
    expect(budget.fits(COPY_BYTES_PER_TURN)).toBe(true);
  });
});
