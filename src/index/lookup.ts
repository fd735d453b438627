import { file as fileAt } from "bun";
import type { Limits } from "../keys/key-options.ts";
import type { Landlock, Role } from "../role.ts";
import { applicationId, schemaVersion } from "./schema.ts";
import { type Database, openDatabase, pragma } from "./sqlite.ts";

/** What an account may do with a key. */
export interface Grant extends Limits {
  role: Role;
  type: string;
  blob: string;
  extraArguments: string[];
  landlock: Landlock;
}

/** Longest wait for a lock, in milliseconds. Nothing locks a published index, so a lock is a fault, and a login must not wait for it. */
const lockTimeout = 500;

/**
 * The grant for this account and this fingerprint, or null. Throws where the index cannot answer: missing,
 * damaged, locked, of another schema version.
 */
export function lookUpGrant(file: string, account: string, fingerprint: string): Grant | null {
  const database = openIndex(file);
  const row = database
    .prepare<Omit<Grant, "extraArguments"> & { arguments: string }>(
      `SELECT role, type, blob, addresses, expires, arguments, landlock FROM grant JOIN role ON role.name = grant.role
       WHERE account = ? AND fingerprint = ?`,
    )
    .get(account, fingerprint);
  database.close();
  if (!row) return null;
  const { arguments: extraArguments, ...grant } = row;
  return { ...grant, extraArguments: JSON.parse(extraArguments) };
}

/** Opens a published index for reading, and makes sure that it is one that this program reads. */
export function openIndex(file: string): Database {
  const database = openAnyIndex(file);
  try {
    const version = pragma(database, "user_version");
    if (version !== schemaVersion)
      throw new Error(`its schema is version ${version}, this program reads version ${schemaVersion}`);
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

/** The same for an index of any schema version. */
export function openAnyIndex(file: string): Database {
  // SQLite would wait on a FIFO, which has no end.
  if (fileAt(file).size === Number.POSITIVE_INFINITY) throw new Error("it is not a regular file");
  const database = openDatabase(file, { readonly: true, timeout: lockTimeout });
  try {
    if (pragma(database, "application_id") !== applicationId) throw new Error("it is not a borgserver index");
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}
