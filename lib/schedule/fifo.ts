// A first-in, first-out list over one array that doubles when full: push and shift touch one element each.
//
//   [ . . a b c d . . ]      head → a, tail → the first free place behind d; both wrap round
//
// Bounded by whoever pushes.

export class Fifo<T> {
  #items: (T | undefined)[] = new Array<T | undefined>(16);
  #head = 0;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  push(item: T): void {
    if (this.#length === this.#items.length) this.#grow();
    this.#items[(this.#head + this.#length) & (this.#items.length - 1)] = item;
    this.#length++;
  }

  shift(): T | undefined {
    if (this.#length === 0) return undefined;
    const item = this.#items[this.#head];
    this.#items[this.#head] = undefined; // not kept alive by a place that is free
    this.#head = (this.#head + 1) & (this.#items.length - 1);
    this.#length--;
    return item;
  }

  peek(): T | undefined {
    return this.#items[this.#head];
  }

  #grow(): void {
    const old = this.#items;
    this.#items = [...old.slice(this.#head), ...old.slice(0, this.#head)];
    this.#items.length = old.length * 2;
    this.#head = 0;
  }
}
