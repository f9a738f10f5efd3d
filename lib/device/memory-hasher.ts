// Checksums of memory alone.
//
// A lease is hashed by a queue's thread, a piece at a time between its I/O; the event loop has nothing to do with it. No other
// memory can be given to another thread, since its owner may detach or resize it at any time. It is hashed where it
// lies, so much in a turn of the event loop as may be copied in one: to copy it first, for a queue to hash, would
// hold up the loop for as long, as both take the time that it takes to go through memory.

import {
  createCrc32c,
  createCrc64nvme,
  createXxh3,
  type ChecksumHasher,
} from '../checksum/hashers.js';
import { memoryOf, plainView, trueLength } from '../memory/intrinsics.js';
import { leases, type Lease, type LeaseHome } from '../memory/lease.js';
import { OpKind } from '../native.js';
import { beginInterrupt, checkSignal, checkTimeout } from '../interrupt.js';
import { IO_CLASSES, type IoClass, type Operation, type Sink } from '../schedule/operation.js';
import type { Scheduler } from '../schedule/scheduler.js';
import { COPY_BYTES_PER_TURN } from '../schedule/turn-budget.js';
import { checkOneOf, checkOptions, invalidType, invalidValue } from '../validate.js';
import type { ChecksumName } from '../checksum/names.js';
import { checkAlgorithm, checkSeed, planWhole } from './block-checksums.js';
import type { Copier } from './copier.js';
import { interruptedError, takeOutcome } from './sinks.js';
import { types } from 'node:util';

export interface ChecksumOptions {
  readonly algorithm: ChecksumName;
  /** Below 2^64; for CRC-32C below 2^32: of a CRC, the one of what came before. Default 0. */
  readonly seed?: bigint;
  /** Background operations wait while foreground ones do. Default `'foreground'`. */
  readonly ioClass?: IoClass;
  /** Ends the wait, with an `AbortError`; the lease stays in use until the queue's thread lets go of it, which it does soon. */
  readonly signal?: AbortSignal;
  /** Does the same after so many milliseconds, 1 to 2^31 - 1, with `ERR_RINGBOLT_TIMEOUT`. Default: none. */
  readonly timeoutMs?: number;
}

const OPTIONS = ['algorithm', 'seed', 'ioClass', 'signal', 'timeoutMs'] as const;

export interface CheckedChecksumOptions {
  readonly algorithm: ChecksumName;
  readonly seed: bigint;
  readonly ioClass: number;
  readonly signal: AbortSignal | undefined;
  readonly timeoutMs: number | undefined;
}

/** Reads each option once. */
export function checkChecksumOptions(options: unknown): CheckedChecksumOptions {
  checkOptions('options', options, OPTIONS);
  const {
    algorithm,
    seed = 0n,
    ioClass = 'foreground',
    signal,
    timeoutMs,
  } = options as ChecksumOptions;
  const checkedAlgorithm = checkAlgorithm('options.algorithm', algorithm);
  checkOneOf('options.ioClass', ioClass, IO_CLASSES);
  if (signal !== undefined) checkSignal('options.signal', signal);
  if (timeoutMs !== undefined) checkTimeout('options.timeoutMs', timeoutMs);
  return {
    algorithm: checkedAlgorithm,
    seed: checkSeed('options.seed', seed, checkedAlgorithm),
    ioClass: IO_CLASSES.indexOf(ioClass),
    signal,
    timeoutMs,
  };
}

/**
 * Memory that can be hashed: a lease of `home`, or a plain array.
 *
 * @throws `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE`, `ERR_RINGBOLT_RELEASED`, `ERR_RINGBOLT_BUSY`,
 * `ERR_RINGBOLT_UNSUPPORTED`
 */
export function checkHashable(data: unknown, home: LeaseHome): Lease | Uint8Array<ArrayBuffer> {
  if (leases.is(data)) {
    const obstacle = leases.obstacle(data, home);
    if (obstacle !== undefined) throw obstacle;
    if (leases.bytes(data) === 0) throw invalidValue('data', 'must not be detached', data);
    return data;
  }
  if (!types.isUint8Array(data)) throw invalidType('data', 'a Lease or Uint8Array', data);
  if (types.isSharedArrayBuffer(memoryOf(data))) {
    throw invalidType('data', 'memory of one thread, not a SharedArrayBuffer', data);
  }
  if (trueLength(data) === 0) throw invalidValue('data', 'must not be empty or detached', data);
  return plainView(data);
}

/** Requires that the lease and the options were checked, and scheduler.hasRoomFor(1). */
export function hashLease(
  scheduler: Scheduler,
  lease: Lease,
  { algorithm, seed, ioClass, signal, timeoutMs }: CheckedChecksumOptions,
): Promise<bigint> {
  scheduler.prepareChecksums();
  const length = leases.bytes(lease);
  const plan = planWhole(algorithm, seed, length);
  const interrupts = beginInterrupt(signal, timeoutMs);
  return new Promise((resolve, reject) => {
    const op: Operation = scheduler.take();
    op.kind = OpKind.checksum;
    op.length = length;
    op.unit = leases.unit(lease);
    op.lease = lease;
    op.ioClass = ioClass;
    op.checksums = plan;
    op.valueIndex = 0;
    op.blockNumber = 0;
    op.interrupts = interrupts;
    const sink: Sink = {
      answersReadsAtOnce: true,
      settle(settled, result, bytesDone) {
        const error = takeOutcome(settled, result, bytesDone);
        if (error === undefined) resolve(plan.out![0]!);
        else reject(error);
      },
    };
    op.sink = sink;
    scheduler.submit(op);
  });
}

type AnyHasher = ChecksumHasher<number> | ChecksumHasher<bigint>;

/** `seed` was checked. */
const HASHERS: Readonly<Record<ChecksumName, (seed: bigint) => AnyHasher>> = {
  crc32c: (seed) => createCrc32c(Number(seed)),
  crc64nvme: createCrc64nvme,
  xxh3: createXxh3,
};

/** The same for other memory; the turns that it takes are those of the engine's copies. */
export function hashArray(
  { scheduler, budget }: Copier,
  array: Uint8Array,
  { algorithm, seed, signal, timeoutMs }: CheckedChecksumOptions,
): Promise<bigint> {
  const interrupts = beginInterrupt(signal, timeoutMs);
  const { length } = array;
  const hasher = HASHERS[algorithm](seed);
  return new Promise((resolve, reject) => {
    let ended = false;
    const end = (error?: Error): void => {
      if (ended) return;
      ended = true;
      interrupts?.delete(waiter);
      scheduler.unreserve();
      if (error === undefined) resolve(BigInt(hasher.digest()));
      else reject(error);
    };
    const waiter = {
      interrupt: (reason: Error) => {
        end(interruptedError(reason, {}));
      },
    };
    const hashFrom = (start: number): void => {
      const bytes = Math.min(length - start, COPY_BYTES_PER_TURN);
      budget.spend(bytes, () => {
        if (ended) return;
        if (array.length !== length) {
          return end(invalidValue('data', 'was detached or resized while it was hashed', array));
        }
        hasher.update(array.subarray(start, start + bytes));
        if (start + bytes < length) hashFrom(start + bytes);
        else end();
      });
    };
    scheduler.reserve(); // counts as one that waits
    interrupts?.add(waiter);
    hashFrom(0);
  });
}
