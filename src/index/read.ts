import { statSync } from "node:fs";
import { type Database, openDatabase } from "../database.ts";
import type { Account, Opening } from "../keys/account.ts";
import type { AccountSettings } from "../keys/account-settings.ts";
import type { FileState, PublishedFiles } from "../keys/file-state.ts";
import type { KeyAt } from "../keys/key-file.ts";
import { OperatorError } from "../problem.ts";
import { type Deletions, type Role, roleNames } from "../role.ts";
import { grantQuery, schemaVersion, whyUnreadable } from "./schema.ts";

/**
 * The accounts of a published index, with their keys. Throws if the index cannot answer.
 * @param withKeys the accounts whose keys are needed; by default all. The others have none
 */
export function readIndex(file: string, withKeys?: readonly string[]): Omit<Account, "state">[] {
  return withIndex(file, (index) => {
    const keys = new Map<string, KeyAt[]>();
    const sql = "SELECT account, type, blob, addresses, expires, fingerprint, comment, line FROM grant";
    const some = withKeys && JSON.stringify(withKeys);
    const where = some === undefined ? "" : "WHERE account IN (SELECT value FROM json_each(?))";
    for (const { account, ...key } of index
      .prepare<string[], KeyAt & { account: string }>(`${sql} ${where} ORDER BY line`)
      .all(...(some === undefined ? [] : [some]))) {
      const others = keys.get(account);
      if (others) others.push(key);
      else keys.set(account, [key]);
    }
    return index
      .prepare<[], Pick<Account, "name" | "role" | "source"> & SettingsRow>(
        `SELECT name, role, source, ${settingsColumns} FROM account ORDER BY name`,
      )
      .all()
      .map(({ name, role, source, ...row }) => ({
        ...{ name, role, source, keys: keys.get(name) ?? [] },
        ...settingsIn(row),
      }));
  });
}

/** Whether a published index lets an account in with a key: what a login asks. Throws if it cannot answer. */
export function isGranted(file: string, account: string, fingerprint: string): boolean {
  return withIndex(
    file,
    (index) => index.prepare<[string, string]>(grantQuery).get(account, fingerprint) !== undefined,
  );
}

/** The key files of a published index; none where it cannot answer or is damaged. */
export function publishedFiles(file: string): PublishedFiles {
  const none: PublishedFiles = new Map();
  return answerOr(none, () =>
    withIndex(file, (index) => {
      if (!isWhole(index)) return none;
      const rows = index
        .prepare<[], FileState & { source: string }>(
          "SELECT source, size, mtime, ctime, inode, device, hash FROM account WHERE size IS NOT NULL",
        )
        .all();
      return new Map(rows.map((row) => [row.source, row]));
    }),
  );
}

/** The accounts of a published index, without keys; none where it cannot answer, or not to this user. */
export function accountsServed(file: string): Opening[] {
  const sql = `SELECT name, role, ${settingsColumns} FROM account`;
  return answerOr([], () =>
    withIndex(file, (index) =>
      index
        .prepare<[], Pick<Account, "name" | "role"> & SettingsRow>(sql)
        .all()
        .map(({ name, role, ...row }) => ({ name, role, ...settingsIn(row) })),
    ),
  );
}

/** How much a published index holds, and when it was published, in milliseconds since 1970; null where it cannot answer. */
export function countIndex(file: string): { accounts: number; keys: number; published: number } | null {
  const sql = "SELECT (SELECT count(*) FROM account) AS accounts, (SELECT count(*) FROM grant) AS keys";
  return answerOr(null, () =>
    withIndex(file, (index) => {
      const counts = index.prepare<[], { accounts: number; keys: number }>(sql).get();
      return counts ? { ...counts, published: Math.floor(statSync(file).mtimeMs) } : null;
    }),
  );
}

/** Whether an account of a published index has settings of a file. */
export function hasSettings(file: string): boolean {
  const some = `SELECT 1 FROM account WHERE coalesce(${settingsColumns}) IS NOT NULL LIMIT 1`;
  return answerOr(false, () => withIndex(file, (index) => index.prepare(some).get() !== undefined));
}

const settingsColumns = "repository, quota, late_after, deletions, archived";

interface SettingsRow {
  repository: string | null;
  quota: number | null;
  late_after: number | null;
  deletions: Deletions | null;
  archived: number | null;
}

function settingsIn(row: SettingsRow): { settings?: AccountSettings } {
  const { repository, quota, late_after, deletions, archived } = row;
  const settings: AccountSettings = {
    ...(repository !== null && { repository }),
    ...(quota !== null && { quota }),
    ...(late_after !== null && { lateAfter: late_after }),
    ...(deletions !== null && { deletions }),
    ...(archived !== null && { archived: archived === 1 }),
  };
  return Object.keys(settings).length > 0 ? { settings } : {};
}

/**
 * The roles that accounts of the key folder have in a published index, of whichever schema version: each had these
 * columns. Null if it cannot answer or is damaged.
 */
export function rolesInIndex(file: string): Set<Role> | null {
  return answerOr(null, () =>
    withIndex(
      file,
      (index) => {
        if (!isWhole(index)) return null;
        const sql = "SELECT DISTINCT role FROM account WHERE source LIKE '/%'";
        const found = index.prepare<[], { role: string }>(sql).all();
        return new Set(roleNames.filter((name) => found.some(({ role }) => role === name)));
      },
      { anyVersion: true },
    ),
  );
}

/** SQLite's own check of the file, page by page. */
const isWhole = (index: Database) => index.pragma("integrity_check", { simple: true }) === "ok";

/** What a query answers, or this where the index cannot. That SQLite itself is missing is no fault of an index. */
function answerOr<T>(otherwise: T, query: () => T): T {
  try {
    return query();
  } catch (error) {
    if (error instanceof OperatorError) throw error;
    return otherwise;
  }
}

/** Longest wait for a lock, in milliseconds: nothing locks a published index. */
const lockTimeout = 500;

function withIndex<T>(file: string, query: (index: Database) => T, { anyVersion = false } = {}): T {
  // SQLite would wait on a FIFO, which has no end.
  if (statSync(file, { throwIfNoEntry: false })?.isFile() === false)
    throw new Error("it is not a regular file");
  const index = openDatabase(file, { readonly: true, timeout: lockTimeout });
  try {
    const mark = (name: string) => index.pragma(name, { simple: true });
    const version = anyVersion ? schemaVersion : mark("user_version");
    const reason = whyUnreadable(mark("application_id"), version);
    if (reason) throw new Error(reason);
    return query(index);
  } finally {
    index.close();
  }
}
