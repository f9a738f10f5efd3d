// What is going on, on stderr, while stdout waits for the report: one line that changes on a terminal, plain lines
// anywhere else.

export interface ProgressStream {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

const CLEAR_LINE = '\r\x1b[K';

export class Progress {
  readonly #stream: ProgressStream;
  #open = false;

  constructor(stream: ProgressStream = process.stderr) {
    this.#stream = stream;
  }

  /** Something begins. */
  show(text: string): void {
    if (this.#stream.isTTY !== true) {
      this.#stream.write(`${text}\n`);
      return;
    }
    // A line that wraps could not be taken back.
    const width = (this.#stream.columns || 80) - 1; // some terminals say 0
    this.#stream.write(CLEAR_LINE + text.slice(0, width));
    this.#open = true;
  }

  /** Nothing more comes: the terminal's line is given back. */
  end(): void {
    if (this.#open) this.#stream.write(CLEAR_LINE);
    this.#open = false;
  }
}
