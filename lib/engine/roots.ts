// Another machine for an engine to find itself on, for tests: queues are placed, and files' devices looked up, as the files
// below these roots say. Threads are bound for real.
//
// The key is a symbol that the package does not export, as that of faults.ts.

import type { StorageRoots } from '../topology/storage.js';
import type { EngineOptions } from './options.js';

const ROOTS = Symbol('ringbolt.roots');

export function withRoots(options: EngineOptions, roots: StorageRoots): EngineOptions {
  const marked: EngineOptions & { [ROOTS]: StorageRoots } = { ...options, [ROOTS]: roots };
  return marked;
}

export function rootsOf(options: EngineOptions): StorageRoots {
  return (options as { readonly [ROOTS]?: StorageRoots })[ROOTS] ?? {};
}
