import { reasonOf } from "../failure.ts";
import { note } from "../report.ts";
import { Alarm } from "./alarm.ts";
import { inChild } from "./child.ts";
import type { Revoked } from "./end-revoked.ts";
import { Grace, grace } from "./grace.ts";

/** Ends connections whose key has been gone long enough. It looks at them only when a key may have gone. */
export class RevokedConnections {
  readonly #grace = new Grace();
  readonly #alarm = new Alarm();
  /** When to look, besides. */
  #looks: number[] = [];
  /** What was said of those that could not be ended at the last try. */
  #left: string[] = [];

  /** Keys may have been taken away just now. */
  look(): void {
    const now = performance.now();
    // Once more then for one that was being let in meanwhile.
    this.#looks.push(now, now + grace);
    this.#alarm.ring();
  }

  /** Does so without an end. */
  async keep(): Promise<never> {
    for (;;) {
      const now = performance.now();
      const due = Math.min(...this.#looks, this.#grace.due);
      if (due > now) {
        await this.#alarm.wait(due - now);
        continue;
      }
      this.#looks = this.#looks.filter((at) => at > now);
      try {
        const { open, ended, left } = await inChild<Revoked>("end-revoked", this.#grace.take(now));
        this.#grace.next(open, now);
        for (const line of ended) note(`${line} ended`);
        for (const line of left)
          if (!this.#left.includes(line))
            note(`${line} could not be ended`, "A restart of the container ends them all.");
        this.#left = left;
      } catch (error) {
        note(`open connections of removed keys could not be looked at: ${reasonOf(error)}`);
        this.#looks.push(performance.now() + grace);
      }
    }
  }
}
