// A read or write of a lease that is larger than maxIoBytes: its parts lie one after the other in the same slab, go to different
// queues, and settle as one.
//
//   whole ─▶ rate limits ─▶ waiting ─ as lanes have room: a part, for the lane with the least in flight ─▶ queue
//     ▲                                                                                                    │
//     └── settles and gives its lease back, once all parts that had begun have ended ◀── settle(part) ◀────┘
//
// The whole is what was submitted. It waits, counts against maxQueued and passes rate limits like any other operation, and stays at
// its place among those that wait until its last part has begun: so no part can be refused, and none waits by itself. A part
// is made when there is room for it, and is an operation like any other to its queue.
//
// After a part that failed, or met the end of the file, no further one begins.

import { ECANCELED } from '../errors.js';
import { OpKind } from '../native.js';
import { markMissing } from './checksums.js';
import { silentSink, type Operation, type Sink } from './operation.js';

/** What a split operation needs of its scheduler. */
export interface SplitHost {
  /** `whole` waits no longer for room, if it does. */
  leave(whole: Operation): void;
  /** Nothing of it is under way any more: takes back the lease and the operation, calling `tell` in between. */
  end(whole: Operation, tell: () => void): void;
}

/**
 * How large the parts of a transfer are: whole blocks, of the file and of the checksums; `undefined` if it is not to be split. A
 * write with expected checksums never is: nothing of it may be written before all of it was compared.
 */
export function partBytesOf(op: Operation, maxIoBytes: number): number | undefined {
  const { kind, file, length, checksums } = op;
  if (file === undefined || (kind !== OpKind.read && kind !== OpKind.write)) return undefined;
  let unit = file.blockSize;
  if (checksums !== undefined) {
    if (kind === OpKind.write && checksums.expected !== null) return undefined;
    unit = leastCommonMultiple(unit, checksums.blockSize);
  }
  const bytes = Math.max(unit, maxIoBytes - (maxIoBytes % unit));
  return bytes < length ? bytes : undefined;
}

/** The parts of one that is to be done in several. Flushes and the like have no length, whatever that says. */
export function splitOf(op: Operation, maxIoBytes: number, host: SplitHost): Split | undefined {
  if (op.split !== undefined) return op.split;
  const partBytes = partBytesOf(op, maxIoBytes);
  if (partBytes !== undefined) op.split = new Split(host, op, partBytes);
  return op.split;
}

export function leastCommonMultiple(a: number, b: number): number {
  let [larger, smaller] = [a, b];
  while (smaller > 0) [larger, smaller] = [smaller, larger % smaller];
  return (a / larger) * b;
}

export class Split implements Sink {
  /** The whole is answered at once instead. */
  readonly answersReadsAtOnce = false;
  readonly #host: SplitHost;
  readonly #whole: Operation;
  readonly #partBytes: number;
  readonly #running = new Set<Operation>();
  #begun = 0; // bytes
  /** Where the first part that has ended before its own end has got to, bytes from the beginning. */
  #reached: number;
  /** No further part begins. */
  #stopped = false;
  #cancelled = false;
  /** Of the lowest part that has failed, by the system's word and by ours. */
  #error = { result: 0, offset: Infinity };
  #problem: { readonly error: Error | undefined; readonly offset: number } = {
    error: undefined,
    offset: Infinity,
  };

  constructor(host: SplitHost, whole: Operation, partBytes: number) {
    this.#host = host;
    this.#whole = whole;
    this.#partBytes = partBytes;
    this.#reached = whole.length;
  }

  /** Makes `part` the next one. Requires that the whole is waiting, which it is no longer after the last. */
  begin(part: Operation): void {
    const whole = this.#whole;
    const { file, checksums } = whole;
    part.kind = whole.kind;
    part.file = file;
    part.offset = whole.offset + this.#begun;
    part.length = Math.min(this.#partBytes, whole.length - this.#begun);
    part.unit = whole.unit;
    part.slabOffset = this.#begun;
    part.ioClass = whole.ioClass;
    part.flags = whole.flags;
    part.submittedNs = whole.submittedNs;
    part.sink = this;
    if (checksums !== undefined) {
      const before = this.#begun / checksums.blockSize; // blocks
      part.checksums = checksums;
      part.valueIndex = whole.valueIndex + before;
      part.blockNumber = whole.blockNumber + before;
    }
    file!.begin();
    this.#running.add(part);
    this.#begun += part.length;
    if (this.#begun === whole.length) this.#stop();
  }

  settle(part: Operation, result: number, bytesDone: number): void {
    const whole = this.#whole;
    this.#running.delete(part);
    if (whole.kind === OpKind.write && bytesDone > 0) whole.file!.grow(part.offset + bytesDone);
    if (bytesDone < part.length) {
      this.#reached = Math.min(this.#reached, part.offset - whole.offset + bytesDone);
      this.#stop();
    }
    this.#takeFailure(part, result);
    this.#endIfOver();
  }

  /** The parts that run are cancelled, with what that means for reads and writes; no other begins. */
  interrupt(reason: Error): void {
    const whole = this.#whole;
    const reads = whole.kind === OpKind.read;
    this.#stop();
    for (const part of this.#running) {
      if (reads) part.checksums = undefined; // whose arrays are the caller's again
      part.interrupt(reason);
    }
    if (reads && whole.sink.answersReadsAtOnce && this.#running.size > 0) {
      const { sink } = whole;
      whole.sink = silentSink;
      this.#tell(sink);
      whole.checksums = undefined;
    }
    this.#endIfOver();
  }

  /** No further part begins; the parts that run are given up by somebody else. */
  giveUp(): void {
    this.#stop();
    this.#endIfOver();
  }

  #stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#host.leave(this.#whole);
  }

  #takeFailure(part: Operation, result: number): void {
    const { offset, problem, interruptReason } = part;
    if (problem !== undefined) {
      if (offset < this.#problem.offset) this.#problem = { error: problem, offset };
      this.#stop();
    } else if (result === -ECANCELED) {
      this.#cancelled = true;
      this.#whole.interruptReason ??= interruptReason;
    } else if (result < 0 && offset < this.#error.offset) {
      this.#error = { result, offset };
    }
  }

  #endIfOver(): void {
    if (!this.#stopped || this.#running.size > 0) return;
    this.#host.end(this.#whole, () => {
      this.#tell(this.#whole.sink);
    });
  }

  #tell(sink: Sink): void {
    const whole = this.#whole;
    const { kind, length, checksums, valueIndex } = whole;
    const bytes = this.#contiguousBytes();
    if (kind === OpKind.read && checksums !== undefined) {
      markMissing({ plan: checksums, valueIndex }, bytes, length);
    }
    sink.settle(whole, this.#result(bytes), bytes);
  }

  /** What the system says before what we say before an interruption: that not all was done is no failure. */
  #result(bytes: number): number {
    const whole = this.#whole;
    if (this.#error.result < 0) return this.#error.result;
    whole.problem = this.#problem.error;
    const interrupted = this.#cancelled || whole.interruptReason !== undefined;
    return interrupted && bytes < whole.length ? -ECANCELED : bytes;
  }

  /** Done from the beginning on, without a gap. */
  #contiguousBytes(): number {
    let bytes = Math.min(this.#reached, this.#begun);
    for (const part of this.#running) bytes = Math.min(bytes, part.offset - this.#whole.offset);
    return bytes;
  }
}
