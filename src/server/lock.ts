import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { type Database, openDatabase } from "../database.ts";
import { reasonOf } from "../failure.ts";
import { isRoot } from "../owner.ts";
import { OperatorError } from "../problem.ts";
import { foreignOwner } from "../user-namespace.ts";

/** How long a command waits for another one that changes the server, in milliseconds. */
const longestWait = 60_000;

/**
 * Runs an action while no other process runs one under the same lock: otherwise, of two rebuilds at once, the one with the
 * older view of /sshkeys could publish last. The lock is an exclusive SQLite transaction on an empty database. The kernel
 * releases it with the process, so nothing stale can be left.
 */
export function withLock<T>(file: string, action: () => T): T {
  if (!isRoot()) throw new OperatorError("only root can change the server");
  mkdirSync(dirname(file), { recursive: true });
  const database = take(file);
  try {
    return action();
  } finally {
    database.close();
  }
}

function take(file: string): Database {
  let database: Database | undefined;
  try {
    database = openDatabase(file, { readonly: false, timeout: longestWait });
    database.exec("BEGIN EXCLUSIVE");
    return database;
  } catch (error) {
    database?.close();
    if (error instanceof OperatorError) throw error;
    if ((error as { code?: string }).code === "SQLITE_BUSY")
      throw new OperatorError(
        "another command has been changing the server for a minute",
        "Run this again when it has ended.",
      );
    const foreign = foreignOwner(file) ?? foreignOwner(dirname(file));
    if (foreign)
      throw new OperatorError(
        `the lock ${file} cannot be taken: it, or its folder, belongs to an id that this container does not have (user namespace)`,
        foreign.hint,
      );
    throw new OperatorError(
      `the lock ${file} cannot be taken: ${reasonOf(error)}`,
      "If the storage is in order, remove the file: there is nothing in it.",
    );
  }
}
