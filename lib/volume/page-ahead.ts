// Which pages are likely to be wanted next: who asked for page after page goes on.

/** Sequential readers and writers that are known at a time. */
const STREAMS = 8;

/** Pages from `first` to `end` - 1. */
export interface PageRun {
  readonly first: number;
  readonly end: number;
}

interface Stream {
  /** It would ask for this one next. */
  next: number;
  /** Up to here all were read ahead. */
  end: number;
}

export class PageAhead {
  readonly #pageCount: () => number;
  readonly #depth: number;
  readonly #streams: Stream[] = Array.from({ length: STREAMS }, () => ({ next: -1, end: 0 }));
  #oldest = 0;
  #last = -1;

  /** `pageCount`: may become more. `depth`: pages ahead, at most; none with 0. */
  constructor(pageCount: () => number, depth: number) {
    this.#pageCount = pageCount;
    this.#depth = depth;
  }

  /** To be told of each use; says which pages are to be read now, if any. */
  use(page: number): PageRun | undefined {
    if (page === this.#last || this.#depth === 0) return undefined;
    this.#last = page;
    const stream = this.#streams.find(({ next }) => next === page);
    if (stream === undefined) {
      if (this.#streams.some(({ next }) => next === page + 1)) return undefined; // the same page again
      this.#streams[this.#oldest] = { next: page + 1, end: page + 1 };
      this.#oldest = (this.#oldest + 1) % STREAMS;
      return undefined;
    }
    stream.next = page + 1;
    // Half of it is left: more comes while that is used.
    if (stream.end - page > this.#depth / 2) return undefined;
    const first = Math.max(stream.end, page + 1);
    const end = Math.min(page + 1 + this.#depth, this.#pageCount());
    stream.end = Math.max(first, end);
    return first < end ? { first, end } : undefined;
  }
}
