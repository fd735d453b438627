import type { FileState } from "./file-state.ts";
import { openIndex } from "./index-lookup.ts";
import type { KeyAt } from "./key-file.ts";
import { type Account, type FoundAccount, type PublishedFiles, readKeyFolder } from "./key-folder.ts";
import type { Problem } from "./problem.ts";
import { whileShowing } from "./report.ts";
import type { Role } from "./role.ts";
import { borgAccount, type Settings } from "./settings.ts";
import { type Database, pragma } from "./sqlite.ts";
import { refusedBySshKeygen } from "./ssh-keygen.ts";

/** All that an index says. */
export interface IndexContent {
  settings: Settings;
  accounts: FoundAccount[];
}

/**
 * What the index is to say: the accounts of the key folder and of BORG_SSHKEYS, checked one by one, against
 * each other, and against the names that the system has already. Publish it only where there are no problems.
 */
export function gatherContent(
  folder: string,
  settings: Settings,
  systemNames: ReadonlySet<string>,
  published: PublishedFiles = new Map(),
): { content: IndexContent; missing: Role[]; problems: Problem[] } {
  const read = readKeyFolder(folder, published);
  const borg = borgAccount(settings).account;
  const accounts = borg ? [...read.accounts, borg] : read.accounts;
  const problems = [
    ...read.problems,
    ...nameClashes(read.accounts, systemNames),
    ...unreadableKeys(accounts),
  ];
  return { content: { settings, accounts }, missing: read.missing, problems };
}

function nameClashes(accounts: readonly FoundAccount[], systemNames: ReadonlySet<string>): Problem[] {
  const problems: Problem[] = [];
  const first = new Map<string, FoundAccount>();
  for (const account of accounts) {
    const { name, source } = account;
    const other = first.get(name);
    if (systemNames.has(name))
      problems.push({
        where: source,
        text: `"${name}" is an account of the system.`,
        hint: "Give the file another name.",
      });
    else if (other)
      problems.push({
        where: source,
        text: `An account has one role, but ${other.source} exists too.`,
        hint: "Remove one of the two files.",
      });
    else first.set(name, account);
  }
  return problems;
}

function unreadableKeys(accounts: readonly FoundAccount[]): Problem[] {
  const keys = accounts.flatMap(({ source, keys }) => (keys ?? []).map((key) => ({ ...key, source })));
  const refused = whileShowing(`ssh-keygen reads ${keys.length} keys`, keys.length, () =>
    refusedBySshKeygen(keys),
  );
  return refused.map(({ source, line }) => ({
    where: source,
    line,
    text: "OpenSSH cannot read this key.",
    hint: "Copy the line from the client's .pub file again.",
  }));
}

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
          "SELECT source, size, mtime, ctime, inode FROM account WHERE size IS NOT NULL",
        )
        .all();
      return new Map(rows.map((row) => [row.source, row]));
    });
  } catch {
    return new Map();
  }
}

/** The roles that accounts of the key folder have in a published index; none where it cannot answer. */
export function rolesServed(file: string): Set<Role> {
  try {
    const sql = "SELECT DISTINCT role FROM account WHERE source LIKE '/%'";
    const rows = withIndex(file, (index) => index.prepare<{ role: Role }>(sql).all());
    return new Set(rows.map(({ role }) => role));
  } catch {
    return new Set();
  }
}

/** Longest wait for a lock, in milliseconds; see index-lookup.ts. */
const lockTimeout = 5000;

function withIndex<T>(file: string, query: (index: Database) => T): T {
  const index = openIndex(file, lockTimeout);
  try {
    return query(index);
  } finally {
    index.close();
  }
}
