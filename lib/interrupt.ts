// One call's AbortSignal and deadline, and what they end: operations, or whatever else has an `interrupt` method.
//
//   signal ─ one listener for all calls with that signal ─┐
//                                                         ├─▶ Interrupt ─▶ interrupt(reason) of each target
//   timeoutMs ─ one timer for each call ──────────────────┘
//
// What interrupting means is the target's to say: one that waits goes at once, a read in the kernel is answered at once and
// its memory follows, a write in the kernel is answered with its real outcome (see Scheduler.interrupt).
//
// Nothing here keeps the process alive, and nothing outlives the call: when its last target has left, the timer is cleared and
// the listener forgets it.

import { abortError, ringboltError } from './errors.js';
import { checkInteger, checkOptions, invalidType } from './validate.js';

/** Something that can be told to end early. */
export interface Interruptible {
  interrupt(reason: Error): void;
}

/** Longest deadline: what a timer can hold, about 24 days. */
const MAX_TIMEOUT_MS = 2 ** 31 - 1;

// Taken once: a signal is the caller's object, and its methods may be anything by the time they are needed.
const { get: getAborted } = Object.getOwnPropertyDescriptor(AbortSignal.prototype, 'aborted') as {
  get: (this: AbortSignal) => boolean;
};
const { get: getReason } = Object.getOwnPropertyDescriptor(AbortSignal.prototype, 'reason') as {
  get: (this: AbortSignal) => unknown;
};
type Listening = (this: AbortSignal, type: 'abort', listener: () => void) => void;
const { addEventListener, removeEventListener } = EventTarget.prototype as {
  addEventListener: Listening;
  removeEventListener: Listening;
};

/** A signal as it was given, if it is one. */
export function checkSignal(name: string, signal: unknown): asserts signal is AbortSignal {
  try {
    getAborted.call(signal as AbortSignal);
  } catch {
    throw invalidType(name, 'an instance of AbortSignal', signal);
  }
}

export function checkTimeout(name: string, timeoutMs: unknown): asserts timeoutMs is number {
  checkInteger(name, timeoutMs, 1, MAX_TIMEOUT_MS);
}

/** `signal` was checked. */
export function isAborted(signal: AbortSignal | undefined): signal is AbortSignal {
  return signal !== undefined && getAborted.call(signal);
}

/** Throws if `signal` is aborted already: then nothing is to begin. */
function throwIfAborted(signal: AbortSignal | undefined): void {
  if (isAborted(signal)) throw abortError(getReason.call(signal));
}

/** The calls that wait for one signal. An EventTarget looks through all its listeners at each addition; a Set does not. */
class SignalGroup {
  readonly #signal: AbortSignal;
  readonly #members = new Set<Interrupt>();
  readonly #onAbort = (): void => {
    if (!getAborted.call(this.#signal)) return; // an event that somebody made up
    const reason = getReason.call(this.#signal);
    for (const member of [...this.#members]) member.fire(abortError(reason));
  };

  constructor(signal: AbortSignal) {
    this.#signal = signal;
  }

  add(member: Interrupt): void {
    if (this.#members.size === 0) addEventListener.call(this.#signal, 'abort', this.#onAbort);
    this.#members.add(member);
  }

  delete(member: Interrupt): void {
    this.#members.delete(member);
    if (this.#members.size === 0) removeEventListener.call(this.#signal, 'abort', this.#onAbort);
  }
}

const groups = new WeakMap<AbortSignal, SignalGroup>();

export class Interrupt {
  readonly #targets = new Set<Interruptible>();
  #group: SignalGroup | undefined;
  #timer: NodeJS.Timeout | undefined;
  #reason: Error | undefined;

  /** Both checked, and the signal not aborted. With neither, it fires when somebody says so. */
  constructor(signal: AbortSignal | undefined, timeoutMs: number | undefined) {
    if (signal !== undefined) {
      this.#group = groups.get(signal);
      if (this.#group === undefined) groups.set(signal, (this.#group = new SignalGroup(signal)));
      this.#group.add(this);
    }
    if (timeoutMs === undefined) return;
    this.#timer = setTimeout(() => {
      const text = `The operation took longer than ${timeoutMs} ms`;
      this.fire(ringboltError('ERR_RINGBOLT_TIMEOUT', text));
    }, timeoutMs);
    this.#timer.unref();
  }

  /** Why it has fired, if it has: then nothing further is to begin. */
  get reason(): Error | undefined {
    return this.#reason;
  }

  add(target: Interruptible): void {
    this.#targets.add(target);
  }

  /** The target has ended. The last one to go ends this as well. */
  delete(target: Interruptible): void {
    this.#targets.delete(target);
    if (this.#targets.size === 0) this.end();
  }

  /** Interrupts all targets, those that are added by one of them meanwhile included. Once. */
  fire(reason: Error): void {
    if (this.#reason !== undefined) return;
    this.#reason = reason;
    this.end();
    for (const target of this.#targets) target.interrupt(reason);
  }

  /** No signal and no deadline from here on. */
  end(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#group?.delete(this);
    this.#group = undefined;
  }
}

/** Of calls that only wait. */
export interface WaitOptions {
  /** Ends the wait, with an `AbortError`. */
  readonly signal?: AbortSignal;
  /** Ends it after so many milliseconds, 1 to 2^31 - 1, with `ERR_RINGBOLT_TIMEOUT`. Default: none. */
  readonly timeoutMs?: number;
}

/** Checks them, and begins. */
export function beginWait(options: WaitOptions): Interrupt | undefined {
  checkOptions('options', options, ['signal', 'timeoutMs']);
  const { signal, timeoutMs } = options;
  if (signal !== undefined) checkSignal('options.signal', signal);
  if (timeoutMs !== undefined) checkTimeout('options.timeoutMs', timeoutMs);
  return beginInterrupt(signal, timeoutMs);
}

/** For options that were checked, as the last thing before the work begins: from here on there is a timer. */
export function beginInterrupt(
  signal: AbortSignal | undefined,
  timeoutMs: number | undefined,
): Interrupt | undefined {
  if (signal === undefined && timeoutMs === undefined) return undefined;
  throwIfAborted(signal);
  return new Interrupt(signal, timeoutMs);
}

/** Settles as `promise` does, or rejects when interrupted; `promise` itself goes on. */
export function untilInterrupted<T>(promise: Promise<T>, interrupts: Interrupt): Promise<T> {
  return new Promise((resolve, reject) => {
    const waiter = { interrupt: reject };
    interrupts.add(waiter);
    promise.then(resolve, reject).finally(() => {
      interrupts.delete(waiter);
    });
  });
}
