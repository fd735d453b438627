import { readAccountFiles } from "../accounts/account-files.ts";
import { gidOfAccount, rolesOnSystem, systemNames } from "../accounts/account-plan.ts";
import { publishIndex } from "../index/publish.ts";
import { publishedFiles, rolesInIndex } from "../index/read.ts";
import { rolesServed } from "../index/served.ts";
import { gatherContent, type IndexContent } from "../keys/gather.ts";
import type { Trust } from "../keys/key-folder.ts";
import { indexFile, keyFolder } from "../paths.ts";
import { exitCode, type Problem, ProblemsFound } from "../problem.ts";
import { type Role, roles } from "../role.ts";
import type { Settings } from "./settings.ts";

/**
 * The validated index content of /sshkeys and these settings, and what was skipped on the way. Throws the problems, all of them.
 * @param trust by what a file counts as unchanged since the published index, so that it need not be parsed again
 */
export function checkedContent(
  settings: Settings,
  trust: Trust | "nothing",
): { content: IndexContent; skipped: string[] } {
  const published = trust === "nothing" ? undefined : publishedFiles(indexFile);
  const { content, missing, skipped, problems } = gatherContent(
    keyFolder,
    settings,
    systemNames(readAccountFiles()),
    published,
    trust === "nothing" ? undefined : trust,
  );
  problems.push(...lostFolders(missing));
  if (problems.length > 0) throw new ProblemsFound(problems, exitCode.keyProblems);
  return { content, skipped };
}

/**
 * Role folders that are gone while accounts of theirs are served: a mount that got lost must not take every
 * account along. An empty folder may.
 */
export function lostFolders(missing: readonly Role[]): Problem[] {
  if (missing.length === 0) return [];
  const served = rolesServed(indexFile, rolesInIndex(indexFile), rolesOnSystem(readAccountFiles()));
  return missing
    .filter((role) => served.has(role))
    .map((role) => ({
      where: `${keyFolder}/${roles[role].folder}`,
      text: "The folder is gone, but accounts that it gave are served.",
      hint: "Mount it again; to remove those accounts, make it an empty folder.",
    }));
}

/**
 * Publishes a new index, readable by the login program's account. The caller holds the lock (lock.ts).
 * @returns how many keys it holds
 */
export function publish(content: IndexContent): number {
  return publishIndex(indexFile, content, gidOfAccount(readAccountFiles(), "borgkeys"));
}

/** "3 accounts (2 repo, 1 admin), 4 keys" */
export function summary({ accounts }: Pick<IndexContent, "accounts">, keys: number): string {
  const count = (number: number, noun: string) => `${number} ${noun}${number === 1 ? "" : "s"}`;
  const byRole = [...new Set(accounts.map(({ role }) => role))].map(
    (role) => `${accounts.filter((account) => account.role === role).length} ${role}`,
  );
  return `${count(accounts.length, "account")}${byRole.length > 0 ? ` (${byRole.join(", ")})` : ""}, ${count(keys, "key")}`;
}

/** How many keys accounts have that were all read. */
export function countKeys({ accounts }: Pick<IndexContent, "accounts">): number {
  return accounts.reduce((sum, { keys }) => sum + (keys?.length ?? 0), 0);
}
