// Which of the cached pages is to go: those of one pass before those that are used time and again.
//
//             new                          hot, or a ghost that came back
//   ──────────▶ probation, in order ──────────────────────────▶ main, a clock
//                   │ oldest                                      │ not used since the hand came by
//                   ▼                                             ▼
//                 ghosts: numbers alone                          gone
//
// This is 2Q. A pass through all blocks uses each page many times, but all at once: uses that come soon after the first count for nothing,
// "soon" being measured in changes from page to page. A page is hot if it is used later than that. So a pass through the whole
// volume goes through probation and leaves main as it was.

/** A place for a page: of one after the other, as each goes. */
export class CachedPage {
  number = -1;
  /** In main: since the hand came by. */
  used = false;
  /** In probation: was used again after a while. */
  hot = false;
  /** Changes from page to page when it was first used; -1 if it never was. */
  firstUse = -1;
  isMain = false;

  /** Before it is added. */
  begin(number: number): void {
    this.number = number;
    this.used = this.hot = this.isMain = false;
    this.firstUse = -1;
  }
}

export class PageOrder<T extends CachedPage> {
  readonly #probation = new Set<T>();
  readonly #main = new Set<T>();
  readonly #ghosts = new Set<number>();
  /** Probation is left this much. */
  readonly #probationPages: number;
  readonly #maxGhosts: number;
  readonly #soon: number;
  #changes = 0;
  #last: T | undefined;

  constructor(capacity: number) {
    this.#probationPages = Math.max(1, Math.floor(capacity / 4));
    this.#maxGhosts = Math.max(1, Math.floor(capacity / 2));
    this.#soon = Math.max(8, capacity);
  }

  add(page: T): void {
    page.isMain = this.#ghosts.delete(page.number);
    (page.isMain ? this.#main : this.#probation).add(page);
  }

  use(page: T): void {
    if (page !== this.#last) {
      this.#changes++;
      this.#last = page;
    }
    page.used = true;
    if (page.firstUse < 0) page.firstUse = this.#changes;
    else if (this.#changes - page.firstUse > this.#soon) page.hot = true;
  }

  /** It is given up, for another reason than its turn. */
  remove(page: T): void {
    this.#probation.delete(page);
    this.#main.delete(page);
    if (this.#last === page) this.#last = undefined;
  }

  /**
   * Takes out the page whose turn it is. Asks of each whether it may go; those that may not are asked again after all others, and `limit`
   * of them are enough. Undefined if it found none.
   */
  evict(mayGo: (page: T) => boolean, limit: number): T | undefined {
    const { size } = this.#probation;
    const queues = size > this.#probationPages || this.#main.size === 0 ? [0, 1] : [1, 0];
    for (const queue of queues) {
      const page = queue === 0 ? this.#evictProbation(mayGo, limit) : this.#evictMain(mayGo, limit);
      if (page !== undefined) return page;
    }
    return undefined;
  }

  #evictProbation(mayGo: (page: T) => boolean, limit: number): T | undefined {
    let [left, refusals] = [this.#probation.size, limit];
    for (const page of this.#probation) {
      if (left-- === 0 || refusals === 0) break;
      if (page.hot) {
        this.#probation.delete(page);
        page.isMain = true;
        this.#main.add(page);
      } else if (mayGo(page)) {
        this.remove(page);
        this.#remember(page.number);
        return page;
      } else {
        refusals--;
        this.#probation.delete(page);
        this.#probation.add(page);
      }
    }
    return undefined;
  }

  #evictMain(mayGo: (page: T) => boolean, limit: number): T | undefined {
    // Twice around: the first time may only have found that all were used.
    let [left, refusals] = [2 * this.#main.size, limit];
    for (const page of this.#main) {
      if (left-- === 0 || refusals === 0) break;
      if (!page.used && mayGo(page)) {
        this.remove(page);
        return page;
      }
      if (!page.used) refusals--;
      page.used = false;
      this.#main.delete(page);
      this.#main.add(page);
    }
    return undefined;
  }

  #remember(number: number): void {
    this.#ghosts.add(number);
    if (this.#ghosts.size <= this.#maxGhosts) return;
    const [oldest] = this.#ghosts;
    this.#ghosts.delete(oldest!);
  }
}
