import type { Database } from "../database.ts";
import type { Message } from "./message.ts";

/** What is to reach an address. */
export type Content = { send: Message } | { ping: { failed: boolean } };

/** Something that waits until it is sent. */
export interface Waiting {
  id: number;
  /** Which address, by a hash (server/addresses.ts): where it has been taken out of the settings, nothing is sent. */
  address: string;
  content: Content;
}

/** How many wait at most: the oldest give way. */
const most = 1000;

/** Seconds between tries, and how long after it was made something is tried at most. A ping that is old says what is wrong. */
const retry = {
  send: { first: 60, longest: 3600, within: 3 * 24 * 3600 },
  ping: { first: 10, longest: 300, within: 1800 },
};

/**
 * What waits to be sent, in the ledger's file, so that it is made in the transaction that its reason is stored in. What was
 * handed to the teller counts as sent unless it says otherwise: nothing is sent twice after a restart.
 */
export class Outbox {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
    this.#database.exec("DELETE FROM outbox WHERE handed = 1");
  }

  /** @param now in milliseconds since 1970 @returns how many gave way */
  add(address: string, content: Content, now: number): number {
    this.#database
      .prepare("INSERT INTO outbox (address, content, made, due, tries, handed) VALUES (?, ?, ?, ?, 0, 0)")
      .run(address, JSON.stringify(content), now, now);
    return this.#database
      .prepare(
        `DELETE FROM outbox WHERE handed = 0 AND id <= (SELECT id FROM outbox ORDER BY id DESC LIMIT 1 OFFSET ${most})`,
      )
      .run().changes;
  }

  /** Those whose time has come and that are not on their way. */
  due(now: number): Waiting[] {
    return this.#database
      .prepare<[number], { id: number; address: string; content: string }>(
        "SELECT id, address, content FROM outbox WHERE handed = 0 AND due <= ? ORDER BY id LIMIT 100",
      )
      .all(now)
      .map(({ content, ...row }) => ({ ...row, content: JSON.parse(content) }));
  }

  /** When the next one's time comes; Infinity if there is none. */
  nextDue(): number {
    const { due } =
      this.#database
        .prepare<[], { due: number | null }>("SELECT min(due) AS due FROM outbox WHERE handed = 0")
        .get() ?? {};
    return due ?? Number.POSITIVE_INFINITY;
  }

  /** It is on its way. */
  hand(id: number): void {
    this.#database.prepare("UPDATE outbox SET handed = 1 WHERE id = ?").run(id);
  }

  /** It is sent, or nobody is to get it any more. */
  remove(id: number): void {
    this.#database.prepare("DELETE FROM outbox WHERE id = ?").run(id);
  }

  /** It could not be sent. @returns whether it is tried again */
  putBack(id: number, now: number): boolean {
    const row = this.#database
      .prepare<[number], { content: string; made: number; tries: number }>(
        "SELECT content, made, tries FROM outbox WHERE id = ?",
      )
      .get(id);
    if (!row) return false;
    const { first, longest, within } = "ping" in JSON.parse(row.content) ? retry.ping : retry.send;
    const due = now + 1000 * Math.min(first * 2 ** row.tries, longest);
    if (due > row.made + 1000 * within) {
      this.remove(id);
      return false;
    }
    this.#database
      .prepare("UPDATE outbox SET handed = 0, tries = tries + 1, due = ? WHERE id = ?")
      .run(due, id);
    return true;
  }

  /** It did not even reach the teller, which has ended. */
  takeBack(id: number): void {
    this.#database.prepare("UPDATE outbox SET handed = 0 WHERE id = ?").run(id);
  }
}
