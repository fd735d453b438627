/**
 * How long the key of an open connection must have been gone until the connection is ended, in milliseconds. `git checkout`
 * and `rsync --delete-before` take files away that they put back, and must not end backups.
 */
export const grace = 60_000;

/** The connections whose key is gone, and since when. */
export class Grace {
  #since = new Map<string, number>();

  /** A look found these, and no others. @param now in milliseconds */
  next(found: readonly string[], now: number): void {
    this.#since = new Map(found.map((connection) => [connection, this.#since.get(connection) ?? now]));
  }

  /** Takes those whose time is over. One that a look finds again gets its time anew. */
  take(now: number): string[] {
    const over = [...this.#since]
      .filter(([, since]) => now - since >= grace)
      .map(([connection]) => connection);
    for (const connection of over) this.#since.delete(connection);
    return over;
  }

  /** When the next one's time is over; Infinity if there is none. */
  get due(): number {
    return Math.min(...this.#since.values()) + grace;
  }
}
