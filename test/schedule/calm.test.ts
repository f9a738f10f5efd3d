// Shows that reads without end starve nobody: timers and sockets of the same process keep their latency, measured against windows of
// the same run in which nothing is read, and in which node:fs reads. Many rounds and the figures: `npm run soak`, with
// RINGBOLT_CALM_ROUNDS.

import { expect, it } from 'vitest';
import { numberedFile, numberedFileInMemory } from '../lifecycle/numbered-file.js';
import { runForJson } from '../lifecycle/run-program.js';
import { BACKENDS, needBackend } from '../support/backends.js';

const ROUNDS = Number(process.env['RINGBOLT_CALM_ROUNDS'] ?? 3);
/** How long is too long. */
const LIMIT_MS = 60_000 + ROUNDS * 10_000;
const BLOCKS = 4096;
/** How much worse than the worse of the two controls. Starved, a loop would not turn once in a whole window. */
const FACTOR = 3;
const TURNS_PER_SECOND = 10;

type Window = Readonly<Record<'turnMs' | 'timerMs' | 'echoMs' | 'readsPerSecond', number>>;
type Kind = 'nothing' | 'memory' | 'disk' | 'peer';

function median(windows: readonly Window[], what: keyof Window): number {
  const sorted = windows.map((window) => window[what]).sort((a, b) => a - b);
  return sorted[sorted.length >> 1]!;
}

function medians(windows: readonly Window[]): Window {
  const of = (what: keyof Window) => median(windows, what);
  const times = { turnMs: of('turnMs'), timerMs: of('timerMs'), echoMs: of('echoMs') };
  return { ...times, readsPerSecond: of('readsPerSecond') };
}

it.for(BACKENDS)(
  'timers and sockets get their turns while reads complete without end: %s',
  { timeout: LIMIT_MS },
  async (backend, { skip }) => {
    await needBackend(backend, skip);
    const figures = await runForJson<Record<Kind, Window[]>>('schedule/programs/calm.cjs', {
      args: [numberedFileInMemory(BLOCKS), numberedFile(BLOCKS), String(ROUNDS)],
      env: { RINGBOLT_BACKEND: backend },
      limitMs: LIMIT_MS,
    });
    const control = { nothing: medians(figures.nothing), peer: medians(figures.peer) };
    if (process.env['RINGBOLT_CALM_ROUNDS'] !== undefined) {
      const read = { memory: medians(figures.memory), disk: medians(figures.disk) };
      console.log(`half of the time passed in turns, timers, echoes of so many ms: ${backend}`);
      console.table({ ...control, ...read });
    }
    for (const kind of ['memory', 'disk'] as const) {
      // The best of its windows: others on this machine spoil some, an engine that starves the loop all of them.
      const best = (what: keyof Window) => Math.min(...figures[kind].map((window) => window[what]));
      expect(best('readsPerSecond'), `reads, ${kind}`).toBeGreaterThan(0);
      expect(best('turnMs'), `turns, ${kind}`).toBeLessThan(1000 / TURNS_PER_SECOND);
      for (const what of ['turnMs', 'timerMs', 'echoMs'] as const) {
        const usual = Math.max(control.nothing[what], control.peer[what]);
        expect(best(what), `${what}, ${kind}`).toBeLessThan(FACTOR * usual);
      }
    }
  },
);
