// How much of this process is in memory, as the kernel counts it.

import { readFileSync } from 'node:fs';

export function residentBytes(): number {
  const rollup = readFileSync('/proc/self/smaps_rollup', 'utf8');
  return Number(/^Rss:\s+(\d+) kB/m.exec(rollup)![1]) * 1024;
}
