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
  /** When to look, besides; once more for connections that were being let in when keys were last taken away. */
  #next = 0; // those of a keeper before this one
  #onceMore = Number.POSITIVE_INFINITY;
  /** What was said of those that could not be ended at the last try. */
  #left: string[] = [];

  /** Changes were taken up just now. @param isRevoking whether keys may have been taken away by them */
  look(isRevoking: boolean): void {
    const isWaiting = this.#grace.due < Number.POSITIVE_INFINITY; // for a key, which may be back
    if (!isRevoking && !isWaiting) return;
    this.#next = performance.now();
    if (isRevoking) this.#onceMore = this.#next + grace;
    this.#alarm.ring();
  }

  /** Does so without an end. */
  async keep(): Promise<never> {
    for (;;) {
      const now = performance.now();
      const due = Math.min(this.#next, this.#onceMore, this.#grace.due);
      if (due > now) {
        await this.#alarm.wait(due - now);
        continue;
      }
      this.#next = Number.POSITIVE_INFINITY;
      if (this.#onceMore <= now) this.#onceMore = Number.POSITIVE_INFINITY;
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
        this.#onceMore = performance.now() + grace;
      }
    }
  }
}
