// How far something has come that goes through bytes: a line now and then, with the rate and the time that is left.

import type { Progress } from '../../bench/progress.js';
import { formatBytes } from '../probe/report.js';

/** Between two lines: on a terminal, where one takes the place of the other, and elsewhere. */
const TERMINAL_MS = 250;
const LOG_MS = 10_000;
const MB = 1e6;

export class Ticker {
  readonly #progress: Progress;
  readonly #from: number;
  readonly #total: number;
  readonly #intervalMs: number;
  readonly #now: () => number;
  readonly #startedMs: number;
  #nextMs: number;

  /** Bytes: done before this begins, and all there are. */
  constructor(
    progress: Progress,
    from: number,
    total: number,
    now: () => number = () => performance.now(),
  ) {
    this.#progress = progress;
    this.#from = from;
    this.#total = total;
    this.#intervalMs = process.stderr.isTTY ? TERMINAL_MS : LOG_MS;
    this.#now = now;
    this.#startedMs = now();
    this.#nextMs = this.#startedMs + this.#intervalMs;
  }

  /** So many bytes are done. */
  tick(done: number): void {
    const nowMs = this.#now();
    if (nowMs < this.#nextMs) return;
    this.#nextMs = nowMs + this.#intervalMs;
    const seconds = (nowMs - this.#startedMs) / 1000;
    const rate = (done - this.#from) / seconds;
    const share = Math.floor((100 * done) / this.#total);
    const parts = [
      `${share} %`,
      `${formatBytes(done)} of ${formatBytes(this.#total)}`,
      `${Math.round(rate / MB)} MB/s`,
    ];
    if (rate > 0) parts.push(`${formatSeconds((this.#total - done) / rate)} left`);
    this.#progress.show(parts.join(', '));
  }
}

/** `45 s`, `12 min`, `3 h 20 min` */
export function formatSeconds(seconds: number): string {
  if (seconds < 100) return `${Math.ceil(seconds)} s`;
  const minutes = Math.ceil(seconds / 60);
  if (minutes < 100) return `${minutes} min`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
