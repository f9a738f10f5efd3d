// The promise of an operation whose sink settles it by the operation's own ends.

import type { Operation } from './operation.js';

// One executor for all promises: a closure for each would be the only thing that submitting allocates besides. It runs
// inside `new Promise`, so nothing can come between it and the reading of what it left here.
let lastResolve: ((value: number) => void) | undefined;
let lastReject: ((reason: Error) => void) | undefined;
const takeEnds = (resolve: (value: number) => void, reject: (reason: Error) => void): void => {
  lastResolve = resolve;
  lastReject = reject;
};

export function promiseOf(op: Operation): Promise<number> {
  const promise = new Promise(takeEnds);
  op.resolve = lastResolve;
  op.reject = lastReject;
  lastResolve = undefined;
  lastReject = undefined;
  return promise;
}
