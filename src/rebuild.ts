import { existsSync } from "node:fs";
import { readAccountFiles } from "./account-files.ts";
import { gidOfAccount, reservedIds, systemNames } from "./account-plan.ts";
import { gatherContent, type IndexContent, readStoredSettings } from "./index-content.ts";
import { publishIndex } from "./index-publish.ts";
import { indexFile, keyFolder } from "./paths.ts";
import { exitCode, note, ProblemsFound } from "./report.ts";
import { type Environment, readSettings, type Settings } from "./settings.ts";

/**
 * The settings in force: those stored at the start of the server, so that a shell that lost the container's
 * environment cannot change them; before the first start, or where the index is lost, the environment's.
 * Throws the problems of the environment.
 */
export function settingsInForce(environment: Environment): Settings {
  const { settings, problems } = readSettings(environment, reservedIds(readAccountFiles()));
  if (problems.length > 0) throw new ProblemsFound(problems, exitCode.settingProblems);
  if (!existsSync(indexFile)) return settings;
  try {
    return readStoredSettings(indexFile);
  } catch (error) {
    note(
      `the index ${indexFile} cannot be read (${(error as Error).message}); settings are taken from the environment`,
    );
    return settings;
  }
}

/** The validated index content of /sshkeys and these settings. Throws the problems, all of them. */
export function checkedContent(settings: Settings): IndexContent {
  const { content, problems } = gatherContent(keyFolder, settings, systemNames(readAccountFiles()));
  if (problems.length > 0) throw new ProblemsFound(problems, exitCode.keyProblems);
  return content;
}

/** Publishes a new index, readable by the login program's account. The caller holds the lock (lock.ts). */
export function publish(content: IndexContent): void {
  publishIndex(indexFile, content, gidOfAccount(readAccountFiles(), "borgkeys"));
}

/** "3 accounts (2 repo, 1 admin), 4 keys" */
export function summary({ accounts }: Pick<IndexContent, "accounts">): string {
  const count = (number: number, noun: string) => `${number} ${noun}${number === 1 ? "" : "s"}`;
  const byRole = [...new Set(accounts.map(({ role }) => role))].map(
    (role) => `${accounts.filter((account) => account.role === role).length} ${role}`,
  );
  const keys = accounts.reduce((sum, account) => sum + account.keys.length, 0);
  return `${count(accounts.length, "account")}${byRole.length > 0 ? ` (${byRole.join(", ")})` : ""}, ${count(keys, "key")}`;
}
