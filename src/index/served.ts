import {
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname } from "node:path";
import type { FoundAccount } from "../keys/account.ts";
import { type Role, roleNames } from "../role.ts";

/** How many accounts of each role an index holds that key files gave. */
export type Served = Record<Role, number>;

/** Where that is kept, next to an index: so what a lost mount must not remove is known even if the index cannot answer. */
export const servedFileOf = (index: string) => `${dirname(index)}/served.json`;

/** Counts the accounts of key files. That of BORG_SSHKEYS needs no folder. */
export function countServed(accounts: readonly Pick<FoundAccount, "role" | "source">[]): Served {
  const counts = Object.fromEntries(roleNames.map((role) => [role, 0])) as Served;
  for (const { role, source } of accounts) if (source.startsWith("/")) counts[role]++;
  return counts;
}

/** Replaces the file (rename(2)); the caller forces the folder to disk. */
export function writeServed(file: string, served: Served): void {
  const unfinished = `${file}.new`;
  rmSync(unfinished, { force: true });
  const descriptor = openSync(unfinished, "wx", 0o644);
  try {
    writeFileSync(descriptor, `${JSON.stringify(served)}\n`);
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
  renameSync(unfinished, file);
}

/** Reads the file; null if there is none, or it does not have a number for each role. */
export function readServed(file: string): Served | null {
  try {
    const served = JSON.parse(readFileSync(file, "utf8")) as Served;
    return roleNames.every((role) => Number.isSafeInteger(served[role]) && served[role] >= 0) ? served : null;
  } catch {
    return null;
  }
}

/**
 * The roles whose accounts a published index may serve: those of the index and of the file next to it, because a crash
 * may have left an older one of the two. All roles, if neither can be read but one exists; and if nothing was ever
 * published, those that the system has accounts of.
 * @param inIndex null where the index cannot answer
 */
export function rolesServed(
  index: string,
  inIndex: ReadonlySet<Role> | null,
  onSystem: ReadonlySet<Role>,
): ReadonlySet<Role> {
  const served = readServed(servedFileOf(index));
  if (served) return new Set(roleNames.filter((role) => served[role] > 0 || inIndex?.has(role)));
  if (inIndex) return inIndex;
  const isPublished = existsSync(index) || existsSync(servedFileOf(index));
  return isPublished ? new Set(roleNames) : onSystem;
}
