// Something that runs once at a time, and whose callers join: at most one run is under way, and one waits. A caller's run began after
// its call, so it covers all that was there by then.
//
//   join ─▶ none is under way: it begins
//           one is:            one more waits for its end, and all that come meanwhile wait with it

export class JoinedRuns<T> {
  #running: Promise<T> | undefined;
  #next: Promise<T> | undefined;

  /** `run` is called if this call is the one that begins a run, or the first to wait for one. */
  join(run: () => Promise<T>): Promise<T> {
    if (this.#next !== undefined) return this.#next;
    if (this.#running === undefined) return this.#start(run);
    // That which is under way began before this call, so it does not cover all that it must.
    const startNext = () => {
      this.#next = undefined;
      return this.#start(run);
    };
    this.#next = this.#running.then(startNext, startNext);
    return this.#next;
  }

  async whenIdle(): Promise<void> {
    await Promise.allSettled([this.#running, this.#next]);
  }

  #start(run: () => Promise<T>): Promise<T> {
    this.#running = run().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }
}
