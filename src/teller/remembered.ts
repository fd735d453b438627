import type { Published } from "./published.ts";

/** For how long a text that says how old something is may be the same, in milliseconds. */
const freshness = 5000;

/** What was made of a state: many who ask at once cost as much as one. Of another state nothing is left. */
export class Remembered {
  #of: Published | null = null;
  readonly #made = new Map<string, { at: number; content: Promise<Buffer> }>();

  /**
   * @param key which text it is
   * @param now in milliseconds since 1970
   * @param make is called where it is not remembered
   */
  get(state: Published, key: string, now: number, make: () => string | Promise<string>): Promise<Buffer> {
    if (state !== this.#of) this.#made.clear();
    this.#of = state;
    const known = this.#made.get(key);
    if (known && Math.abs(now - known.at) < freshness) return known.content;
    const content = Promise.resolve(make()).then((text) => Buffer.from(text));
    this.#made.set(key, { at: now, content });
    return content;
  }
}
