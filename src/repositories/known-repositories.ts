import { closeSync, lstatSync, mkdirSync, openSync, readdirSync } from "node:fs";
import { basename } from "node:path";
import { codeOf } from "../failure.ts";
import { type Owner, whileOwner } from "../owner.ts";
import { recordsFolder } from "../paths.ts";
import type { Survey } from "./survey.ts";

/**
 * Which places under /repos held a repository once: an empty file for each, of the same name. It lies with the
 * repositories, so that it outlives the container and every server on this storage sees it; a file each, so that
 * servers which write at the same time lose nothing; the owner's, because the storage may be closed to root.
 */
const folder = `${recordsFolder}/repositories`;

/** How an operator says that a repository is gone for good. */
export const howToForget = (path: string) => `rm ${folder}/${basename(path)}`;

/** The paths that held a repository once; none where that cannot be read. */
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
 * @param known what is recorded
 * @returns the reason where it could not be recorded
 */
export function recordRepositories(
  { entries }: Survey,
  known: ReadonlySet<string>,
  owner: Owner,
): string | null {
  const more = entries.filter(({ path, state }) => state.is === "repository" && !known.has(path));
  if (more.length === 0) return null;
  return whileOwner(owner, () => {
    try {
      mkdirSync(folder, { recursive: true, mode: 0o700 });
      requireOwnFolders();
      for (const { path } of more) closeSync(openSync(`${folder}/${basename(path)}`, "a", 0o600));
      return null;
    } catch (error) {
      return `${folder} cannot be written (${codeOf(error)}), so a repository that gets lost may go unnoticed`;
    }
  });
}

/** A symlink in their place would lead elsewhere. */
function requireOwnFolders(): void {
  for (const path of [recordsFolder, folder])
    if (!lstatSync(path).isDirectory()) throw new Error(`${path} is no directory`);
}
