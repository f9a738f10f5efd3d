// Which lane an operation goes to, and what waits for one.
//
// Operations of one tick stay together: a lane that has begun a batch is filled until it publishes, and the next begins on the
// lane with the least in flight.
//
// Where lanes are on several NUMA nodes, a file whose device is on one of them has its operations go to that node's lanes. Only
// when those are all at their depth does another lane help out, if it is idle, with one batch: more would take from the files it
// is there for. What finds no lane waits with what wants the same ones, so that a busy device holds up nobody else's.
//
// Where all lanes are on one node there is one group, of all of them, and nothing of this costs anything.

import { queuesByNode } from '../topology/placement.js';
import type { Lane } from './lane.js';
import { IO_CLASSES, type Operation } from './operation.js';
import { WaitingList } from './waiting-list.js';

/** Lanes that are as good as each other for some files, and what waits for them. */
export class LaneGroup {
  readonly #lanes: readonly Lane[];
  /** The one with a batch, if any has one. */
  #current: Lane;
  /** By class. */
  readonly waiting = IO_CLASSES.map(() => new WaitingList());
  waitingCount = 0;
  /** There is no lane for the first that waits: not in this round. */
  full = false;

  constructor(lanes: readonly Lane[]) {
    this.#lanes = lanes;
    this.#current = lanes[0]!;
  }

  get current(): Lane {
    return this.#current;
  }

  /** A lane for the next operation of a batch. */
  withRoom(): Lane | undefined {
    const current = this.#current;
    if (current.hasRoom && (current.unpublished > 0 || this.#lanes.length === 1)) return current;
    this.#current = this.idlest();
    return this.#current.hasRoom ? this.#current : undefined;
  }

  /** That with the least in flight, whether or not it has room. */
  idlest(): Lane {
    let best = this.#current;
    for (const lane of this.#lanes) if (lane.inFlight < best.inFlight) best = lane;
    return best;
  }
}

export class LaneChoice {
  readonly #lanes: readonly Lane[];
  /** Of all lanes, for what has no reason to prefer one. */
  readonly any: LaneGroup;
  readonly #byNode: ReadonlyMap<number, LaneGroup>;
  readonly #groups: readonly LaneGroup[];
  #waitingCount = 0;

  /** `nodes`: of the lanes, as far as known. */
  constructor(lanes: readonly Lane[], nodes: readonly (number | undefined)[]) {
    this.#lanes = lanes;
    this.any = new LaneGroup(lanes);
    this.#byNode = new Map(
      [...queuesByNode(nodes)].map(([node, queues]) => [
        node,
        new LaneGroup(queues.map((queue) => lanes[queue]!)),
      ]),
    );
    this.#groups = [this.any, ...this.#byNode.values()];
  }

  /** The lanes of a node, for FileRef.near; `undefined` where none is nearer than another. */
  near(node: number): LaneGroup | undefined {
    return this.#byNode.get(node);
  }

  /** What waits, of all groups and classes. */
  get waitingCount(): number {
    return this.#waitingCount;
  }

  /** A lane for one that has just come; `undefined` if there is none, or others wait that might take it. */
  laneFor(op: Operation): Lane | undefined {
    const near = op.file?.near;
    if (near === undefined) return this.#waitingCount === 0 ? this.any.withRoom() : undefined;
    const others = near.waitingCount + this.any.waitingCount;
    return others === 0 ? this.laneIn(near, false) : undefined;
  }

  /** A lane for the first that waits in a group. Parts go to the lane with the least in flight, each by itself. */
  laneIn(group: LaneGroup, part: boolean): Lane | undefined {
    const lane = part ? group.idlest() : group.withRoom();
    if (lane?.hasRoom === true) return lane;
    return group === this.any ? undefined : this.#lanes.find((other) => other.isIdle);
  }

  /** What takes any lane need not wait behind what waits for certain ones, if there is room in others. */
  mayPassOthers(op: Operation): boolean {
    return (
      this.#groups.length > 1 && op.file?.near === undefined && this.any.withRoom() !== undefined
    );
  }

  wait(op: Operation): void {
    const group = this.#groupOf(op);
    group.waiting[op.ioClass]!.push(op);
    group.waitingCount++;
    this.#waitingCount++;
  }

  /** It waits no longer; false if it did not. */
  leave(op: Operation): boolean {
    const group = this.#groupOf(op);
    const list = group.waiting[op.ioClass]!;
    if (op.list !== list) return false;
    list.remove(op);
    group.waitingCount--;
    this.#waitingCount--;
    return true;
  }

  /** Before the first call of next(). */
  beginRound(): void {
    for (const group of this.#groups) group.full = false;
  }

  /** The group whose turn it is in a class: that of which the first has waited longest. Those that are full are left out. */
  next(ioClass: number): LaneGroup | undefined {
    if (this.any.full) return undefined; // and so is every lane
    if (this.#groups.length === 1)
      return this.any.waiting[ioClass]!.length > 0 ? this.any : undefined;
    let next: LaneGroup | undefined;
    let oldestNs = Infinity;
    for (const group of this.#groups) {
      const first = group.full ? undefined : group.waiting[ioClass]!.first;
      if (first === undefined || first.submittedNs >= oldestNs) continue;
      next = group;
      oldestNs = first.submittedNs;
    }
    return next;
  }

  /** Takes all that waits. */
  drain(each: (op: Operation) => void): void {
    for (const { waiting } of this.#groups) {
      for (const list of waiting) {
        for (let op = list.first; op !== undefined; op = list.first) {
          this.leave(op);
          each(op);
        }
      }
    }
  }

  #groupOf(op: Operation): LaneGroup {
    return op.file?.near ?? this.any;
  }
}
