import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, lchownSync, lstatSync, mkdirSync, readdirSync, statSync } from "node:fs";
import type { NamedRole } from "./account-plan.ts";
import { asOwner, type Owner } from "./owner.ts";
import { repositoryFolder } from "./paths.ts";
import { counted } from "./report.ts";
import { accountDirectory } from "./role.ts";

/** Which directories have to be made, re-owned or given their mode. Nothing is ever removed. */
export interface RepositoryPlan {
  create: string[];
  own: string[];
  mode: string[];
  /** Directories that cannot be had, with the reason. */
  blocked: { path: string; reason: string }[];
}

/** What is at a path: a directory's owner and mode, `link` for a symlink to one, a reason why it is none, or null for nothing. */
export type LookAt = (
  path: string,
) => { uid: number; gid: number; mode: number } | "link" | { reason: string } | null;

/**
 * Owner alone, and set-group-ID: what a session makes inside gets the directory's group (inode(7)), not the
 * role group that the session runs with.
 */
const directoryMode = 0o2700;

/**
 * Computes what has to be done so that each account has its directory, and that these and all other repositories,
 * such as admins made, are owned by the owner.
 * @param others the repositories that exist beside those paths
 */
export function planRepositories(
  accounts: readonly NamedRole[],
  owner: Owner,
  lookAt: LookAt = lookAtDisk,
  others: (known: ReadonlySet<string>) => string[] = otherRepositories,
): RepositoryPlan {
  const plan: RepositoryPlan = { create: [], own: [], mode: [], blocked: [] };
  const ofAccounts = accounts
    .filter(({ role }) => role !== "admin")
    .map(({ name, role }) => accountDirectory(role, name));
  const directories = [...ofAccounts, ...others(new Set(ofAccounts))].sort();
  for (const path of counted([repositoryFolder, ...directories], `looking at ${repositoryFolder}`)) {
    const found = lookAt(path);
    if (found === null) plan.create.push(path);
    else if (found === "link")
      continue; // where it leads is the operator's own affair
    else if ("reason" in found) plan.blocked.push({ path, reason: found.reason });
    else {
      if (found.uid !== owner.uid || found.gid !== owner.gid) plan.own.push(path);
      if ((found.mode & directoryMode) !== directoryMode) plan.mode.push(path);
    }
  }
  return plan;
}

/**
 * Does what the plan says, as far as it can be done: one directory that cannot be changed must not keep the
 * others from their backups.
 * @returns the part of the plan that was done, and a line for each failure
 */
export function applyRepositories(
  plan: RepositoryPlan,
  owner: Owner,
): { done: RepositoryPlan; failures: string[] } {
  const failures = blockedLines(plan);
  const done: RepositoryPlan = { create: [], own: [], mode: [], blocked: [] };
  const attempt = (what: string, path: string, list: string[], action: () => void) => {
    try {
      action();
      list.push(path);
    } catch (error) {
      failures.push(`${path} could not be ${what}: ${(error as Error).message}`);
    }
  };
  for (const path of counted(plan.create, "making directories"))
    attempt("created", path, done.create, () => {
      makeDirectory(path, owner);
      setMode(path);
    });
  for (const path of counted(plan.own, "giving directories to their owner"))
    attempt(`given to ${owner.uid}:${owner.gid}`, path, done.own, () => {
      if (path === repositoryFolder) lchownSync(path, owner.uid, owner.gid);
      else changeOwnerOfAll(path, owner);
    });
  for (const path of plan.mode) setMode(path);
  return { done, failures };
}

function makeDirectory(path: string, owner: Owner): void {
  try {
    mkdirSync(path, { recursive: true, mode: path === repositoryFolder ? 0o755 : 0o700 });
  } catch (error) {
    if (!isClosedToRoot(error)) throw error;
    const [program = "", ...words] = asOwner(owner, ["mkdir", "--mode=700", path]);
    if (spawnSync(program, words).status !== 0) throw error;
  }
  lchownSync(path, owner.uid, owner.gid);
}

/** Network file systems may close to root what is open to its owner (exports(5), root_squash). */
function isClosedToRoot(error: unknown): boolean {
  return ["EACCES", "EPERM"].includes((error as NodeJS.ErrnoException).code ?? "");
}

/** A line for each directory that cannot be had. */
export function blockedLines({ blocked }: RepositoryPlan): string[] {
  return blocked.map(({ path, reason }) => `${path} ${reason}`);
}

/**
 * Gives a directory and all that is in it to the owner. Until all is done the directory has the group 0, which
 * no settings allow: so the next run sees that an interrupted one has to be taken up, whichever owner is set then.
 * Who writes to the directory meanwhile could put a symlink in a path's way: hence lchown(2), and find's -execdir,
 * which runs chown in the directory that it has open.
 */
export function changeOwnerOfAll(path: string, { uid, gid }: Owner): void {
  if (readdirSync(path).length > 0) {
    lchownSync(path, uid, 0);
    const words = [
      path,
      "-mindepth",
      "1",
      "-execdir",
      "chown",
      "--no-dereference",
      `${uid}:${gid}`,
      "{}",
      "+",
    ];
    const { status, stderr, error } = spawnSync("find", words, { encoding: "utf8" });
    if (error) throw error;
    if (status !== 0) throw new Error(stderr.trim().split("\n")[0]);
  }
  lchownSync(path, uid, gid);
}

/**
 * The repositories below a folder, in order, whole or not: also those that cannot be looked into, and symlinks to
 * storage that is not mounted.
 * @param known paths to leave out
 */
export function listRepositories(folder: string, known: ReadonlySet<string> = new Set()): string[] {
  return readdirSync(folder)
    .filter((name) => !name.startsWith("."))
    .sort()
    .map((name) => `${folder}/${name}`)
    .filter((path) => !known.has(path) && isRepository(path));
}

function otherRepositories(known: ReadonlySet<string>): string[] {
  try {
    return listRepositories(repositoryFolder, known);
  } catch {
    return []; // what is wrong with the folder itself is said of it
  }
}

/** Whether borg shall judge what is there: what has lost a part, or cannot be looked into, must not be passed over. */
function isRepository(path: string): boolean {
  return isThere(`${path}/config`) || isThere(`${path}/data`) || !isThere(path);
}

/** Only what certainly does not exist is not there; a symlink that leads nowhere does not. */
function isThere(path: string): boolean {
  try {
    statSync(path);
    return true;
  } catch (error) {
    return !["ENOENT", "ENOTDIR"].includes((error as NodeJS.ErrnoException).code ?? "");
  }
}

function setMode(path: string): void {
  try {
    chmodSync(path, (statSync(path).mode & 0o7777) | directoryMode);
  } catch {
    // Many network shares know no modes. Backups work without; new files then get the role's group.
  }
}

function lookAtDisk(path: string): ReturnType<LookAt> {
  try {
    const found = lstatSync(path, { throwIfNoEntry: false });
    if (!found) return null;
    if (path === repositoryFolder && existsSync(`${path}/config`) && statSync(`${path}/config`).isFile())
      return {
        reason:
          "is a repository itself, and borg makes none in another: move what it holds to a folder inside",
      };
    if (found.isDirectory()) return found;
    return statSync(path).isDirectory() ? "link" : { reason: "is no directory: move it away" };
  } catch (error) {
    return { reason: `cannot be reached (${(error as NodeJS.ErrnoException).code})` };
  }
}
