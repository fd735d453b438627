import { applyAccounts, readAllAccountFiles } from "./account-files.ts";
import { type AccountPlan, planAccounts } from "./account-plan.ts";
import type { IndexContent } from "./index-content.ts";
import { applyRepositories, planRepositories, type RepositoryPlan } from "./repositories.ts";

/** What brings accounts and repository directories in step with the index. */
export interface UpdatePlan {
  accounts: AccountPlan;
  repositories: RepositoryPlan;
}

/** Computes the plan; nothing is changed. */
export function planUpdate({ accounts, settings }: IndexContent): UpdatePlan {
  return {
    accounts: planAccounts(readAllAccountFiles(), accounts, settings.uid),
    repositories: planRepositories(accounts, settings),
  };
}

/**
 * Makes the directories, then the accounts, so that nobody can log in to a home that is not there yet.
 * The caller holds the lock (lock.ts) and has published the index.
 * @returns what was done, and a line for each directory that could not be changed
 */
export function applyUpdate({ accounts, settings }: IndexContent): UpdatePlan & { failures: string[] } {
  const { done, failures } = applyRepositories(planRepositories(accounts, settings), settings);
  return {
    repositories: done,
    failures,
    accounts: applyAccounts((files) => planAccounts(files, accounts, settings.uid)),
  };
}

/** The plan, a line for each change. */
export function printUpdate({ accounts, repositories }: UpdatePlan): string[] {
  return [
    ...accounts.add.map((name) => `account ${name}: added`),
    ...accounts.change.map((name) => `account ${name}: changed`),
    ...accounts.remove.map((name) => `account ${name}: removed (repositories stay)`),
    ...repositories.create.map((path) => `${path}: created`),
    ...repositories.own.map((path) => `${path}: new owner`),
  ];
}
