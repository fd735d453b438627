import { readdirSync } from "node:fs";
import { codeOf } from "../failure.ts";
import { shownName } from "../printable.ts";
import { isRefusal, type Problem } from "../problem.ts";
import { type FoundAccount, isLeftover } from "./account.ts";
import type { AccountSettings } from "./account-settings.ts";
import { readKeyFile } from "./key-folder.ts";
import { largestSettings, parseSettingsFile } from "./settings-file.ts";

/** The folder next to the role folders with a file for each account that has settings of its own, and one for all. */
export const settingsFolder = "settings";
const defaultName = "default";

/** What the settings files say. */
export interface SettingsFiles {
  /** Whether the folder is there. */
  exists: boolean;
  /** Of all accounts. */
  common: AccountSettings;
  /** By account. */
  own: ReadonlyMap<string, AccountSettings>;
  problems: Problem[];
}

/** Reads all settings files. They are few, and so are read at every rebuild. @param folder the key folder */
export function readSettingsFolder(folder: string): SettingsFiles {
  const within = `${folder}/${settingsFolder}`;
  const own = new Map<string, AccountSettings>();
  const problems: Problem[] = [];
  let common: AccountSettings = {};
  let names: string[];
  try {
    names = readdirSync(within, "utf8").sort();
  } catch (error) {
    const code = codeOf(error);
    if (code !== "ENOENT")
      problems.push({
        where: within,
        text: `the folder cannot be read (${code})`,
        hint: "Make it a folder that root can read.",
      });
    return { exists: code !== "ENOENT", common, own, problems };
  }
  for (const name of names.filter((each) => !isLeftover(each))) {
    const source = `${within}/${shownName(Buffer.from(name).toString("latin1"))}`;
    const read = readKeyFile(`${within}/${name}`);
    if (isRefusal(read)) problems.push({ where: source, ...read });
    else if (read.content.length > largestSettings)
      problems.push({
        where: source,
        text: `the file is larger than ${largestSettings} bytes`,
        hint: "Settings are a few lines.",
      });
    else {
      const parsed = parseSettingsFile(source, read.content.toString("utf8"), name === defaultName);
      problems.push(...parsed.problems);
      if (name === defaultName) common = parsed.settings;
      else own.set(name, parsed.settings);
    }
  }
  return { exists: true, common, own, problems };
}

/**
 * Gives each account its settings, its own before those of all.
 * @param served gives the accounts that are published now: the settings of one whose key file has just gone must not keep its
 * keys from being taken away
 * @returns also the problems that show only here
 */
export function withSettings(
  folder: string,
  accounts: readonly FoundAccount[],
  { common, own }: SettingsFiles,
  served: () => ReadonlySet<string> = () => new Set(),
): { accounts: FoundAccount[]; problems: Problem[] } {
  const hasCommon = Object.keys(common).length > 0;
  const left = new Set(own.keys());
  const problems: Problem[] = [];
  const sourceOf = (name: string) => `${folder}/${settingsFolder}/${name}`;
  const complete = accounts.map((account) => {
    const settings = own.get(account.name);
    left.delete(account.name);
    if (account.role === "admin" && settings?.repository !== undefined)
      problems.push({
        where: sourceOf(account.name),
        text: "an admin reaches every repository, so it has none of its own",
        hint: "Remove the line with repository.",
      });
    return settings || hasCommon ? { ...account, settings: { ...common, ...settings } } : account;
  });
  const published = left.size > 0 ? served() : new Set<string>();
  for (const name of left) {
    if (published.has(name)) continue;
    problems.push({
      where: sourceOf(name),
      text: "there is no account of this name",
      hint: "Remove the file, or rename it to the name of its account's key file.",
    });
  }
  problems.push(...repositoriesOfOneName(complete, sourceOf));
  return { accounts: complete, problems };
}

/** On some storage, names that differ by case alone would be one directory. */
function repositoriesOfOneName(
  accounts: readonly FoundAccount[],
  sourceOf: (name: string) => string,
): Problem[] {
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
        where: sourceOf(name),
        text: `the repository ${repository} differs from ${other} only by case, and on some storage both would be one directory`,
        hint: "Write both the same way, or give one another name.",
      },
    ];
  });
}
