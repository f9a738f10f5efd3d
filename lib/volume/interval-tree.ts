// Ranges, and which of them overlap another: a treap ordered by where they begin, in which each node also knows the furthest end below it, so
// that a search leaves out whole branches.
//
// Insertion and removal take O(log n) steps, a search as many for each that it finds. Nodes are the users' own objects, in one tree at most: nothing is allocated. Priorities come from a generator of the
// tree's own, so that the same history gives the same tree.

/** A range of whole numbers from `first` up to, not including, `end`. */
export class Interval {
  readonly first: number;
  readonly end: number;
  /** The tree's own, as are those that follow. */
  left: Interval | undefined;
  right: Interval | undefined;
  parent: Interval | undefined;
  priority = 0;
  furthestEnd: number;

  constructor(first: number, end: number) {
    this.first = first;
    this.end = end;
    this.furthestEnd = end;
  }
}

export class IntervalTree<T extends Interval> {
  #root: Interval | undefined;
  #random = 0x9e37_79b9 | 0;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  insert(node: T): void {
    node.priority = this.#nextPriority();
    refresh(node);
    let parent: Interval | undefined;
    let below = this.#root;
    while (below !== undefined) {
      parent = below;
      // All on the way down get the new one below them.
      if (below.furthestEnd < node.end) below.furthestEnd = node.end;
      below = node.first < below.first ? below.left : below.right;
    }
    node.parent = parent;
    if (parent === undefined) this.#root = node;
    else if (node.first < parent.first) parent.left = node;
    else parent.right = node;
    while (node.parent !== undefined && node.parent.priority < node.priority) this.#raise(node);
    this.#size++;
  }

  /** Requires that it is in this tree. */
  remove(node: T): void {
    while (node.left !== undefined && node.right !== undefined) {
      this.#raise(node.left.priority > node.right.priority ? node.left : node.right);
    }
    const { parent } = node;
    this.#replace(node, node.left ?? node.right);
    node.left = node.right = node.parent = undefined;
    refreshFrom(parent);
    this.#size--;
  }

  /** Calls `visit` with all that overlap, until it returns true; returns whether it did. */
  some(first: number, end: number, visit: (node: T) => boolean): boolean {
    return first < end && someBelow(this.#root, first, end, visit as Visit);
  }

  /** Puts a child into its parent's place. */
  #raise(child: Interval): void {
    const parent = child.parent!;
    if (parent.left === child) {
      parent.left = child.right;
      if (child.right !== undefined) child.right.parent = parent;
      this.#replace(parent, child);
      child.right = parent;
    } else {
      parent.right = child.left;
      if (child.left !== undefined) child.left.parent = parent;
      this.#replace(parent, child);
      child.left = parent;
    }
    parent.parent = child;
    refresh(parent);
    refresh(child);
  }

  #replace(node: Interval, other: Interval | undefined): void {
    const { parent } = node;
    if (parent === undefined) this.#root = other;
    else if (parent.left === node) parent.left = other;
    else parent.right = other;
    if (other !== undefined) other.parent = parent;
  }

  #nextPriority(): number {
    // xorshift32
    this.#random ^= this.#random << 13;
    this.#random ^= this.#random >>> 17;
    this.#random ^= this.#random << 5;
    return this.#random;
  }
}

type Visit = (node: Interval) => boolean;

/** From what is right below it. */
function refresh(node: Interval): void {
  let { end: furthest } = node;
  const { left, right } = node;
  if (left !== undefined && left.furthestEnd > furthest) furthest = left.furthestEnd;
  if (right !== undefined && right.furthestEnd > furthest) furthest = right.furthestEnd;
  node.furthestEnd = furthest;
}

/** All the way up. */
function refreshFrom(node: Interval | undefined): void {
  for (let at = node; at !== undefined; at = at.parent) refresh(at);
}

/** As deep as the tree, which is a few dozen levels. */
function someBelow(node: Interval | undefined, first: number, end: number, visit: Visit): boolean {
  let at = node;
  while (at !== undefined && at.furthestEnd > first) {
    if (someBelow(at.left, first, end, visit)) return true;
    if (at.first >= end) return false; // and all on its right begin later
    if (at.end > first && visit(at)) return true;
    at = at.right;
  }
  return false;
}
