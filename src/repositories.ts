import { spawnSync } from "node:child_process";
import { chmodSync, chownSync, lstatSync, mkdirSync, readdirSync, statSync } from "node:fs";
import type { NamedRole } from "./account-plan.ts";
import { repositoryFolder } from "./paths.ts";
import { accountDirectory } from "./role.ts";

/** Which directories have to be made, re-owned or given their mode. Nothing is ever removed. */
export interface RepositoryPlan {
  create: string[];
  own: string[];
  mode: string[];
  /** Where something else stands in a directory's place. */
  blocked: string[];
}

export interface Owner {
  uid: number;
  gid: number;
}

/** What is at a path: a directory's owner and mode, `link` for a symlink to a directory, `other`, or null for nothing. */
export type LookAt = (path: string) => { uid: number; gid: number; mode: number } | "link" | "other" | null;

/**
 * Owner alone, and set-group-ID: what a session makes inside gets the directory's group (inode(7)), not the
 * role group that the session runs with.
 */
const directoryMode = 0o2700;

/** Computes what has to be done so that each account has its directory, owned by the owner. */
export function planRepositories(
  accounts: readonly NamedRole[],
  owner: Owner,
  lookAt: LookAt = lookAtDisk,
): RepositoryPlan {
  const plan: RepositoryPlan = { create: [], own: [], mode: [], blocked: [] };
  const directories = accounts
    .filter(({ role }) => role !== "admin")
    .map(({ name, role }) => accountDirectory(role, name));
  for (const path of [repositoryFolder, ...directories.sort()]) {
    const found = lookAt(path);
    if (found === null) plan.create.push(path);
    else if (found === "other") plan.blocked.push(path);
    else if (found !== "link") {
      // Where a symlink leads is the operator's own affair.
      if (found.uid !== owner.uid || found.gid !== owner.gid) plan.own.push(path);
      if ((found.mode & directoryMode) !== directoryMode) plan.mode.push(path);
    }
  }
  return plan;
}

/**
 * Does what the plan says, as far as it can be done: one directory that cannot be changed must not keep the
 * others from their backups. A repository is re-owned with all that is in it, its top directory last
 * (chown(1) visits it after its content), so that an interrupted run is taken up by the next.
 * @returns a line for each failure
 */
export function applyRepositories(plan: RepositoryPlan, { uid, gid }: Owner): string[] {
  const failures: string[] = [];
  const attempt = (path: string, what: string, action: () => void) => {
    try {
      action();
    } catch (error) {
      failures.push(`${path} could not be ${what}: ${(error as Error).message}`);
    }
  };
  for (const path of plan.blocked) failures.push(`${path} is no directory: move it away`);
  for (const path of plan.create)
    attempt(path, "created", () => {
      mkdirSync(path, { recursive: true, mode: path === repositoryFolder ? 0o755 : 0o700 });
      chownSync(path, uid, gid);
      setMode(path);
    });
  for (const path of plan.own)
    attempt(path, `given to ${uid}:${gid}`, () => {
      if (path === repositoryFolder) chownSync(path, uid, gid);
      else changeOwnerOfAll(path, `${uid}:${gid}`);
    });
  for (const path of plan.mode) setMode(path);
  return failures;
}

function setMode(path: string): void {
  try {
    chmodSync(path, (statSync(path).mode & 0o7777) | directoryMode);
  } catch {
    // Many network shares know no modes. Backups work without; new files then get the role's group.
  }
}

/** The repositories below a folder: directories with a borg config, in order. */
export function listRepositories(folder: string): string[] {
  const isRepository = (name: string) =>
    statSync(`${folder}/${name}/config`, { throwIfNoEntry: false })?.isFile();
  return readdirSync(folder)
    .filter((name) => !name.startsWith(".") && isRepository(name))
    .sort()
    .map((name) => `${folder}/${name}`);
}

function changeOwnerOfAll(path: string, owner: string): void {
  const { status, stderr, error } = spawnSync(
    "chown",
    ["--recursive", "--no-dereference", "--", owner, path],
    { encoding: "utf8" },
  );
  if (error) throw error;
  if (status !== 0) throw new Error(stderr.trim().split("\n")[0]);
}

function lookAtDisk(path: string): ReturnType<LookAt> {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (!found) return null;
  if (found.isDirectory()) return found;
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ? "link" : "other";
}
