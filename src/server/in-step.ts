import { applyAccounts, readAccountFiles, readAllAccountFiles } from "../accounts/account-files.ts";
import {
  type AccountPlan,
  gidOfAccount,
  planAccounts,
  rolesOnSystem,
  systemNames,
} from "../accounts/account-plan.ts";
import { type IndexContent, publishIndex } from "../index/publish.ts";
import { publishedFiles, rolesInIndex } from "../index/read.ts";
import { rolesServed } from "../index/served.ts";
import type { FoundAccount } from "../keys/account.ts";
import type { Trust } from "../keys/file-state.ts";
import { type Gathered, gatherAccounts } from "../keys/gather.ts";
import type { Owner } from "../owner.ts";
import { indexFile, keyFolder, repositoryFolder } from "../paths.ts";
import { exitCode, type Problem, ProblemsFound } from "../problem.ts";
import type { Progress } from "../progress.ts";
import { applyRepositories } from "../repositories/apply.ts";
import { keepsOwnOwners } from "../repositories/directory-owner.ts";
import { knownRepositories, recordRepositories } from "../repositories/known-repositories.ts";
import { accountPaths, ownerLines, planRepositories, type RepositoryPlan } from "../repositories/plan.ts";
import { remarksOn } from "../repositories/remarks.ts";
import { isSameDirectory, lookAtTop, type Survey, survey } from "../repositories/survey.ts";
import { type Role, roles } from "../role.ts";
import type { InForce } from "./in-force.ts";

/**
 * The one way of every change: check what the operator gave, plan what follows from it, apply the plan. The lock
 * (lock.ts) must be held from before the check until the plan is applied.
 */

/** What the operator gave, and everything that is wrong with it. */
export interface Checked extends Gathered {
  inForce: InForce;
  /** Role folders that are missing while their accounts are served. They are among the problems too. */
  lost: Problem[];
}

/**
 * Reads /sshkeys and BORG_SSHKEYS.
 * @param trust by what a file counts as unchanged since the published index, so that it need not be parsed again
 */
export function check(inForce: InForce, trust: Trust | "nothing", progress: Progress): Checked {
  const { borgKeys, timeZone } = inForce.settings;
  const unchanged = trust === "nothing" ? {} : { published: publishedFiles(indexFile), trust };
  const reading = { ...unchanged, timeZone, progress };
  const gathered = gatherAccounts(keyFolder, borgKeys, systemNames(readAccountFiles()), reading);
  const lost = lostFolders(gathered.missing);
  return { ...gathered, problems: [...gathered.problems, ...lost], inForce, lost };
}

/** Throws all problems, if there are any. */
export function demand(checked: Checked): Checked {
  if (checked.problems.length > 0) throw new ProblemsFound(checked.problems, exitCode.keyProblems);
  return checked;
}

/** A lost mount must not remove every account. An empty folder may. */
function lostFolders(missing: readonly Role[]): Problem[] {
  if (missing.length === 0) return [];
  const served = rolesServed(indexFile, rolesInIndex(indexFile), rolesOnSystem(readAccountFiles()));
  return missing
    .filter((role) => served.has(role))
    .map((role) => ({
      where: `${keyFolder}/${roles[role].folder}`,
      text: "the folder is missing, but its accounts are served",
      hint: "Mount it again. To remove those accounts, make it an empty folder.",
    }));
}

/** Everything that follows from what the operator gave. Nothing is changed until it is applied. */
export interface Plan {
  index: IndexContent;
  owner: Owner;
  accounts: AccountPlan;
  repositories: RepositoryPlan;
  survey: Survey;
  /** The paths that held a repository once. */
  known: ReadonlySet<string>;
  /** The paths of repositories, and of accounts' directories that hold something else. */
  ours: ReadonlySet<string>;
  /** Everything under /repos that should not be as it is. */
  remarks: Problem[];
}

