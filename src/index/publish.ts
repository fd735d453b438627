import { chmodSync, chownSync, closeSync, fsyncSync, openSync, renameSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import { type Database, openDatabase } from "../database.ts";
import type { FoundAccount } from "../keys/account.ts";
import { OperatorError } from "../problem.ts";
import { counted, type Progress, unseen } from "../progress.ts";
import { type Landlock, type Role, roleNames } from "../role.ts";
import { schema } from "./schema.ts";
import { countServed, servedFileOf, writeServed } from "./served.ts";

/** All that an index says. */
export interface IndexContent {
  accounts: readonly FoundAccount[];
  /** Appended to borg serve, by role. */
  extraArguments: Readonly<Record<Role, string[]>>;
  /** How sessions are confined. */
  landlock: Landlock;
}

/**
 * Builds a new index next to the old one and renames it over that (rename(2)): readers see one or the other, whole, and
 * a crash at any point leaves the old one. The accounts of unchanged files are copied from the old one. The caller holds
 * the lock (lock.ts).
 * @param group numeric group that may read it, and look into its folder
 * @returns how many keys it holds
 */
export function publishIndex(
  file: string,
  content: IndexContent,
  group: number,
  progress: Progress = unseen,
): number {
  const unfinished = `${file}.new`;
  let keys: number;
  try {
    rmSync(unfinished, { force: true });
    keys = build(unfinished, file, content, progress);
    for (const [path, mode] of [
      [dirname(file), 0o750],
      [unfinished, 0o640],
    ] as const) {
      chownSync(path, 0, group);
      chmodSync(path, mode);
    }
    sync(unfinished);
    // SQLite would take such files, if another program left them next to the old index, for a part of the new one.
    for (const rest of ["wal", "shm", "journal"]) rmSync(`${file}-${rest}`, { force: true });
    // Before the index, so that what it is about to serve is known even after a crash in between.
    writeServed(servedFileOf(file), countServed(content.accounts));
    renameSync(unfinished, file);
  } catch (error) {
    rmSync(unfinished, { force: true });
    throw new OperatorError(
      `the index ${file} could not be replaced and is as it was: ${(error as Error).message}`,
      "When that is repaired: index rebuild --full",
    );
  }
  sync(dirname(file));
  return keys;
}

function build(file: string, old: string, content: IndexContent, progress: Progress): number {
  const unchanged = content.accounts.filter(({ keys }) => keys === null).map(({ name }) => name);
  const database = openDatabase(file, { readonly: false, timeout: 0 });
  try {
    // No journal on disk while it is built: what a crash leaves is read by nobody. (better-sqlite3 does not allow OFF.)
    // The finished file is in rollback mode, which a reader without write access can open.
    database.exec("PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF");
    if (unchanged.length > 0) database.prepare("ATTACH ? AS old").run(old);
    database.exec("BEGIN");
    database.exec(schema);
    if (unchanged.length > 0) carryOver(unchanged, database);
    insert(content, database, progress);
    database.exec("COMMIT");
    return database.prepare<[], { keys: number }>("SELECT count(*) AS keys FROM grant").get()?.keys ?? 0;
  } finally {
    database.close();
  }
}

/** Copies these accounts and their grants from the old index, and nothing else of it. */
function carryOver(accounts: readonly string[], database: Database): void {
  database
    .prepare("INSERT INTO account SELECT a.* FROM json_each(?) JOIN old.account AS a ON name = value")
    .run(JSON.stringify(accounts));
  database.exec("INSERT INTO grant SELECT g.* FROM account AS a JOIN old.grant AS g ON g.account = a.name");
}

function insert(
  { accounts, extraArguments, landlock }: IndexContent,
  database: Database,
  progress: Progress,
): void {
  const role = database.prepare("INSERT INTO role VALUES (?, ?, ?)");
  const account = database.prepare("INSERT INTO account VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)");
  const grant = database.prepare("INSERT INTO grant VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)");
  for (const name of roleNames) role.run(name, JSON.stringify(extraArguments[name]), landlock);
  for (const { name, role, source, state, keys } of counted(accounts, "writing the index", progress)) {
    if (keys === null) continue;
    const { size = null, mtime = null, ctime = null, inode = null, device = null, hash = null } = state ?? {};
    account.run(name, role, source, size, mtime, ctime, inode, device, hash);
    for (const { fingerprint, type, blob, addresses, expires, line, comment } of keys)
      grant.run(name, fingerprint, role, type, blob, addresses, expires, line, comment);
  }
}

/** Forces a file, or the names in a folder, to disk (fsync(2)). */
function sync(path: string): void {
  try {
    const file = openSync(path, "r");
    try {
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
  } catch (error) {
    throw new OperatorError(`${path} could not be forced to disk: ${(error as Error).message}`);
  }
}
