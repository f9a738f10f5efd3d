// Who is at work on a volume: any number of operations, or one that needs it for itself.
//
//   run ─▶ running, at once          alone ─▶ later ones wait ─▶ those running have ended ─▶ it runs ─▶ those that waited
//
// What makes up a volume is exchanged under `alone` (rule 14): whoever runs here may rely on it from beginning to end.

export class Gate {
  /** Those that run, and those that wait to. */
  #users = 0;
  #running = 0;
  /** Until whoever is alone has ended. */
  #closed: Promise<void> | undefined;
  #onIdle: (() => void) | undefined;
  #onEmpty: (() => void) | undefined;

  run<T>(operation: () => Promise<T>): Promise<T> {
    this.#users++;
    return this.#closed === undefined ? this.#begin(operation) : this.#beginLater(operation);
  }

  #begin<T>(operation: () => Promise<T>): Promise<T> {
    this.#running++;
    try {
      return operation().then(this.#end, this.#endWith);
    } catch (error) {
      return this.#endWith(error);
    }
  }

  async #beginLater<T>(operation: () => Promise<T>): Promise<T> {
    while (this.#closed !== undefined) await this.#closed;
    return this.#begin(operation);
  }

  // One of each for all, as they are on the path of every operation.
  readonly #end = <T>(value: T): T => {
    this.#running--;
    if (this.#running === 0) this.#onIdle?.();
    this.#leave();
    return value;
  };
  readonly #endWith = (error: unknown): Promise<never> => Promise.reject(this.#end(error));

  /** `operation` must not wait for anybody who runs here. */
  async alone<T>(operation: () => Promise<T>): Promise<T> {
    this.#users++;
    while (this.#closed !== undefined) await this.#closed;
    let open: () => void = () => undefined;
    this.#closed = new Promise((resolve) => {
      open = resolve;
    });
    try {
      await this.#whenIdle();
      return await operation();
    } finally {
      this.#closed = undefined;
      open();
      this.#leave();
    }
  }

  /** Resolves when nobody runs or waits to. To be called once, when nobody comes any more. */
  async whenEmpty(): Promise<void> {
    if (this.#users === 0) return;
    await new Promise<void>((resolve) => {
      this.#onEmpty = resolve;
    });
  }

  async #whenIdle(): Promise<void> {
    if (this.#running === 0) return;
    await new Promise<void>((resolve) => {
      this.#onIdle = resolve;
    });
    this.#onIdle = undefined;
  }

  #leave(): void {
    this.#users--;
    if (this.#users === 0) this.#onEmpty?.();
  }
}
