import { openIndex } from "./index-lookup.ts";
import type { KeyAt } from "./key-file.ts";
import { type Account, readKeyFolder } from "./key-folder.ts";
import type { Problem } from "./problem.ts";
import { borgAccount, type Settings } from "./settings.ts";
import { refusedBySshKeygen } from "./ssh-keygen.ts";

/** All that an index says. */
export interface IndexContent {
  settings: Settings;
  accounts: Account[];
}

/**
 * What the index is to say: the accounts of the key folder and of BORG_SSHKEYS, checked one by one, against
 * each other, and against the names that the system has already. Publish it only where there are no problems.
 */
export function gatherContent(
  folder: string,
  settings: Settings,
  systemNames: ReadonlySet<string>,
): { content: IndexContent; problems: Problem[] } {
  const read = readKeyFolder(folder);
  const borg = borgAccount(settings).account;
  const accounts = borg ? [...read.accounts, borg] : read.accounts;
  const problems = [
    ...read.problems,
    ...nameClashes(read.accounts, systemNames),
    ...unreadableKeys(accounts),
  ];
  return { content: { settings, accounts }, problems };
}

function nameClashes(accounts: readonly Account[], systemNames: ReadonlySet<string>): Problem[] {
  const problems: Problem[] = [];
  const first = new Map<string, Account>();
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

function unreadableKeys(accounts: readonly Account[]): Problem[] {
  const keys = accounts.flatMap(({ source, keys }) => keys.map((key) => ({ ...key, source })));
  return refusedBySshKeygen(keys).map(({ source, line }) => ({
    where: source,
    line,
    text: "OpenSSH cannot read this key.",
    hint: "Copy the line from the client's .pub file again.",
  }));
}

/** The settings stored in a published index. Throws where the index cannot answer. */
export function readStoredSettings(file: string): Settings {
  return read(file, settingsIn);
}

/** The whole content of a published index. Throws where the index cannot answer. */
export function readIndex(file: string): IndexContent {
  return read(file, (database) => {
    const keys = new Map<string, KeyAt[]>();
    for (const { account, ...key } of database
      .prepare<[], KeyAt & { account: string }>(
        "SELECT account, type, blob, fingerprint, comment, line FROM grant ORDER BY line",
      )
      .iterate()) {
      const others = keys.get(account);
      if (others) others.push(key);
      else keys.set(account, [key]);
    }
    const accounts = database
      .prepare<[], Omit<Account, "keys">>("SELECT name, role, source FROM account ORDER BY name")
      .all();
    return {
      settings: settingsIn(database),
      accounts: accounts.map((account) => ({ ...account, keys: keys.get(account.name) ?? [] })),
    };
  });
}

type Index = ReturnType<typeof openIndex>;

/** Longest wait for a lock, in milliseconds; see index-lookup.ts. */
const lockTimeout = 5000;

function read<T>(file: string, query: (database: Index) => T): T {
  const database = openIndex(file, lockTimeout);
  try {
    return query(database);
  } finally {
    database.close();
  }
}

function settingsIn(database: Index): Settings {
  const rows = database.prepare<[], { name: string; value: string }>("SELECT name, value FROM setting").all();
  return Object.fromEntries(rows.map(({ name, value }) => [name, JSON.parse(value)])) as unknown as Settings;
}
