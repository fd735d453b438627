import { Database } from "bun:sqlite";
import { file as fileAt } from "bun";
import type { Limits } from "../keys/key-options.ts";
import type { Role } from "../role.ts";
import { grantQuery, whyUnreadable } from "./schema.ts";

/** What an account may do with a key. */
export interface Grant extends Limits {
  role: Role;
  /** The name of the repository that the account opens, if that is not its own. */
  repository: string | null;
  /** Appended to borg serve. */
  extraArguments: string[];
  /** In bytes; null for none. */
  quota: number | null;
  /** Whether the repository is frozen; null as for "no". */
  archived: number | null;
  type: string;
  blob: string;
}

/** Longest wait for a lock, in milliseconds. Nothing should lock a published index, and a login must not wait for what does. */
const lockTimeout = 500;

/**
 * The grant for this account and this fingerprint, or null. Throws if the index cannot answer: it is missing, damaged,
 * locked, or of another schema version. For logins only: the SQLite that is part of the runtime costs them less than that
 * of commands (database.ts).
 */
export function lookUpGrant(file: string, account: string, fingerprint: string): Grant | null {
  // SQLite would wait on a FIFO for ever.
  if (fileAt(file).size === Number.POSITIVE_INFINITY) throw new Error("it is not a regular file");
  const index = new Database(file, { readonly: true });
  try {
    index.exec(`PRAGMA busy_timeout = ${lockTimeout}`);
    const reason = whyUnreadable(pragma(index, "application_id"), pragma(index, "user_version"));
    if (reason) throw new Error(reason);
    const row = index
      .prepare<Omit<Grant, "extraArguments"> & { arguments: string }, [string, string]>(grantQuery)
      .get(account, fingerprint);
    if (!row) return null;
    const { arguments: extraArguments, ...grant } = row;
    return { ...grant, extraArguments: JSON.parse(extraArguments) };
  } finally {
    index.close();
  }
}

function pragma(index: Database, name: string): unknown {
  return Object.values(index.prepare<Record<string, unknown>, []>(`PRAGMA ${name}`).get() ?? {})[0];
}
