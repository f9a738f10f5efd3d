// Ranges, and which of them overlap another: a treap ordered by where they begin, in which each node also knows the furthest end and the
// latest `until` below it, so that a search leaves out whole branches.
//
// Insertion and removal take O(log n) steps, a search as many for each that it finds; more only where many ranges overlap the one that
// is looked for and are too old. Nodes are the users' own objects, in one tree at most: nothing is allocated. Priorities come from a generator of the
// tree's own, so that the same history gives the same tree.

/** A range of whole numbers from `first` up to, not including, `end`; and how long it counts. */
export class Interval {
  readonly first: number;
  readonly end: number;
  /** Searches say which are recent enough. Change it through the tree. */
  until = Infinity;
  /** The tree's own, as are those that follow. */
  left: Interval | undefined;
  right: Interval | undefined;
  parent: Interval | undefined;
  priority = 0;
  furthestEnd: number;
  latestUntil = Infinity;

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
      if (below.latestUntil < node.until) below.latestUntil = node.until;
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

  /** Requires that it is in this tree. */
  setUntil(node: T, until: number): void {
    node.until = until;
    refreshFrom(node);
  }

  /** Calls `visit` with all that overlap and have a later `until` than `since`, until it returns true; returns whether it did. */
  some(first: number, end: number, since: number, visit: (node: T) => boolean): boolean {
    return first < end && someBelow(this.#root, first, end, since, visit as Visit);
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
  let { end: furthest, until: latest } = node;
  const { left, right } = node;
  if (left !== undefined) {
    if (left.furthestEnd > furthest) furthest = left.furthestEnd;
    if (left.latestUntil > latest) latest = left.latestUntil;
  }
  if (right !== undefined) {
    if (right.furthestEnd > furthest) furthest = right.furthestEnd;
    if (right.latestUntil > latest) latest = right.latestUntil;
  }
  node.furthestEnd = furthest;
  node.latestUntil = latest;
}

/** All the way up. */
function refreshFrom(node: Interval | undefined): void {
  for (let at = node; at !== undefined; at = at.parent) refresh(at);
}

/** As deep as the tree, which is a few dozen levels. */
function someBelow(
  node: Interval | undefined,
  first: number,
  end: number,
  since: number,
  visit: Visit,
): boolean {
  let at = node;
  while (at !== undefined && at.furthestEnd > first && at.latestUntil > since) {
    if (someBelow(at.left, first, end, since, visit)) return true;
    if (at.first >= end) return false; // and all on its right begin later
    if (at.end > first && at.until > since && visit(at)) return true;
    at = at.right;
  }
  return false;
}
