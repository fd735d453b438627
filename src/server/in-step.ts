import { readAccountFiles } from "../accounts/account-files.ts";
import { accountId, idsForAccounts } from "../accounts/account-id.ts";
import type { AccountPlan } from "../accounts/account-plan.ts";
import {
  type AccountPublication,
  planAccountPublication,
  type Reuse,
  writeAccounts,
} from "../accounts/published-accounts.ts";
import { gidOfAccount, roleGids, systemNames } from "../accounts/system-accounts.ts";
import { wantedAccounts } from "../accounts/wanted-accounts.ts";
import { writeAddresses } from "../index/addresses.ts";
import { publishGeneration } from "../index/generation.ts";
import { buildIndex, type IndexContent } from "../index/publish.ts";
import { accountsServed, hasSettings, publishedFiles, rolesInIndex } from "../index/read.ts";
import { countServed, rolesServed, writeServed } from "../index/served.ts";
import type { FoundAccount } from "../keys/account.ts";
import type { Trust } from "../keys/file-state.ts";
import { type Gathered, gatherAccounts } from "../keys/gather.ts";
import type { Owner } from "../owner.ts";
import { indexFile, keyFolder, repositoryFolder, stateFolder } from "../paths.ts";
import { exitCode, type Problem, ProblemsFound } from "../problem.ts";
import type { Progress } from "../progress.ts";
import { applyRepositories } from "../repositories/apply.ts";
import { keepsOwnOwners } from "../repositories/directory-owner.ts";
import { knownRepositories, recordRepositories } from "../repositories/known-repositories.ts";
import { accountPaths, ownerLines, planRepositories, type RepositoryPlan } from "../repositories/plan.ts";
import { remarksOn } from "../repositories/remarks.ts";
import { isSameDirectory, lookAtTop, type Survey, survey } from "../repositories/survey.ts";
import { type Role, restsOnGuard, roleOf, roles } from "../role.ts";
import { idMap } from "../user-namespace.ts";
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
  const served = () => new Set(accountsServed(indexFile).map(({ name }) => name));
  const reading = { ...unchanged, served, timeZone, progress };
  const gathered = gatherAccounts(keyFolder, borgKeys, systemNames(readAccountFiles()), reading);
  const lost = [...lostFolders(gathered.missing), ...lostSettings(gathered.hasSettings)];
  const unkept = unkeptRoles(gathered.accounts, inForce);
  return { ...gathered, problems: [...gathered.problems, ...lost, ...unkept], inForce, lost };
}

/** Throws all problems, if there are any. */
export function demand(checked: Checked): Checked {
  if (checked.problems.length > 0) throw new ProblemsFound(checked.problems, exitCode.keyProblems);
  return checked;
}

/** A lost mount must not remove every account. An empty folder may. */
function lostFolders(missing: readonly Role[]): Problem[] {
  if (missing.length === 0) return [];
  const served = rolesServed(stateFolder, rolesInIndex(indexFile));
  return missing
    .filter((role) => served.has(role))
    .map((role) => ({
      where: `${keyFolder}/${roles[role].folder}`,
      text: "the folder is missing, but its accounts are served",
      hint: "Mount it again. To remove those accounts, make it an empty folder.",
    }));
}

/** Without its settings files, an archived repository would be open again, and a shared one be forgotten. */
function lostSettings(exists: boolean): Problem[] {
  if (exists || !hasSettings(indexFile)) return [];
  return [
    {
      where: `${keyFolder}/settings`,
      text: "the folder is missing, but its settings are in force",
      hint: "Mount it again. To take these settings back, make it an empty folder.",
    },
  ];
}

