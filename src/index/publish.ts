import { chmodSync, chownSync } from "node:fs";
import { type Database, openDatabase } from "../database.ts";
import type { FoundAccount } from "../keys/account.ts";
import type { AccountSettings } from "../keys/account-settings.ts";
import { counted, type Progress } from "../progress.ts";
import { type Deletions, type Role, roleNames } from "../role.ts";
import { schema } from "./schema.ts";

/** All that an index says. */
export interface IndexContent {
  accounts: readonly FoundAccount[];
  /** Appended to borg serve, by role. */
  extraArguments: Readonly<Record<Role, string[]>>;
  /** The numeric id of an account. */
  idOf(name: string): number;
  /** Whether sessions stand behind the wall (libexec/wall.py). */
  walled: boolean;
  /** What append-only is held to. */
  deletions: Deletions;
}

/**
 * Builds an index. The accounts of unchanged files are copied from an old one.
 * @param file where nothing is yet
 * @param old the index that is published now
 * @param group numeric group that may read it
 * @returns how many keys it holds
 */
export function buildIndex(
  file: string,
  old: string,
  content: IndexContent,
  group: number,
  progress: Progress,
): number {
  const keys = build(file, old, content, progress);
  chownSync(file, 0, group);
  chmodSync(file, 0o640);
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
    if (unchanged.length > 0) carryOver(unchanged, content.idOf, database);
    insert(content, database, progress);
    database.exec("COMMIT");
    return database.prepare<[], { keys: number }>("SELECT count(*) AS keys FROM grant").get()?.keys ?? 0;
  } finally {
    database.close();
  }
}

/**
 * Copies these accounts and their grants from the old index, and nothing else of it. Their ids follow from what is in
 * force now: a container with other ids, or another owner, may have published the old one.
 */
function carryOver(accounts: readonly string[], idOf: IndexContent["idOf"], database: Database): void {
  database.function("id_of", idOf as (name: unknown) => number);
  database
    .prepare(
      `INSERT INTO account
        SELECT a.name, a.role, id_of(a.name), a.source, a.size, a.mtime, a.ctime, a.inode, a.device, a.hash,
          null, null, null, null, null
        FROM json_each(?) JOIN old.account AS a ON name = value`,
    )
    .run(JSON.stringify(accounts));
  database.exec("INSERT INTO grant SELECT g.* FROM account AS a JOIN old.grant AS g ON g.account = a.name");
}

function insert(
  { accounts, extraArguments, idOf, walled, deletions }: IndexContent,
  database: Database,
  progress: Progress,
): void {
  const role = database.prepare("INSERT INTO role VALUES (?, ?, ?, ?)");
  const account = database.prepare(
    "INSERT INTO account VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, null, null, null, null, null)",
  );
  const itsSettings = database.prepare(
    "UPDATE account SET repository = ?, quota = ?, late_after = ?, deletions = ?, archived = ? WHERE name = ?",
  );
  const grant = database.prepare("INSERT INTO grant VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)");
  for (const name of roleNames)
    role.run(name, JSON.stringify(extraArguments[name]), Number(walled), deletions);
  for (const { name, role, source, state, keys, settings } of counted(
    accounts,
    "writing the index",
    progress,
  )) {
    if (keys === null) {
      if (settings) itsSettings.run(...columnsOf(settings), name);
      continue;
    }
    const { size = null, mtime = null, ctime = null, inode = null, device = null, hash = null } = state ?? {};
    account.run(name, role, idOf(name), source, size, mtime, ctime, inode, device, hash);
    if (settings) itsSettings.run(...columnsOf(settings), name);
    for (const { fingerprint, type, blob, addresses, expires, line, comment } of keys)
      grant.run(name, fingerprint, role, type, blob, addresses, expires, line, comment);
  }
}

function columnsOf({ repository, quota, lateAfter, deletions, archived }: AccountSettings) {
  return [
    ...[repository ?? null, quota ?? null, lateAfter ?? null, deletions ?? null],
    archived === undefined ? null : Number(archived),
  ];
}
