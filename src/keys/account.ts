import type { Refusal } from "../problem.ts";
import type { Role } from "../role.ts";
import type { FileState } from "./file-state.ts";
import type { KeyAt } from "./key-file.ts";

/** What one key file says: this account has this role, and these keys open it. */
export interface Account {
  name: string;
  role: Role;
  /** The path of the file, or the name of the setting, that the keys come from. */
  source: string;
  /** What stat(2) said of the file; null where that cannot tell whether it is unchanged. */
  state: FileState | null;
  keys: KeyAt[];
}

/** An account as it was found; without keys where its file is unchanged since the published index, which has them. */
export type FoundAccount = Omit<Account, "keys"> & { keys: KeyAt[] | null };

/** What accounts and directories of the system follow from. */
export type NamedRole = Pick<Account, "name" | "role">;

const longest = 255; // a file name's limit on Linux (NAME_MAX), and within LOGIN_NAME_MAX

/** What file systems and NAS keep in a folder of their own accord. */
const systemFiles = ["lost+found", "$recycle.bin", "system volume information", "thumbs.db", "desktop.ini"];

/**
 * Whether a tool, a file system or a NAS left this name: it is passed over, as no account can be meant. Letters in
 * any case, because FAT and SMB write them in any.
 */
export function isLeftover(name: string): boolean {
  return /^[.#@]|~$/.test(name) || systemFiles.includes(name.toLowerCase());
}

/** Endings that people and tools give to what is switched off or being written, and names of OpenSSH's own files. */
const switchedOff = /\.(bak|old|orig|disabled|tmp)$/i;
const ofOpenSsh = /^(authorized_keys|known_hosts|id_.*)$/i;

/** Why this name can't be an account, login and directory name; null when it can. */
export function nameProblem(name: string): Refusal | null {
  const rename = "Rename the file: A-Z a-z 0-9 . _ - are allowed, starting with a letter, a digit or _.";
  if (name === "all")
    return {
      text: '"all" stands for every repository, so no account can have this name.',
      hint: "Rename the file.",
    };
  if (/^[0-9]+$/.test(name))
    return { text: "A name of digits alone would be taken for a numeric id.", hint: rename };
  if (/^[.-]/.test(name))
    return { text: "The name starts with a character that names may not start with.", hint: rename };
  if (!/^[A-Za-z0-9._-]+$/.test(name))
    return { text: "The name has a character that names may not have.", hint: rename };
  if (name.length > longest) return { text: `The name is longer than ${longest} bytes.`, hint: rename };
  if (/\.pub$/i.test(name))
    return {
      text: 'The name ends in ".pub", which would be a part of the account\'s name.',
      hint: `Rename the file to the name of its account, e.g. ${name.replace(/(\.pub)+$/i, "")}.`,
    };
  const [ending] = switchedOff.exec(name) ?? [];
  if (ending !== undefined)
    return {
      text: `The name ends in "${ending}", but the file would be an account all the same.`,
      hint: "Move it out of this folder; or rename it: a name that starts with a dot is skipped, and one without the ending is an account.",
    };
  if (ofOpenSsh.test(name))
    return {
      text: "The name is one of OpenSSH's own files, not that of an account.",
      hint: "Rename the file to the name of its account, e.g. laptop.",
    };
  return null;
}
