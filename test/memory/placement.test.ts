// Shows that a pool's memory lies where `engine.info` says, by what the kernel says of the process's mappings.

import { existsSync, readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { startEngine } from '../support/engine.js';

const MIB = 2 ** 20;
const NUMA_MAPS = '/proc/self/numa_maps';

/** Bytes on each node of all anonymous mappings that are larger than others of this process are. */
function bytesByNode(atLeastBytes: number): Map<number, number> {
  const total = new Map<number, number>();
  for (const line of readFileSync(NUMA_MAPS, 'utf8').split('\n')) {
    const page = Number(/kernelpagesize_kB=(\d+)/.exec(line)?.[1]) * 1024;
    const places = [...line.matchAll(/\bN(\d+)=(\d+)/g)].map(([, node, pages]) => ({
      node: Number(node),
      bytes: Number(pages) * page,
    }));
    const bytes = places.reduce((sum, place) => sum + place.bytes, 0);
    if (!line.includes('anon=') || bytes < atLeastBytes) continue;
    for (const place of places) {
      total.set(place.node, (total.get(place.node) ?? 0) + place.bytes);
    }
  }
  return total;
}

it('the memory of each part lies on its node', async (context) => {
  context.skip(!existsSync(NUMA_MAPS), 'this kernel has no NUMA');
  const bytes = 96 * MIB;
  const before = bytesByNode(bytes);
  const { info } = await startEngine({ pool: { bytes } });
  const after = bytesByNode(bytes / info.memory.nodes.length);
  expect(info.memory.nodes.length).toBeGreaterThan(0);
  for (const { node, bytes: partBytes, bytesOnNode, remarks } of info.memory.nodes) {
    if (node === undefined) continue;
    const there = (after.get(node) ?? 0) - (before.get(node) ?? 0);
    expect(bytesOnNode, remarks).toBe(partBytes);
    expect(there).toBeGreaterThanOrEqual(partBytes);
  }
});
