// Shows that the tree finds what a list finds, and how few of its nodes it looks at.

import { describe, expect, it } from 'vitest';
import { Interval, IntervalTree } from '../../dist/lib/volume/interval-tree.js';
import { Random } from '../support/random.js';

describe('an interval tree', () => {
  it('finds what a list finds', () => {
    const random = new Random();
    for (let round = 0; round < 40; round++) {
      const tree = new IntervalTree<Interval>();
      const list: Interval[] = [];
      const width = 1 + random.below(60);
      for (let step = 0; step < 300; step++) {
        const first = random.below(100);
        if (list.length === 0 || random.below(5) < 3) {
          const node = new Interval(first, first + 1 + random.below(width));
          tree.insert(node);
          list.push(node);
        } else {
          const [node] = list.splice(random.below(list.length), 1);
          tree.remove(node!);
        }
        const end = first + random.below(20);
        const found: Interval[] = [];
        tree.some(first, end, (node) => {
          found.push(node);
          return false;
        });
        const expected = list.filter((node) => node.first < end && node.end > first && end > first);
        expect(new Set(found)).toEqual(new Set(expected));
        expect(found.length).toBe(expected.length);
        expect(tree.size).toBe(list.length);
        expect(tree.some(first, end, () => true)).toBe(expected.length > 0);
      }
    }
  });

  it('looks at a few nodes of a thousand', () => {
    let looks = 0;
    const counted = (first: number, end: number) => {
      const node = new Interval(first, end);
      let value = end;
      return Object.defineProperty(node, 'furthestEnd', {
        get: () => {
          looks++;
          return value;
        },
        set: (to: number) => (value = to),
      });
    };
    const during = (work: () => void) => {
      looks = 0;
      work();
      return looks;
    };
    const tree = new IntervalTree<Interval>();
    const nodes = Array.from({ length: 1000 }, (_, i) => counted(i * 10, i * 10 + 8));
    for (const node of nodes) tree.insert(node); // in order, which is the worst for a tree without balance
    const extra = counted(5009, 5010);
    const nothing = () => false;
    // Ten levels at the least; each looks at up to three nodes.
    expect(during(() => tree.some(5008, 5010, nothing))).toBeLessThan(100);
    expect(during(() => tree.some(5000, 5030, nothing))).toBeLessThan(200);
    expect(during(() => tree.insert(extra))).toBeLessThan(100);
    expect(during(() => tree.remove(extra))).toBeLessThan(200);
    // Those that are gone lead no search astray.
    const long = nodes.map(({ first }) => counted(first, 10_000));
    for (const node of long) tree.insert(node);
    for (const node of long) tree.remove(node);
    expect(during(() => tree.some(9998, 10_000, nothing))).toBeLessThan(100);
  });
});
