import type { Database } from "../database.ts";
import type { Told } from "./news.ts";

/** What people were told of, in the ledger's file: nothing is told twice after a restart. */
export class ToldConditions {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  all(): Told[] {
    return this.#database.prepare<[], Told>("SELECT kind, subject, level, text, said FROM told").all();
  }

  /** To be called in the transaction that stores the messages about them. */
  replace(told: readonly Told[]): void {
    this.#database.exec("DELETE FROM told");
    const insert = this.#database.prepare("INSERT INTO told VALUES (@kind, @subject, @level, @text, @said)");
    for (const each of told) insert.run(each);
  }
}