/** With a borg in which the guard does not hold, nobody may believe that it does. */
function unkeptRoles(accounts: readonly FoundAccount[], { settings, unguarded }: InForce): Problem[] {
  if (unguarded === "") return [];
  const found = new Set<Role>();
  let isArchived = false;
  for (const { role, settings: own } of accounts)
    if (restsOnGuard(role, own?.deletions ?? settings.deletions)) found.add(role);
    else isArchived ||= restsOnGuard(roleOf(role, own?.archived ?? false), settings.deletions);
  const problem = (folder: string, what: string, hint = "") => ({
    where: `${keyFolder}/${folder}`,
    text: `${what} cannot be kept with the borg that is installed: ${unguarded}`,
    hint: `Install another borg 1.x${hint}.`,
  });
  const kept =
    ", or leave deletions to borg's own append-only: APPENDONLY_DELETIONS=kept, and nothing else in settings files";
  return [
    ...[...found].map((role) =>
      problem(roles[role].folder, "what this role promises", role === "appendonly" ? kept : ""),
    ),
    ...(isArchived ? [problem("settings", "that archived repositories do not change")] : []),
  ];
}

/** Everything that follows from what the operator gave. Nothing is changed until it is applied. */
export interface Plan extends Publication {
  owner: Owner;
  repositories: RepositoryPlan;
  survey: Survey;
  /** The paths that held a repository once. */
  known: ReadonlySet<string>;
  /** The paths of repositories, and of accounts' directories that hold something else. */
  ours: ReadonlySet<string>;
  /** Everything under /repos that should not be as it is. */
  remarks: Problem[];
}

/**
 * @param reuse what of the published accounts is taken over
 * @param progress as for all steps
 */
export function plan(checked: Checked, reuse: Reuse, progress: Progress): Plan {
  const { accounts, inForce } = checked;
  const { owner } = inForce.settings;
  const found = surveyRepositories(owner, progress);
  const known = knownRepositories(repositoryFolder, owner);
  const ofAccounts = accountPaths(accounts);
  return {
    ...planPublication(checked, reuse),
    owner,
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

/** The part of a plan that decides logins: the index, and the accounts that the system knows. */
export interface Publication {
  index: IndexContent;
  accounts: AccountPublication;
}

export function planPublication(
  { accounts, inForce: { settings, walled } }: Checked,
  reuse: Reuse,
): Publication {
  const owner = settings.owner.uid;
  const ids = idsForAccounts(idMap("uid"));
  const wanted = wantedAccounts(accounts, owner, ids, roleGids(readAccountFiles()));
  return {
    index: {
      accounts,
      extraArguments: settings.extraArguments,
      idOf: (name) => accountId(name, owner, ids),
      walled,
      deletions: settings.deletions,
    },
    accounts: planAccountPublication(wanted, reuse),
  };
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

/** Publishes, then makes the directories. A session that comes before its directory is refused with that reason. */
export function apply(planned: Plan, progress: Progress): Applied {
  const { owner, accounts, repositories, survey, known, remarks } = planned;
  const keys = publish(planned, progress);
  const { done, failures } = applyRepositories(repositories, owner, progress);
  const notRecorded = recordRepositories(survey, known, owner);
  return {
    keys,
    accounts,
    repositories: done,
    failures,
    remarks: notRecorded ? [...remarks, notRecorded] : remarks,
  };
}

/** Publishes index and accounts at once, the index readable by the login program's account. @returns how many keys it holds */
export function publish({ index, accounts }: Publication, progress: Progress): number {
  const group = gidOfAccount(readAccountFiles(), "borgkeys");
  return publishGeneration(stateFolder, group, (generation) => {
    writeServed(generation, countServed(index.accounts));
    writeAddresses(generation, index.accounts);
    writeAccounts(generation, accounts);
    return buildIndex(`${generation}/index.sqlite`, indexFile, index, group, progress);
  });
}

/** A line for each change of accounts and directories. */
export function linesOf({ accounts, repositories }: Pick<Applied, "accounts" | "repositories">): string[] {
  return [
    ...accountLines(accounts),
    ...repositories.create.map((path) => `${path}: created`),
    ...ownerLines(repositories),
  ];
}

/** A line for each change of accounts. */
export function accountLines({ add, change, remove }: AccountPlan): string[] {
  return [
    ...add.map((name) => `account ${name}: added`),
    ...change.map((name) => `account ${name}: changed`),
    ...remove.map((name) => `account ${name}: removed (repositories stay)`),
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
