import type { Problem } from "../problem.ts";

/** What has to be said of problems now. */
export interface News {
  /** To be said for the first time. */
  appeared: Problem[];
  /** Were said, and are there no more. */
  mended: Problem[];
}

/** How long a problem must have been there until it is said, in milliseconds: a file that is being written looks like one without keys. */
export const certainAfter = 1000;

/** Which problems have been said, so that each is said once, and once more when it is mended. */
export class ToldProblems {
  readonly #told = new Map<string, Problem>();
  /** Those that have not been said yet, and when they were first seen. */
  #seen = new Map<string, number>();

  /**
   * @param problems all that a look found
   * @param now in milliseconds
   */
  next(problems: readonly Problem[], now: number): News {
    const found = new Map(problems.map((problem) => [keyOf(problem), problem]));
    const mended = [...this.#told].filter(([key]) => !found.has(key));
    for (const [key] of mended) this.#told.delete(key);
    const untold = [...found.keys()].filter((key) => !this.#told.has(key));
    this.#seen = new Map(untold.map((key) => [key, this.#seen.get(key) ?? now]));
    const certain = untold.filter((key) => now - this.#seen.get(key)! >= certainAfter);
    for (const key of certain) {
      this.#told.set(key, found.get(key)!);
      this.#seen.delete(key);
    }
    return { appeared: certain.map((key) => found.get(key)!), mended: mended.map(([, problem]) => problem) };
  }

  /** Those that were said and are there. */
  get all(): Problem[] {
    return [...this.#told.values()];
  }

  /** When one that was not said yet is to be looked at again; Infinity if there is none. */
  get due(): number {
    return Math.min(...this.#seen.values()) + certainAfter;
  }
}

const keyOf = ({ where, line, text }: Problem) => JSON.stringify([where, line ?? null, text]);
