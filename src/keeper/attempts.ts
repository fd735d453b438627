import { reasonOf } from "../failure.ts";
import { note } from "../report.ts";

/** Work that is done again and again, whose failure is said once until it succeeds or fails otherwise. */
export class Attempts {
  readonly #what: string;
  readonly #hint: string;
  #said = "";

  /** @param what what cannot be done, for the log */
  constructor(what: string, hint: string) {
    this.#what = what;
    this.#hint = hint;
  }

  async attempt(work: () => Promise<void>): Promise<void> {
    try {
      await work();
      this.#said = "";
    } catch (error) {
      const reason = reasonOf(error);
      if (reason !== this.#said) note(`${this.#what}: ${reason}`, this.#hint);
      this.#said = reason;
    }
  }
}
