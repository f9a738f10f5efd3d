// Reads the kernel's small files, below roots that tests replace by folders of their own.
//
// Synchronously: a read of sysfs or procfs is answered by the kernel from memory, never by a device, and takes a few
// microseconds; handed to a thread pool it would take longer and could wait behind one that does hang. What is read is
// bounded, and whatever is missing or odd is undefined: these files differ between kernels, and lie in containers.

import { closeSync, constants, openSync, opendirSync, readSync, realpathSync } from 'node:fs';
import path from 'node:path';

export interface TopologyRoots {
  /** Default `/sys`. */
  readonly sys?: string;
  /** Default `/proc`. */
  readonly proc?: string;
}

/** An attribute in sysfs is at most a page; of procfs, a status file is a little more. */
const MAX_TEXT_BYTES = 64 * 1024;
const MAX_ENTRIES = 16_384;
const CHUNK_BYTES = 64 * 1024;

/** A path below /sys. */
export function sysPath(roots: TopologyRoots, ...parts: readonly string[]): string {
  return path.join(roots.sys ?? '/sys', ...parts);
}

/** A path below /proc. */
export function procPath(roots: TopologyRoots, ...parts: readonly string[]): string {
  return path.join(roots.proc ?? '/proc', ...parts);
}

/** The contents without surrounding blanks; undefined if it cannot be read, or is longer than `maxBytes`. */
export function readText(file: string, maxBytes = MAX_TEXT_BYTES): string | undefined {
  let descriptor: number | undefined;
  try {
    // Never waits, not even for the other end of a FIFO that lies where an attribute should.
    descriptor = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
    const chunks: Buffer[] = [];
    for (let bytes = 0; ;) {
      const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
      const got = readSync(descriptor, chunk);
      if (got === 0) return Buffer.concat(chunks).toString('utf8').trim();
      bytes += got;
      if (bytes > maxBytes) return undefined;
      chunks.push(chunk.subarray(0, got));
    }
  } catch {
    return undefined;
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}

/** A whole number of at least `min`; undefined if the file says anything else. */
export function readNumber(file: string, min = 0): number | undefined {
  const text = readText(file);
  if (text === undefined || !/^-?\d+$/.test(text)) return undefined;
  const value = Number(text);
  return Number.isSafeInteger(value) && value >= min ? value : undefined;
}

/** `0` or `1`. */
export function readFlag(file: string): boolean | undefined {
  const text = readText(file);
  return text === '1' ? true : text === '0' ? false : undefined;
}

/** Names in a folder, sorted, numbers in them by value; none if there is no such folder. */
export function listFolder(folder: string): readonly string[] {
  const names: string[] = [];
  try {
    const handle = opendirSync(folder);
    try {
      for (let entry = handle.readSync(); entry !== null; entry = handle.readSync()) {
        if (names.push(entry.name) === MAX_ENTRIES) break;
      }
    } finally {
      handle.closeSync();
    }
  } catch {
    return [];
  }
  return names.sort(NATURAL_ORDER.compare);
}

const NATURAL_ORDER = new Intl.Collator('en', { numeric: true });

/** Where a link leads; undefined if nowhere. */
export function resolveLink(link: string): string | undefined {
  try {
    // Not the one in JavaScript, which asks for each folder on the way.
    return realpathSync.native(link);
  } catch {
    return undefined;
  }
}
