import { applyAccounts, readAllAccountFiles } from "../accounts/account-files.ts";
import { type AccountPlan, planAccounts } from "../accounts/account-plan.ts";
import type { IndexContent } from "../keys/gather.ts";
import type { Owner } from "../owner.ts";
import { repositoryFolder } from "../paths.ts";
import { howToForget, knownRepositories, recordRepositories } from "../repositories/known-repositories.ts";
import {
  accountPaths,
  applyRepositories,
  lookAtTop,
  planRepositories,
  type RepositoryPlan,
} from "../repositories/repositories.ts";
import {
  lostRepositories,
  lostText,
  nestedText,
  unaddressableText,
  unsuitableName,
} from "../repositories/roll-call.ts";
import { beginLook, describeStrange } from "../repositories/strange-entries.ts";
import { type Survey, survey } from "../repositories/survey.ts";
import { settingsOfStart } from "./settings-in-force.ts";

/** What brings accounts and repository directories in step with the index. */
export interface UpdatePlan {
  accounts: AccountPlan;
  repositories: RepositoryPlan;
  /** What is there and should not be so, a line each. */
  remarks: string[];
  /** The paths of repositories, and of accounts' directories that hold something else. */
  ours: ReadonlySet<string>;
}

/** Computes the plan; nothing is changed. */
export function planUpdate({ accounts, settings }: IndexContent): UpdatePlan {
  const found = surveyRepositories(settings);
  const ofAccounts = accountPaths(accounts);
  const mayReown = settingsOfStart() !== null;
  return {
    accounts: planAccounts(readAllAccountFiles(), accounts, settings.uid),
    repositories: planRepositories(accounts, settings, found, lookAtTop(), undefined, mayReown),
    remarks: remarksOn(found, ofAccounts, knownRepositories(repositoryFolder, settings)),
    ours: oursOf(found, ofAccounts),
  };
}

/**
 * Makes the directories, then the accounts, so that nobody can log in to a home that is not there yet.
 * The caller holds the lock (lock.ts) and has published the index.
 * @param isStart whether this is the server's start, whose settings say whose the repositories are
 * @returns what was done, a line for each directory that could not be changed, and the repositories that hold a lock
 */
export function applyUpdate(
  { accounts, settings }: IndexContent,
  isStart = false,
): UpdatePlan & { failures: string[]; locked: string[] } {
  const found = surveyRepositories(settings);
  const ofAccounts = accountPaths(accounts);
  const ours = oursOf(found, ofAccounts);
  const mayReown = isStart || settingsOfStart() !== null;
  const plan = planRepositories(accounts, settings, found, lookAtTop(), undefined, mayReown);
  const { done, failures } = applyRepositories(plan, settings);
  const known = knownRepositories(repositoryFolder, settings);
  const notRecorded = recordRepositories(found, known, settings);
  return {
    repositories: done,
    failures,
    remarks: [...remarksOn(found, ofAccounts, known), ...(notRecorded ? [notRecorded] : [])],
    ours,
    locked: found.entries.filter(({ path, isLocked }) => isLocked && ours.has(path)).map(({ path }) => path),
    accounts: applyAccounts((files) => planAccounts(files, accounts, settings.uid)),
  };
}

function surveyRepositories(owner: Owner): Survey {
  try {
    return survey(repositoryFolder, owner);
  } catch {
    return { entries: [], unaddressable: [] }; // what is wrong with the folder itself is said of it
  }
}

/** The paths of repositories, and of accounts' directories that hold something else. */
const oursOf = ({ entries }: Survey, ofAccounts: ReadonlySet<string>) =>
  new Set(
    entries
      .filter(
        ({ path, state }) => state.is === "repository" || (state.is === "other" && ofAccounts.has(path)),
      )
      .map(({ path }) => path),
  );

function remarksOn(
  { entries, unaddressable }: Survey,
  ofAccounts: ReadonlySet<string>,
  known: ReadonlySet<string>,
): string[] {
  const lost = lostRepositories({ entries, unaddressable }, ofAccounts, known);
  return [
    ...lost.map((path) => `${path} ${lostText(howToForget(path))}`),
    ...unaddressable.map(({ path }) => `${path} ${unaddressableText}`),
    ...entries.flatMap(({ path, state, nested, isLink, foreign }) => {
      const unsuitable = state.is === "repository" && unsuitableName(path);
      return [
        ...(unsuitable ? [`${path} ${unsuitable}`] : []),
        ...(isLink && foreign.length > 0
          ? [
              `${path} leads to a repository with files of somebody else (${foreign.join(", ")}): give them to the owner of the repositories`,
            ]
          : []),
        ...nested.map((inside) => `${inside} ${nestedText(inside, path)}`),
      ];
    }),
  ];
}

/**
 * What is in the repositories and should not be, a line for each.
 * @param patience for how long to look, in milliseconds
 * @returns null where that was not enough
 */
export async function strangeRemarks(
  { ours }: Pick<UpdatePlan, "ours">,
  owner: Owner,
  patience: number,
): Promise<string[] | null> {
  const { found, isComplete } = await beginLook([...ours], owner).end(patience);
  return isComplete ? found.map(describeStrange) : null;
}

/** The plan, a line for each change. */
export function printUpdate({
  accounts,
  repositories,
}: Pick<UpdatePlan, "accounts" | "repositories">): string[] {
  return [
    ...accounts.add.map((name) => `account ${name}: added`),
    ...accounts.change.map((name) => `account ${name}: changed`),
    ...accounts.remove.map((name) => `account ${name}: removed (repositories stay)`),
    ...repositories.create.map((path) => `${path}: created`),
    ...printOwners(repositories),
  ];
}

/** What was given to the owner, a line for each. */
export function printOwners({ own, mend }: RepositoryPlan): string[] {
  return [
    ...own.map((path) => `${path}: new owner`),
    ...mend.map(
      ({ path, names }) => `${path}: new owner of what somebody else left in it (${names.join(", ")})`,
    ),
  ];
}
