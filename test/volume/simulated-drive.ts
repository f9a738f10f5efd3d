// The machine of a simulation: drives, what goes wrong with them, and the power that fails for all of them at once. See
// simulated-disk.ts.

import type { Seeded } from '../support/seeded.js';
import { SimulatedDisk } from './simulated-disk.js';
import { SECTOR, SimulatedMedium, type Crash } from './simulated-medium.js';
import { Turns } from './turns.js';

/** Chances, from 0 to 1. */
export interface SimulatedFaults {
  /** EIO. */
  read: number;
  /** EIO, with some sectors written. */
  write: number;
  /** ENOSPC, with some sectors written. */
  noSpace: number;
  /** EIO, of flushes and durable writes: what they covered is lost to all later ones. */
  flush: number;
  /** A flush or durable write that resolves and has done nothing. */
  lie: number;
  /** A write to another place than it was meant for. */
  misdirect: number;
  /** A write that was interrupted rejects, with some sectors written; otherwise it settles with its real outcome. */
  interrupt: number;
  /** Of each sector that was not synced in a crash, below `spoiltBelow`: it is neither old nor new, or cannot be read. */
  spoil: number;
}

const NO_FAULTS: Readonly<SimulatedFaults> = {
  read: 0,
  write: 0,
  noSpace: 0,
  flush: 0,
  lie: 0,
  misdirect: 0,
  interrupt: 0,
  spoil: 0,
};

export type OperationKind = 'read' | 'write' | 'flush' | 'discard' | 'writeZeroes';

/** As it begins. */
export interface SimulatedOperation {
  readonly kind: OperationKind;
  readonly offset: number;
  readonly length: number;
  readonly durable: boolean;
}

export interface SimulatedDiskOptions {
  /** Bytes. */
  readonly size: number;
  /** As long as it may become by being zeroed beyond its end. Default: `size`. */
  readonly limit?: number;
  /** Default 512. */
  readonly blockSize?: number;
  /** Turns that an operation takes, at most. Default 4. */
  readonly maxDelay?: number;
}

/** A machine with its disks. */
export class SimulatedWorld {
  readonly random: Seeded;
  readonly turns: Turns;
  readonly #drives: SimulatedDrive[] = [];

  constructor(random: Seeded) {
    this.random = random;
    this.turns = new Turns(random.fork());
  }

  addDrive(path: string, options: SimulatedDiskOptions): SimulatedDrive {
    const drive = new SimulatedDrive(this, path, options);
    this.#drives.push(drive);
    return drive;
  }

  /** All at once; each drive keeps what it keeps. */
  crash(kind: Crash = 'random'): void {
    for (const drive of this.#drives) drive.crash(kind);
  }
}

/** A medium, and the handles to it. */
export class SimulatedDrive {
  readonly path: string;
  readonly medium: SimulatedMedium;
  readonly random: Seeded;
  readonly turns: Turns;
  readonly blockSize: number;
  readonly maxDelay: number;
  readonly faults: SimulatedFaults = { ...NO_FAULTS };
  /** Bytes: sectors from here on a crash leaves old or new, whatever `faults.spoil` is. */
  spoiltBelow = Infinity;
  /** Bytes: as long as it may become. */
  limit: number;
  /** Begun so far. */
  readonly counts: Record<OperationKind, number> = {
    read: 0,
    write: 0,
    flush: 0,
    discard: 0,
    writeZeroes: 0,
  };
  /** Called with each operation that begins: to count, to check, or to crash. */
  onOperation: ((operation: SimulatedOperation) => void) | undefined;
  /** What is to happen when this machine is gone: leases in flight come back to their pool, which is not. */
  readonly onCrash = new Set<() => void>();
  readonly #planned: (keyof SimulatedFaults)[] = [];
  #generation = 0;

  constructor({ random, turns }: SimulatedWorld, path: string, options: SimulatedDiskOptions) {
    this.path = path;
    this.random = random.fork();
    this.turns = turns;
    this.blockSize = options.blockSize ?? SECTOR;
    this.limit = options.limit ?? options.size;
    this.maxDelay = options.maxDelay ?? 4;
    this.medium = new SimulatedMedium(random.fork(), options.size);
  }

  open(): SimulatedDisk {
    return new SimulatedDisk(this, this.#generation);
  }

  /** Operations under way never settle, as their process is gone. */
  crash(kind: Crash): void {
    this.#generation++;
    this.medium.crash(kind, this.faults.spoil, this.spoiltBelow);
    this.#planned.length = 0;
    for (const end of this.onCrash) end();
    this.onCrash.clear();
  }

  isAlive(generation: number): boolean {
    return generation === this.#generation;
  }

  /** The next operation that it may happen to has this fault. */
  failNext(fault: keyof SimulatedFaults): void {
    this.#planned.push(fault);
  }

  happens(fault: keyof SimulatedFaults): boolean {
    const planned = this.#planned.length === 0 ? -1 : this.#planned.indexOf(fault);
    if (planned >= 0) this.#planned.splice(planned, 1);
    return planned >= 0 || this.random.chance(this.faults[fault]);
  }
}
