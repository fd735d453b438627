import type { Stats } from "node:fs";
import { type Opening, repositoryOf } from "../keys/account.ts";
import type { Owner } from "../owner.ts";
import { recordsFolder, repositoryFolder } from "../paths.ts";
import { isRefusal, type Problem, type Refusal } from "../problem.ts";
import type { Entry, Survey, Top } from "./survey.ts";

/** Which directories have to be made, re-owned or given their mode. Nothing is ever removed. */
export interface RepositoryPlan {
  create: string[];
  own: string[];
  /** Repositories in which another user left files that borg needs, with the names of some. */
  mend: { path: string; names: string[] }[];
  mode: string[];
  /** Directories that cannot be used, or must not be changed. */
  blocked: Problem[];
}

/** For the owner only. What a session makes inside is the owner's, group included, because its process is. */
export const directoryMode = 0o700;

/** The paths of the directories that accounts have. */
export function accountPaths(accounts: readonly Opening[]): Set<string> {
  return new Set(
    accounts
      .map(repositoryOf)
      .filter((name) => name !== null)
      .map((name) => `${repositoryFolder}/${name}`),
  );
}

/** What the plan has to ask about some directories. */
export interface CloserLook {
  /** Whether the owner can use a directory, whoever its owner seems to be. */
  keepsOwnOwners(path: string): boolean;
  /** Whether two directories that seem to be the same one are. */
  isSameDirectory(path: string, other: string): boolean;
  /** Whether a directory that is neither root's nor the owner's is to be given to the owner. */
  mayReown: boolean;
}

/**
 * Computes what has to be done so that each account has its directory, and that these and all other repositories, such
 * as admins made, belong to the owner. Whatever else is under /repos is left alone.
 * @param look what a survey does not see; asked only where it matters
 */
export function planRepositories(
  accounts: readonly Opening[],
  owner: Owner,
  { entries }: Survey,
  top: Top,
  look: CloserLook,
): RepositoryPlan {
  const { keepsOwnOwners, isSameDirectory, mayReown } = look;
  const plan: RepositoryPlan = { create: [], own: [], mend: [], mode: [], blocked: [] };
  const planDirectory = (path: string, found: Stats) => {
    if ((found.uid !== owner.uid || found.gid !== owner.gid) && !keepsOwnOwners(path)) {
      if (mayReown || found.uid === 0 || found.uid === owner.uid) plan.own.push(path);
      else plan.blocked.push({ where: path, ...foreignOwner(found, owner) });
    }
    if ((found.mode & directoryMode) !== directoryMode) plan.mode.push(path);
  };

  if (top.folder === null) plan.create.push(repositoryFolder);
  else if (isRefusal(top.folder)) plan.blocked.push({ where: repositoryFolder, ...top.folder });
  else if (top.folder !== "link" && !top.folder.isDirectory())
    plan.blocked.push({ where: repositoryFolder, ...notADirectory });
  else if (top.folder !== "link") planDirectory(repositoryFolder, top.folder);
  if (top.records) planDirectory(recordsFolder, top.records);
  const isForeign = plan.blocked.length > 0 && !mayReown; // nothing is made there for another owner

  const ofAccounts = accountPaths(accounts);
  const found = new Map(entries.map((entry) => [entry.path, entry]));
  const others = entries.filter(({ path, state }) => state.is === "repository" && !ofAccounts.has(path));
  for (const path of [...ofAccounts, ...others.map(({ path }) => path)].sort()) {
    const entry = found.get(path);
    if (!entry) {
      if (!isForeign) plan.create.push(path);
    } else if (!entry.directory?.isDirectory())
      plan.blocked.push({
        where: path,
        ...(entry.state.is === "doubtful" ? entry.state.why : notADirectory),
      });
    else if (entry.isLink)
      continue; // where it leads is the operator's own affair
    else {
      planDirectory(path, entry.directory);
      if (entry.foreign.length > 0 && entry.directory.uid === owner.uid)
        plan.mend.push({ path, names: entry.foreign });
    }
  }
  plan.blocked.push(
    ...sameDirectories(
      [...ofAccounts].map((path) => found.get(path)),
      isSameDirectory,
    ),
  );
  return plan;
}

const notADirectory: Refusal = { text: "this is not a directory", hint: "Move it away." };

function foreignOwner(found: Stats, { uid, gid }: Owner): Refusal {
  return {
    text: `it belongs to ${found.uid}:${found.gid}, not ${uid}:${gid}, and no server was started in this container`,
    hint: "Use docker exec, or give PUID and PGID as the server has them.",
  };
}

/** Accounts with the same directory: what one may not do, the other may. */
function sameDirectories(
  entries: readonly (Entry | undefined)[],
  isSame: CloserLook["isSameDirectory"],
): RepositoryPlan["blocked"] {
  const first = new Map<string, string>();
  return entries.flatMap((entry) => {
    if (!entry?.directory?.isDirectory() || entry.directory.ino === 0) return [];
    const { path, directory } = entry;
    const other = first.get(`${directory.dev}:${directory.ino}`);
    first.set(`${directory.dev}:${directory.ino}`, path);
    if (other === undefined || !isSame(path, other)) return [];
    return [
      {
        where: path,
        text: `it is the same directory as ${other}, so two accounts share one repository, each with its own rights`,
        hint: "Rename one account, or give it a directory of its own.",
      },
    ];
  });
}

/** What was given to the owner, a line for each. */
export function ownerLines({ own, mend }: RepositoryPlan): string[] {
  return [
    ...own.map((path) => `${path}: new owner`),
    ...mend.map(
      ({ path, names }) => `${path}: new owner of what another user left in it (${names.join(", ")})`,
    ),
  ];
}
