import { statSync } from "node:fs";
import { areAddressesPublished } from "../index/addresses.ts";
import { compare, formatDifference } from "../index/difference.ts";
import { readIndex } from "../index/read.ts";
import type { NamedRole } from "../keys/account.ts";
import type { Owner } from "../owner.ts";
import { generationFolder, indexFile, keyFolder, lockFile } from "../paths.ts";
import { OperatorError, type Problem, ProblemsFound } from "../problem.ts";
import { unseen } from "../progress.ts";
import { applyRepositories } from "../repositories/apply.ts";
import { keepsOwnOwners } from "../repositories/directory-owner.ts";
import { accountPaths, ownerLines, planRepositories } from "../repositories/plan.ts";
import { accountsWithoutDirectory, isSameDirectory, lookAtTop, surveyOf } from "../repositories/survey.ts";
import { roleNames, roles } from "../role.ts";
import { inForceSinceStart } from "../server/in-force.ts";
import { accountLines, check, demand, planPublication, publish, summary } from "../server/in-step.ts";
import { withLock } from "../server/lock.ts";
import { planRemoval, type RoleFolders } from "./removal.ts";

/** What the keeper remembers, for the process that takes up changes. */
export interface Remembered {
  /** How many accounts were removed in the step that is under way (removal.ts). */
  removedLately: number;
  /** Whether more were to be removed, and too many. */
  isHeld: boolean;
  /** The folders that the published accounts came from. */
  folders: RoleFolders;
}

/** What came of it. */
export interface TakenUp {
  /** Whether keys may have been taken away. */
  isRevoking: boolean;
  /** What was done, in lines for the log. */
  lines: string[];
  /** What keeps changes from being taken up, and directories from being made. */
  problems: Problem[];
  removed: number;
  /** Whether more are to be removed, and too many. */
  isHeld: boolean;
  folders: RoleFolders;
}

/**
 * Takes up what has changed in the key folder, as `update-borgusers` does, with no more work than that is: files that are
 * unchanged by stat(2) are not read, nothing is published where an operator's command has done it already, and only
 * directories of accounts that are new, changed or without one are looked at. Accounts are removed with reserve.
 */
export function takeUp(remembered: Remembered): TakenUp {
  try {
    return withLock(lockFile, () => takeUpLocked(remembered));
  } catch (error) {
    if (!(error instanceof ProblemsFound)) throw error;
    return { ...remembered, isRevoking: false, lines: [], problems: [...error.problems], removed: 0 };
  }
}

/** So many files that have settled since they were published are published anew, so that they need not be read each time. */
const manySettled = 1000;

function takeUpLocked({ removedLately, folders }: Omit<Remembered, "isHeld">): TakenUp {
  const inForce = inForceSinceStart();
  if (!inForce) throw new OperatorError("no server was started in this container");
  const { owner } = inForce.settings;
  const now = roleFolders();
  const checked = demand(check(inForce, "stat", unseen));
  const read = checked.accounts.filter(({ keys }) => keys !== null);
  const published = publishedAccounts(read.map(({ name }) => name));
  const removal = planRemoval(checked.accounts, published ?? [], removedLately, folders, now);
  const accounts = [...checked.accounts, ...removal.kept];
  const difference = published && compare(accounts, published);
  const isSame =
    difference !== null &&
    formatDifference(difference) === null &&
    areAddressesPublished(generationFolder, accounts);
  const settled = read.filter(({ state }) => state !== null);

  const lines: string[] = [];
  const touched = new Set(accountsWithoutDirectory(accounts, owner));
  if (!isSame || settled.length >= manySettled) {
    const planned = planPublication({ ...checked, accounts }, "files");
    const keys = publish(planned, unseen);
    if (!isSame) lines.push(`index: ${summary(accounts, keys)}`, ...accountLines(planned.accounts));
    for (const name of [...planned.accounts.add, ...planned.accounts.change]) touched.add(name);
  }
  const directories = makeDirectories(
    accounts.filter(({ name }) => touched.has(name)),
    owner,
  );
  const before = Object.fromEntries(removal.lost.map((role) => [role, folders[role]]));
  return {
    isRevoking: difference === null || difference.otherwise + difference.beyond > 0,
    lines: [...lines, ...directories.lines],
    problems: [...removal.problems, ...directories.failures],
    removed: removal.removed,
    isHeld: removal.isHeld,
    folders: { ...now, ...before },
  };
}

/** Null where the index cannot answer, so that a new one is due. */
function publishedAccounts(withKeys: readonly string[]): ReturnType<typeof readIndex> | null {
  try {
    return readIndex(indexFile, withKeys);
  } catch (error) {
    if (error instanceof OperatorError) throw error;
    return null;
  }
}

function roleFolders(): RoleFolders {
  const found: RoleFolders = {};
  for (const role of roleNames) {
    const folder = statSync(`${keyFolder}/${roles[role].folder}`, { throwIfNoEntry: false });
    if (folder) found[role] = `${folder.dev}:${folder.ino}`;
  }
  return found;
}

/** Makes the directories of these accounts, or gives them to their owner. */
function makeDirectories(
  accounts: readonly NamedRole[],
  owner: Owner,
): { lines: string[]; failures: Problem[] } {
  const paths = [...accountPaths(accounts)];
  if (paths.length === 0) return { lines: [], failures: [] };
  const planned = planRepositories(accounts, owner, surveyOf(paths, owner), lookAtTop(), {
    keepsOwnOwners: keepsOwnOwners(owner),
    isSameDirectory,
    mayReown: true,
  });
  const { done, failures } = applyRepositories(planned, owner);
  return { lines: [...done.create.map((path) => `${path}: created`), ...ownerLines(done)], failures };
}
