// What happens to a volume as a whole while it is open: its baseline, rebaselining, growth, and coming into step again. Each is many
// operations, or one that has the volume for itself; so none of them runs within an operation of the gate.
//
//   out of step ── rebaseline: recovery, then tags ─▶ looked at again ─▶ open

import { abortError, closedError, ringboltError } from '../errors.js';
import { Baseline } from './baseline.js';
import type { VolumeCore } from './core.js';
import type { Gate } from './gate.js';
import { grow } from './growth.js';
import type { OpenedVolume } from './open.js';
import { isOutOfStep } from './out-of-step.js';
import { rebaseline, type RebaselineOptions, type RebaselineReport } from './rebaseline.js';
import type { RecoveryReport } from './recovery.js';

export class VolumeLife {
  readonly #opened: OpenedVolume;
  readonly #core: VolumeCore;
  readonly #gate: Gate;
  readonly #stop = new AbortController();
  readonly #running = new Set<Promise<unknown>>();
  readonly baseline: Baseline;
  #recovery: RecoveryReport | undefined;

  constructor(opened: OpenedVolume, gate: Gate) {
    this.#opened = opened;
    this.#core = opened.core;
    this.#gate = gate;
    this.#recovery = opened.recovery;
    this.baseline = new Baseline({ ...opened, gate, superblocks: opened.sidecar.superblocks });
    if (opened.baseline) this.#goOn();
  }

  get recovery(): RecoveryReport | undefined {
    return this.#recovery;
  }

  get isTruncated(): boolean {
    return this.#core.data.target.size < this.#core.geometry.dataBytes;
  }

  /** @throws if it was opened for reading, is out of step, or has failed */
  checkWritable(): void {
    this.#checkOpenedForWriting();
    const { path, outOfStep } = this.#core;
    if (outOfStep) {
      const text = `'${path}' is not what its sidecar is for: over half of the blocks that were looked at do not have their checksums`;
      throw outOfStepError(`${text}; nothing is written until rebaseline()`, path);
    }
    this.#core.checkFailure(); // rule 8
  }

  /**
   * Rule 12: data that became shorter does not become longer by a write somewhere behind its end.
   *
   * @throws if the data ends before `end`, in bytes
   */
  checkThere(end = this.#core.geometry.dataBytes): void {
    const { path, data, geometry } = this.#core;
    const { size } = data.target;
    if (end <= size) return;
    const text = `'${path}' is truncated: it ends at ${size}, its volume at ${geometry.dataBytes}`;
    throw outOfStepError(`${text}; make it as long again before anything is written there`, path);
  }

  /** Blocks `first` to `end` - 1. Resolves when their tags are durable. */
  async rebaseline(
    first: number,
    end: number,
    options: RebaselineOptions,
  ): Promise<RebaselineReport> {
    this.#checkOpenedForWriting();
    this.#core.checkFailure();
    const run = this.#rebaseline(first, end, options);
    this.#running.add(run);
    try {
      return await run;
    } catch (error) {
      const isStopped = (error as { code?: unknown }).code === 'ABORT_ERR' && this.#isStopping;
      throw isStopped ? closedError('volume', this.#core.path) : error;
    } finally {
      this.#running.delete(run);
    }
  }

  grow(size: number): Promise<void> {
    return this.#gate.alone(async () => {
      this.checkWritable();
      this.checkThere();
      const { core, sidecar, epochs, checkSpace } = this.#opened;
      const wasDone = this.baseline.status.state === 'done';
      await grow({ core, sidecar, epochs: epochs!, checkSpace }, size);
      if (wasDone) this.#goOn();
    });
  }

  /** Resolves when nothing of it is under way. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await Promise.allSettled([this.baseline.pause(), ...this.#running]);
  }

  get #isStopping(): boolean {
    return this.#stop.signal.aborted;
  }

  async #rebaseline(
    first: number,
    end: number,
    { signal, onProgress }: RebaselineOptions,
  ): Promise<RebaselineReport> {
    const core = this.#core;
    if (signal?.aborted === true) throw abortError(signal.reason);
    const signals = signal === undefined ? [] : [signal];
    const options = { signal: AbortSignal.any([...signals, this.#stop.signal]), onProgress };
    // What a crash left in dirty regions is taken in as after any crash.
    if (core.outOfStep) await this.#gate.alone(() => this.#recover());
    const report = await rebaseline(core, this.#gate, { first, end }, options);
    await this.#gate.run(() => this.#opened.epochs!.change());
    if (core.outOfStep) await this.#gate.alone(() => this.#lookAgain());
    return report;
  }

  async #recover(): Promise<void> {
    this.#recovery ??= await this.#opened.recover!();
  }

  async #lookAgain(): Promise<void> {
    const { core, sidecar, random } = this.#opened;
    const bitmaps = await sidecar.readBitmaps();
    if (await isOutOfStep({ sidecar, data: core.data, bitmaps, random })) return;
    core.adopt({ outOfStep: false });
    if (this.#opened.baseline) this.#goOn();
  }

  /** With what is left of the baseline. Its status says what becomes of it. */
  #goOn(): void {
    const isHeld = this.#core.dirty === undefined || this.#core.outOfStep || this.#isStopping;
    if (isHeld || this.isTruncated || this.baseline.status.state !== 'stopped') return;
    this.baseline.run().catch(() => undefined);
  }

  #checkOpenedForWriting(): void {
    if (this.#opened.epochs !== undefined) return;
    const { path } = this.#core;
    const text = `'${path}' was opened for reading`;
    throw ringboltError('ERR_RINGBOLT_UNSUPPORTED', text, { path });
  }
}

function outOfStepError(text: string, path: string): Error {
  return ringboltError('ERR_RINGBOLT_OUT_OF_STEP', text, { path });
}
