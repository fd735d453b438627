import type { Account } from "../keys/account.ts";
import type { FileState, PublishedFiles } from "../keys/file-state.ts";
import type { KeyAt } from "../keys/key-file.ts";
import { type Role, roleNames } from "../role.ts";
import { openAnyIndex, openIndex } from "./lookup.ts";
import { type Database, pragma } from "./sqlite.ts";

/** The accounts of a published index, with their keys. Throws where the index cannot answer. */
export function readIndex(file: string): Omit<Account, "state">[] {
  return withIndex(file, (index) => {
    const keys = new Map<string, KeyAt[]>();
    for (const { account, ...key } of index
      .prepare<KeyAt & { account: string }>(
        "SELECT account, type, blob, addresses, expires, fingerprint, comment, line FROM grant ORDER BY line",
      )
      .all()) {
      const others = keys.get(account);
      if (others) others.push(key);
      else keys.set(account, [key]);
    }
    return index
      .prepare<Omit<Account, "keys" | "state">>("SELECT name, role, source FROM account ORDER BY name")
      .all()
      .map((account) => ({ ...account, keys: keys.get(account.name) ?? [] }));
  });
}

/** The key files of a published index; none where it cannot answer or is damaged. */
export function publishedFiles(file: string): PublishedFiles {
  try {
    return withIndex(file, (index) => {
      if (pragma(index, "integrity_check") !== "ok") return new Map();
      const rows = index
        .prepare<FileState & { source: string }>(
          "SELECT source, size, mtime, ctime, inode, device, hash FROM account WHERE size IS NOT NULL",
        )
        .all();
      return new Map(rows.map((row) => [row.source, row]));
    });
  } catch {
    return new Map();
  }
}

/** The accounts of a published index, by name and role; none where it cannot answer, or not to this user. */
export function accountsServed(file: string): Pick<Account, "name" | "role">[] {
  try {
    const sql = "SELECT name, role FROM account";
    return withIndex(file, (index) => index.prepare<Pick<Account, "name" | "role">>(sql).all());
  } catch {
    return [];
  }
}

/**
 * The roles that accounts of the key folder have in a published index, of whichever schema version: each had these
 * columns. Null where it cannot answer or is damaged.
 */
export function rolesInIndex(file: string): Set<Role> | null {
  try {
    const index = openAnyIndex(file);
    try {
      if (pragma(index, "integrity_check") !== "ok") return null;
      const sql = "SELECT DISTINCT role FROM account WHERE source LIKE '/%'";
      const found = index.prepare<{ role: string }>(sql).all();
      return new Set(roleNames.filter((name) => found.some(({ role }) => role === name)));
    } finally {
      index.close();
    }
  } catch {
    return null;
  }
}

function withIndex<T>(file: string, query: (index: Database) => T): T {
  const index = openIndex(file);
  try {
    return query(index);
  } finally {
    index.close();
  }
}
