import { statSync } from "node:fs";
import { shownName } from "../printable.ts";
import { isRefusal, type Problem, type Refusal } from "../problem.ts";
import { type Role, roles } from "../role.ts";
import { type FoundAccount, isLeftover, repositoryOf } from "./account.ts";
import type { AccountAddresses, AccountSettings } from "./account-settings.ts";
import { pathOf } from "./entry-path.ts";
import { entries, readKeyFile } from "./key-folder.ts";
import { largestSettings, lineOf, parseSettingsFile } from "./settings-file.ts";

/** The folder next to the role folders with a file for each account that has settings of its own, and one for all. */
export const settingsFolder = "settings";
const defaultName = "default";

/** What an account's own file says. */
interface OwnSettings {
  settings: AccountSettings;
  addresses: AccountAddresses;
  /** For the lines of problems. */
  text: string;
}

/** What the settings files say. */
export interface SettingsFiles {
  /** Whether the folder is there. */
  exists: boolean;
  /** Of all accounts but admins. */
  common: AccountSettings;
  commonAddresses: AccountAddresses;
  /** By account. */
  own: ReadonlyMap<string, OwnSettings>;
  /** Paths that tools and file systems left. */
  skipped: string[];
  problems: Problem[];
}

/** Reads all settings files. They are few, and so are read at every rebuild. @param folder the key folder */
export function readSettingsFolder(folder: string): SettingsFiles {
  const within = `${folder}/${settingsFolder}`;
  const own = new Map<string, OwnSettings>();
  const problems: Problem[] = [];
  let common: AccountSettings = {};
  let commonAddresses: AccountAddresses = {};
  const names = entries(within, problems);
  if (names === null) return { exists: false, common, commonAddresses, own, skipped: [], problems };
  const skipped = names.filter(isLeftover).map((name) => `${within}/${shownName(name)}`);
  for (const name of names.filter((each) => !isLeftover(each))) {
    const source = `${within}/${shownName(name)}`;
    const path = pathOf(within, name);
    const read = readKeyFile(path);
    if (isRefusal(read)) problems.push({ where: source, ...(isNoFile(path) ? notSettings : read) });
    else if (read.content.length > largestSettings)
      problems.push({
        where: source,
        text: `the file is larger than ${largestSettings} bytes`,
        hint: "Settings are a few lines.",
      });
    else {
      const text = read.content.toString("utf8");
      const { settings, addresses, problems: found } = parseSettingsFile(source, text, name === defaultName);
      problems.push(...found);
      if (name === defaultName) [common, commonAddresses] = [settings, addresses];
      else own.set(name, { settings, addresses, text });
    }
  }
  return { exists: true, common, commonAddresses, own, skipped, problems };
}

const notSettings: Refusal = {
  text: "this is not a file with settings",
  hint: "Put one file for each account here, and nothing else.",
};

function isNoFile(path: string | Buffer): boolean {
  try {
    return !statSync(path).isFile();
  } catch {
    return false;
  }
}

/** Where a setting is written. */
type Place = (account: string, key?: string) => { where: string; line?: number };

/**
 * Gives each account its settings, its own before those of all.
 * @param served gives the accounts that are published now: the settings of one whose key file has just gone must not keep its
 * keys from being taken away
 * @returns also the problems that show only here
 */
export function withSettings(
  folder: string,
  accounts: readonly FoundAccount[],
  { common, commonAddresses, own }: SettingsFiles,
  served: () => ReadonlySet<string> = () => new Set(),
): { accounts: FoundAccount[]; problems: Problem[] } {
  const hasCommon = Object.keys(common).length > 0;
  const left = new Set(own.keys());
  const problems: Problem[] = [];
  const place: Place = (account, key) => ({
    where: `${folder}/${settingsFolder}/${account}`,
    ...(key !== undefined && lineOf(own.get(account)?.text ?? "", key)),
  });
  const complete = accounts.map((account) => {
    const { settings, addresses: itsAddresses } = own.get(account.name) ?? {};
    left.delete(account.name);
    if (settings) problems.push(...withoutEffect(account, { ...settings, ...itsAddresses }, place));
    // Where a quota for all is used up, somebody has to be able to prune.
    if (account.role === "admin")
      return settings ? { ...account, settings, ...withAddresses(itsAddresses) } : account;
    return {
      ...account,
      ...((settings || hasCommon) && { settings: { ...common, ...settings } }),
      ...withAddresses({ ...commonAddresses, ...itsAddresses }),
    };
  });
  const published = left.size > 0 ? served() : new Set<string>();
  for (const name of left) {
    if (published.has(name)) continue;
    problems.push({
      ...place(name),
      text: "there is no account of this name",
      hint: "Remove the file, or rename it to the name of its account's key file.",
    });
  }
  problems.push(...repositoriesOfOneName(complete, place));
  const archived = archivedAlike(complete, own, place);
  return { accounts: archived.accounts, problems: [...problems, ...archived.problems] };
}

