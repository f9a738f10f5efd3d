// Shows what becomes of that which nobody closes, releases or even knows any more: it is taken back, and never while it is in
// use.

import { describe, expect, it } from 'vitest';
import { BLOCK, numberedFile } from './numbered-file.js';
import { runForJson } from './run-program.js';

const SLABS = 256;

function forget(what: string): Promise<unknown> {
  return runForJson('lifecycle/programs/forgotten.cjs', {
    node: ['--expose-gc'],
    args: [numberedFile(), what],
  });
}

describe('a forgotten engine', () => {
  it('ends its threads and closes its files', async () => {
    expect(await forget('engine')).toEqual({ threads: [], descriptors: 0 });
  });

  it('ends what is in flight first', async () => {
    expect(await forget('engineWithRead')).toEqual({ threads: [], bytes: BLOCK });
  });

  it('ends its thread even if it was never started', async () => {
    expect(await forget('engineNeverStarted')).toEqual({ threads: [] });
  });

  it('is not forgotten while one of its files is known', async () => {
    expect(await forget('allButTheFile')).toEqual({ bytes: BLOCK });
  });

  it('leaves the memory of a lease to whoever has a view of it', async () => {
    expect(await forget('engineButNotAView')).toEqual({ threads: [], whole: true });
  });
});

describe('a forgotten lease', () => {
  it('is taken back and counted, and its slab is usable again', async () => {
    expect(await forget('leases')).toEqual({
      exhausted: true,
      leakedTotal: SLABS,
      bytesInUse: 0,
      whole: true,
    });
  });

  it('is warned about, once', async () => {
    expect(await forget('leasesTwice')).toEqual({ leakedTotal: 2 * SLABS, warnings: 1 });
  });

  it('is not taken back while a view of it is known', async () => {
    const got = await forget('leaseButNotItsView');
    expect(got).toEqual({ leakedTotal: 0, bytesInUse: BLOCK, kept: true });
  });

  it('is not taken back while it is in flight, but afterwards', async () => {
    expect(await forget('leasesInFlight')).toEqual({
      inUseInFlight: SLABS * BLOCK,
      leakedInFlight: 0,
      done: SLABS,
      leakedTotal: SLABS,
    });
  });
});

describe('a forgotten lease', () => {
  it('of its own memory is taken back too', async () => {
    expect(await forget('largeLease')).toEqual({ leakedTotal: 1, zeros: true });
  });

  it('serves whoever waits for memory', async () => {
    expect(await forget('whileSomebodyWaits')).toEqual({ length: BLOCK });
  });

  it('is named in debug mode', async () => {
    expect(await forget('inDebugMode')).toEqual({ named: true });
  });
});

describe('a view that outlives its lease', () => {
  it('sees memory of the pool, whatever is done to that', async () => {
    const got = await forget('leasesButNotTheirViews');
    expect(got).toEqual({ afterTrim: [0, 0], written: [9, 9] });
  });
});

describe('a lease', () => {
  it('keeps its memory though no view of it is known', async () => {
    expect(await forget('viewButNotTheLease')).toEqual({ leakedTotal: 0, kept: true });
  });

  it('that was released does not count as leaked', async () => {
    expect(await forget('nothing')).toEqual({ leakedTotal: 0 });
  });
});
