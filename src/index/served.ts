import { lstatSync, readFileSync, writeFileSync } from "node:fs";
import type { FoundAccount } from "../keys/account.ts";
import { type Role, roleNames } from "../role.ts";

/** How many accounts of each role an index holds that key files gave. */
export type Served = Record<Role, number>;

/** Where that is kept in a publication's folder: so what a lost mount must not remove is known even if the index cannot answer. */
const servedFileOf = (generation: string) => `${generation}/served.json`;

/** Counts the accounts of key files. That of BORG_SSHKEYS needs no folder. */
export function countServed(accounts: readonly Pick<FoundAccount, "role" | "source">[]): Served {
  const counts = Object.fromEntries(roleNames.map((role) => [role, 0])) as Served;
  for (const { role, source } of accounts) if (source.startsWith("/")) counts[role]++;
  return counts;
}

/** Writes that into the folder of a publication. */
export function writeServed(generation: string, served: Served): void {
  writeFileSync(servedFileOf(generation), `${JSON.stringify(served)}\n`, { flag: "wx", mode: 0o644 });
}

/** Reads the file; null if there is none, or it does not have a number for each role. */
export function readServed(generation: string): Served | null {
  try {
    const served = JSON.parse(readFileSync(servedFileOf(generation), "utf8")) as Served;
    return roleNames.every((role) => Number.isSafeInteger(served[role]) && served[role] >= 0) ? served : null;
  } catch {
    return null;
  }
}

/**
 * The roles whose accounts are served: those of the file next to the index, else those of the index. All roles, if
 * neither can be read but something is published.
 * @param folder of the publications (generation.ts)
 * @param inIndex null if the index cannot answer
 */
export function rolesServed(folder: string, inIndex: ReadonlySet<Role> | null): ReadonlySet<Role> {
  const served = readServed(`${folder}/current`);
  if (served) return new Set(roleNames.filter((role) => served[role] > 0));
  if (inIndex) return inIndex;
  // An older server's are the index itself, and served.json next to it.
  const isPublished = ["current", "index.sqlite", "served.json"].some((name) => isThere(`${folder}/${name}`));
  return new Set(isPublished ? roleNames : []);
}

/** Also a link that leads nowhere. */
const isThere = (path: string) => lstatSync(path, { throwIfNoEntry: false }) !== undefined;
