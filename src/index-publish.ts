import {
  chmodSync,
  chownSync,
  closeSync,
  copyFileSync,
  fsyncSync,
  openSync,
  renameSync,
  rmSync,
} from "node:fs";
import { dirname } from "node:path";
import type { IndexContent } from "./index-content.ts";
import { schema } from "./index-schema.ts";
import type { FoundAccount } from "./key-folder.ts";
import { counted, OperatorError } from "./report.ts";
import { roleNames } from "./role.ts";
import type { Settings } from "./settings.ts";
import { type Database, openDatabase } from "./sqlite.ts";

/**
 * Builds a new index beside the old one and renames it over that (rename(2)): readers see one or the other,
 * whole, and a crash at any point leaves the old one. Where files are unchanged, the new one begins as a copy
 * of the old. The caller holds the lock (lock.ts).
 * @param group numeric group that may read it
 */
export function publishIndex(file: string, content: IndexContent, group: number): void {
  const unfinished = `${file}.new`;
  try {
    rmSync(unfinished, { force: true });
    build(unfinished, file, content);
    chownSync(unfinished, 0, group);
    chmodSync(unfinished, 0o640);
    sync(unfinished);
    renameSync(unfinished, file);
  } catch (error) {
    rmSync(unfinished, { force: true });
    throw new OperatorError(
      `the index ${file} could not be replaced and is as it was: ${(error as Error).message}`,
      "When that is mended, run this again.",
    );
  }
  sync(dirname(file));
}

function build(file: string, old: string, { settings, accounts }: IndexContent): void {
  const unchanged = new Set(accounts.filter(({ keys }) => typeof keys === "number").map(({ name }) => name));
  if (unchanged.size > 0) copyFileSync(old, file);
  const database = openDatabase(file, { readonly: false, timeout: 0 });
  try {
    // No journal on disk while it is built: a crash leaves a file that nobody reads. The finished file is in
    // rollback mode, which a reader without write access can open.
    database.exec("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; BEGIN");
    if (unchanged.size > 0) keepOnly(unchanged, database);
    else database.exec(schema);
    insert(accounts, settings, database);
    database.exec("COMMIT");
  } finally {
    database.close();
  }
}

/** Leaves nothing of an old index but these accounts and their grants. */
function keepOnly(accounts: ReadonlySet<string>, database: Database): void {
  const account = database.prepare("DELETE FROM account WHERE name = ?");
  const grants = database.prepare("DELETE FROM grant WHERE account = ?");
  for (const { name } of database.prepare<{ name: string }>("SELECT name FROM account").all()) {
    if (accounts.has(name)) continue;
    account.run(name);
    grants.run(name);
  }
  database.exec("DELETE FROM role");
}

function insert(accounts: readonly FoundAccount[], settings: Settings, database: Database): void {
  const role = database.prepare("INSERT INTO role VALUES (?, ?, ?)");
  const account = database.prepare("INSERT INTO account VALUES (?, ?, ?, ?, ?, ?, ?)");
  const grant = database.prepare("INSERT INTO grant VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)");
  for (const name of roleNames)
    role.run(name, JSON.stringify(settings.extraArguments[name]), settings.landlock);
  for (const { name, role, source, state, keys } of counted(accounts, "writing the index")) {
    if (typeof keys === "number") continue;
    const { size = null, mtime = null, ctime = null, inode = null } = state ?? {};
    account.run(name, role, source, size, mtime, ctime, inode);
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
