/** How a burst of changes is awaited, in milliseconds. */
export interface Patience {
  /** How long nothing must have changed, so that the burst counts as over. */
  quiet: number;
  /** How long after its first change a burst that goes on is not waited for any longer. */
  longest: number;
}

/** Many changes in a moment, as `git checkout` and `rsync` make them, which are to be taken up as one. */
export class Burst {
  readonly #patience: Patience;
  #first: number | null = null;
  #last = 0;

  constructor(patience: Patience) {
    this.#patience = patience;
  }

  /** Something has changed. @param now in milliseconds, from any beginning */
  add(now: number): void {
    this.#first ??= now;
    this.#last = now;
  }

  /** When the changes are to be taken up; Infinity if there are none. */
  get due(): number {
    if (this.#first === null) return Number.POSITIVE_INFINITY;
    return Math.min(this.#last + this.#patience.quiet, this.#first + this.#patience.longest);
  }

  /** They are taken up: what comes from now on is another burst. */
  end(): void {
    this.#first = null;
  }
}