/** @param progress as for all steps */
export function plan(checked: Checked, progress: Progress): Plan {
  const { accounts, inForce } = checked;
  const { owner } = inForce.settings;
  const found = surveyRepositories(owner, progress);
  const known = knownRepositories(repositoryFolder, owner);
  const ofAccounts = accountPaths(accounts);
  return {
    index: planIndex(checked),
    owner,
    accounts: planAccounts(readAllAccountFiles(), accounts, owner.uid),
    repositories: planRepositories(accounts, owner, found, lookAtTop(), {
      keepsOwnOwners: keepsOwnOwners(owner),
      isSameDirectory,
      mayReown: inForce.isServing,
    }),
    survey: found,
    known,
    ours: oursOf(found, ofAccounts),
    remarks: remarksOn(found, ofAccounts, known),
  };
}

/** Only the index, of a plan. */
export function planIndex({ accounts, inForce: { settings, landlock } }: Checked): IndexContent {
  return { accounts, extraArguments: settings.extraArguments, landlock };
}

function surveyRepositories(owner: Owner, progress: Progress): Survey {
  try {
    return survey(repositoryFolder, owner, progress);
  } catch {
    return { entries: [], unaddressable: [] }; // what is wrong with the folder itself is said of it
  }
}

const oursOf = ({ entries }: Survey, ofAccounts: ReadonlySet<string>) =>
  new Set(
    entries
      .filter(
        ({ path, state }) => state.is === "repository" || (state.is === "other" && ofAccounts.has(path)),
      )
      .map(({ path }) => path),
  );

/** What came of a plan. */
export interface Applied {
  /** How many keys the index holds. */
  keys: number;
  accounts: AccountPlan;
  repositories: RepositoryPlan;
  /** The directories that could not be changed. */
  failures: Problem[];
  remarks: Problem[];
}

/** Publishes the index, makes the directories, then the accounts: so nobody can log in to a home that is not there yet. */
export function apply(
  { index, owner, repositories, survey, known, remarks }: Plan,
  progress: Progress,
): Applied {
  const keys = applyIndex(index, progress);
  const { done, failures } = applyRepositories(repositories, owner, progress);
  const notRecorded = recordRepositories(survey, known, owner);
  return {
    keys,
    repositories: done,
    failures,
    remarks: notRecorded ? [...remarks, notRecorded] : remarks,
    accounts: applyAccounts((files) => planAccounts(files, index.accounts, owner.uid)),
  };
}

/** Publishes the index, readable by the login program's account. @returns how many keys it holds */
export function applyIndex(index: IndexContent, progress: Progress): number {
  return publishIndex(indexFile, index, gidOfAccount(readAccountFiles(), "borgkeys"), progress);
}

/** A line for each change of accounts and directories. */
export function linesOf({ accounts, repositories }: Pick<Applied, "accounts" | "repositories">): string[] {
  return [
    ...accounts.add.map((name) => `account ${name}: added`),
    ...accounts.change.map((name) => `account ${name}: changed`),
    ...accounts.remove.map((name) => `account ${name}: removed (repositories stay)`),
    ...repositories.create.map((path) => `${path}: created`),
    ...ownerLines(repositories),
  ];
}

/** "3 accounts (2 repo, 1 admin), 4 keys" */
export function summary(accounts: readonly FoundAccount[], keys: number): string {
  const count = (number: number, noun: string) => `${number} ${noun}${number === 1 ? "" : "s"}`;
  const byRole = [...new Set(accounts.map(({ role }) => role))].map(
    (role) => `${accounts.filter((account) => account.role === role).length} ${role}`,
  );
  return `${count(accounts.length, "account")}${byRole.length > 0 ? ` (${byRole.join(", ")})` : ""}, ${count(keys, "key")}`;
}

/** How many keys these accounts have, whose files were all read. */
export function countKeys(accounts: readonly FoundAccount[]): number {
  return accounts.reduce((sum, { keys }) => sum + (keys?.length ?? 0), 0);
}
