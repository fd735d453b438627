import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, statSync } from "node:fs";
import { reasonOf } from "../failure.ts";
import { asOwner, isClosedToRoot, type Owner } from "../owner.ts";
import { repositoryFolder } from "../paths.ts";
import type { Problem } from "../problem.ts";
import { counted, type Progress, unseen } from "../progress.ts";
import { changeOwner, changeOwnerOfAll, keepsOwnOwners } from "./directory-owner.ts";
import { directoryMode, type RepositoryPlan } from "./plan.ts";

/**
 * Carries out the plan, as far as it can be done: one directory that cannot be changed must not keep the others from
 * their backups.
 * @returns the part of the plan that was done, and what could not be done
 */
export function applyRepositories(
  plan: RepositoryPlan,
  owner: Owner,
  progress: Progress = unseen,
): { done: RepositoryPlan; failures: Problem[] } {
  const failures = [...plan.blocked];
  const done: RepositoryPlan = { create: [], own: [], mend: [], mode: [], blocked: [] };
  const attempt = (what: string, path: string, action: () => void): boolean => {
    try {
      action();
      return true;
    } catch (error) {
      failures.push({ where: path, text: `could not be ${what}: ${reasonOf(error)}`, hint: "" });
      return false;
    }
  };
  const given = `given to ${owner.uid}:${owner.gid}`;
  for (const path of counted(plan.create, "making directories", progress))
    if (attempt("created", path, () => makeDirectory(path, owner))) {
      setMode(path);
      done.create.push(path);
    }
  for (const path of counted(plan.own, "giving directories to their owner", progress))
    if (
      attempt(given, path, () => {
        if (path === repositoryFolder) changeOwner(path, owner);
        else changeOwnerOfAll(path, owner);
      })
    )
      done.own.push(path);
  for (const entry of counted(plan.mend, "giving files to their owner", progress))
    if (attempt(given, entry.path, () => changeOwnerOfAll(entry.path, owner))) done.mend.push(entry);
  for (const path of plan.mode) setMode(path);
  return { done, failures };
}

function makeDirectory(path: string, owner: Owner): void {
  try {
    mkdirSync(path, { recursive: true, mode: path === repositoryFolder ? 0o755 : 0o700 });
  } catch (error) {
    if (!isClosedToRoot(error)) throw error;
    const [program = "", ...words] = asOwner(owner, ["mkdir", "--parents", "--mode=700", path]);
    if (spawnSync(program, words).status !== 0) throw error;
  }
  try {
    changeOwner(path, owner);
  } catch (error) {
    if (!keepsOwnOwners(owner)(path)) throw error;
  }
}

function setMode(path: string): void {
  try {
    chmodSync(path, (statSync(path).mode & 0o7777) | directoryMode);
  } catch {
    // Many network shares have no modes. Backups work without them.
  }
}
