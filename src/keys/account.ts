import type { Refusal } from "../problem.ts";
import type { Role } from "../role.ts";
import type { AccountAddresses, AccountSettings } from "./account-settings.ts";
import type { FileState } from "./file-state.ts";
import type { KeyAt } from "./key-file.ts";

/** The content of one key file: an account, its role, and the keys that open it. */
export interface Account {
  name: string;
  role: Role;
  /** The path of the file, or the name of the setting, that the keys come from. */
  source: string;
  /** By which the next rebuild sees whether the file has changed; null if it must be read then. */
  state: FileState | null;
  keys: KeyAt[];
  /** Absent where no settings file says anything of it. */
  settings?: AccountSettings;
  /** Absent where no settings file names one. */
  addresses?: AccountAddresses;
}

/** An account as it was found; without keys if its file is unchanged since the published index, which has them. */
export type FoundAccount = Omit<Account, "keys"> & { keys: KeyAt[] | null };

/** All that an account on the system follows from. */
export type NamedRole = Pick<Account, "name" | "role">;

/** All that an account's directory follows from. */
export type Opening = Pick<Account, "name" | "role" | "settings">;

/** The name of the repository that an account opens; null for an admin, who opens any. */
export function repositoryOf({ name, role, settings }: Opening): string | null {
  return role === "admin" ? null : (settings?.repository ?? name);
}

const longest = 255; // a file name's limit on Linux (NAME_MAX), and within LOGIN_NAME_MAX

/** Names that file systems and NAS put into a folder by themselves. */
const systemFiles = ["lost+found", "$recycle.bin", "system volume information", "thumbs.db", "desktop.ini"];

/**
 * Whether a tool, a file system or a NAS left this name. Such a file is skipped: it cannot be meant as an account. The
 * letter case does not count, because FAT and SMB use any.
 */
export function isLeftover(name: string): boolean {
  return /^[.#@]|~$/.test(name) || systemFiles.includes(name.toLowerCase());
}

/** Endings that people and tools give to files that are switched off or being written, and names of OpenSSH's own files. */
const switchedOff = /\.(bak|old|orig|disabled|tmp)$/i;
const ofOpenSsh = /^(authorized_keys|known_hosts|id_.*)$/i;

/** Why this name can't be an account, login and directory name; null when it can. */
export function nameProblem(name: string): Refusal | null {
  const rename = "Rename the file: A-Z a-z 0-9 . _ - are allowed, starting with a letter, a digit or _.";
  if (name === "all")
    return {
      text: '"all" means every repository, so no account can have this name',
      hint: "Rename the file.",
    };
  if (/^[0-9]+$/.test(name))
    return { text: "a name of digits only would be taken for a numeric id", hint: rename };
  if (/^[.-]/.test(name)) return { text: "the name must start with a letter, a digit or _", hint: rename };
  if (!/^[A-Za-z0-9._-]+$/.test(name))
    return { text: "the name contains a character that is not allowed", hint: rename };
  if (name.length > longest) return { text: `the name is longer than ${longest} bytes`, hint: rename };
  if (/\.pub$/i.test(name))
    return {
      text: 'the name ends in ".pub", which would become part of the account\'s name',
      hint: `Rename the file to the name of its account, e.g. ${name.replace(/(\.pub)+$/i, "")}.`,
    };
  const [ending] = switchedOff.exec(name) ?? [];
  if (ending !== undefined)
    return {
      text: `the name ends in "${ending}", but the file would still be an account`,
      hint: "Move it out of this folder, or rename it: a name that starts with a dot is skipped, one without the ending is an account.",
    };
  if (ofOpenSsh.test(name))
    return {
      text: "the name is that of one of OpenSSH's own files, not of an account",
      hint: "Rename the file to the name of its account, e.g. laptop.",
    };
  return null;
}
