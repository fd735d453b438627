import { closeSync, lstatSync, mkdirSync, openSync, readdirSync } from "node:fs";
import { basename } from "node:path";
import { codeOf } from "../failure.ts";
import { type Owner, whileOwner } from "../owner.ts";
import { recordsFolder } from "../paths.ts";
import type { Problem } from "../problem.ts";
import type { Survey } from "./survey.ts";

/**
 * The record of places under /repos that held a repository once: an empty file for each, of the same name. It is kept
 * with the repositories, so that it outlives the container and every server on this storage sees it; in single files, so
 * that servers which write at the same time lose nothing; and as the owner, because the storage may be closed to root.
 */
const folder = `${recordsFolder}/repositories`;

/** The command by which an operator declares a repository gone for good. */
export const howToForget = (path: string) => `rm ${folder}/${basename(path)}`;

/** The paths that held a repository once; none if that cannot be read. */
export function knownRepositories(repositoryFolder: string, owner: Owner): Set<string> {
  return whileOwner(owner, () => {
    try {
      requireOwnFolders();
      return new Set(readdirSync(folder).map((name) => `${repositoryFolder}/${name}`));
    } catch {
      return new Set();
    }
  });
}

/**
 * Records the repositories that are there.
 * @param known what is recorded already
 * @returns why that failed, or null
 */
export function recordRepositories(
  { entries }: Survey,
  known: ReadonlySet<string>,
  owner: Owner,
): Problem | null {
  const more = entries.filter(({ path, state }) => state.is === "repository" && !known.has(path));
  if (more.length === 0) return null;
  return whileOwner(owner, () => {
    try {
      mkdirSync(folder, { recursive: true, mode: 0o700 });
      requireOwnFolders();
      for (const { path } of more) closeSync(openSync(`${folder}/${basename(path)}`, "a", 0o600));
      return null;
    } catch (error) {
      return {
        where: folder,
        text: `cannot be written (${codeOf(error)}), so a repository that gets lost may go unnoticed`,
        hint: "",
      };
    }
  });
}

/** They must not be symlinks, which would lead elsewhere. */
function requireOwnFolders(): void {
  for (const path of [recordsFolder, folder])
    if (!lstatSync(path).isDirectory()) throw new Error(`${path} is not a directory`);
}