const withAddresses = (addresses: AccountAddresses = {}) =>
  Object.keys(addresses).length > 0 ? { addresses } : {};

/** What has no effect in a role, and why. */
const ineffective: Record<Role, Partial<Record<keyof AccountSettings | keyof AccountAddresses, string>>> = {
  repo: { deletions: `an account in ${roles.repo.folder} can delete everything` },
  appendonly: {},
  restore: { ping: "a restoring account makes no backup" },
  admin: {
    repository: "an admin reaches every repository, and has none of its own",
    lateAfter: "an admin has no repository of its own that could be late",
    deletions: "an admin can delete everything",
    notify: "an admin has no repository of its own that could be told of; set NOTIFY",
    archived: "an admin has no repository of its own, and writes to archived ones too",
  },
};

/** Nobody may rely on what an account's role does not do. What is set for all is meant for those that it fits. */
function withoutEffect(
  { name, role }: FoundAccount,
  settings: AccountSettings & AccountAddresses,
  place: Place,
): Problem[] {
  return (Object.entries(ineffective[role]) as [keyof typeof settings, string][])
    .filter(([setting]) => settings[setting] !== undefined)
    .map(([setting, reason]) => {
      const key = setting === "lateAfter" ? "late-after" : setting;
      const move = key === "deletions" ? `, or move the key file to ${roles.appendonly.folder}` : "";
      return { ...place(name, key), text: `${key}: ${reason}`, hint: `Remove the line${move}.` };
    });
}

/**
 * A repository that is archived is so for all accounts that open it, or one of them would go on writing to it. What an
 * account's own file says of it counts before what is set for all.
 */
function archivedAlike(
  accounts: readonly FoundAccount[],
  own: SettingsFiles["own"],
  place: Place,
): { accounts: FoundAccount[]; problems: Problem[] } {
  const problems: Problem[] = [];
  const said = new Map<string, { archived: boolean; by: string }>();
  for (const account of accounts) {
    const archived = own.get(account.name)?.settings.archived;
    const repository = repositoryOf(account);
    if (archived === undefined || repository === null) continue;
    const other = said.get(repository);
    if (other && other.archived !== archived)
      problems.push({
        ...place(account.name, "archived"),
        text: `archived: the settings of ${other.by} say otherwise of the same repository`,
        hint: "Write the same into both, or into one of them alone.",
      });
    else said.set(repository, { archived, by: account.name });
  }
  if (said.size === 0) return { accounts: [...accounts], problems };
  return {
    accounts: accounts.map((account) => {
      const { archived } = said.get(repositoryOf(account) ?? "") ?? {};
      return archived === undefined || archived === (account.settings?.archived ?? false)
        ? account
        : { ...account, settings: { ...account.settings, archived } };
    }),
    problems,
  };
}

/** On some storage, names that differ by case alone would be one directory. */
function repositoriesOfOneName(accounts: readonly FoundAccount[], place: Place): Problem[] {
  const sharing = accounts.filter(({ settings }) => settings?.repository !== undefined);
  if (sharing.length === 0) return [];
  const names = new Map<string, string>();
  for (const { name, role, settings } of accounts)
    if (role !== "admin" && settings?.repository === undefined) names.set(name.toLowerCase(), name);
  return sharing.flatMap(({ name, role, settings }) => {
    if (role === "admin") return [];
    const repository = settings?.repository ?? name;
    const other = names.get(repository.toLowerCase());
    names.set(repository.toLowerCase(), repository);
    if (other === undefined || other === repository) return [];
    return [
      {
        ...place(name, "repository"),
        text: `the repository ${repository} differs from ${other} only by case, and on some storage both would be one directory`,
        hint: "Write both the same way, or give one another name.",
      },
    ];
  });
}
