import type { Account, FoundAccount } from "../keys/account.ts";
import { keyFolder } from "../paths.ts";
import type { Problem } from "../problem.ts";
import { type Role, roleNames, roles } from "../role.ts";

/** More accounts than this that are also a larger share of all are removed by an operator's command alone. */
const few = 10;
const share = 1 / 5;

/** What happens within this time counts as one step, in milliseconds: to delete a large folder takes its time. */
const oneStep = 60_000;

/** How many accounts the keeper removed in the step that is under way. */
export class RemovedLately {
  #removed: { at: number; count: number }[] = [];
  isHeld = false;

  /**
   * So many were removed, and perhaps more were not, because they were too many: the step is not over then before a
   * command has removed them, or their files are back.
   * @param now in milliseconds
   */
  add(now: number, count: number, isHeld: boolean): void {
    if (count > 0) this.#removed.push({ at: now, count });
    this.isHeld = isHeld;
  }

  count(now: number): number {
    if (!this.isHeld) this.#removed = this.#removed.filter(({ at }) => now - at < oneStep);
    return this.#removed.reduce((sum, { count }) => sum + count, 0);
  }
}

/** Which folder is at the path of each role's, as stat(2) tells it from others. */
export type RoleFolders = Partial<Record<Role, string>>;

/** What becomes of published accounts whose files are not there any more. */
export interface Removal {
  removed: number;
  /** Those that go on being served, as they are published. */
  kept: FoundAccount[];
  /** Whether some of them are kept because they are too many. */
  isHeld: boolean;
  /** The roles with another folder than the one that their published accounts came from. */
  lost: Role[];
  /** Why that is. */
  problems: Problem[];
}

type PublishedAccount = Omit<Account, "state">;

/**
 * Decides which accounts are removed without a command. A folder in whose place another one is, without any of its
 * accounts, is a mount that was lost; and nothing removes many accounts at once but an operator who says so.
 * @param found all accounts that files give
 * @param removedLately how many were removed in this step already
 * @param before the folders that the published accounts came from, as far as that is known
 * @param now those that are there
 */
export function planRemoval(
  found: readonly FoundAccount[],
  published: readonly PublishedAccount[],
  removedLately: number,
  before: RoleFolders,
  now: RoleFolders,
): Removal {
  // On some storage two names that differ by case are one directory.
  const names = new Set(found.map(({ name }) => name.toLowerCase()));
  const gone = published.filter(({ name }) => !names.has(name.toLowerCase()));
  const filled = new Set(found.map(({ role }) => role));
  const isLost = (role: Role) =>
    !filled.has(role) && before[role] !== undefined && before[role] !== now[role];
  const lost = roleNames.filter((role) => isLost(role) && gone.some((account) => account.role === role));
  const ofLost = gone.filter(({ role }) => lost.includes(role));
  const others = gone.filter(({ role }) => !lost.includes(role));
  const total = others.length + removedLately;
  const isTooMuch = others.length > 0 && total > few && total > (published.length + removedLately) * share;
  const problems = lost.map((role) => ({
    where: `${keyFolder}/${roles[role].folder}`,
    text: "another folder is in its place, without any of its accounts, which are served as before",
    hint: "Mount it again. To remove those accounts: update-borgusers",
  }));
  if (isTooMuch)
    problems.push({
      where: keyFolder,
      text: `the files of ${others.length} of ${published.length} accounts, such as ${others[0]!.name}, are gone; so many are not removed without a command, and are served as before`,
      hint: "Put the files back. To remove those accounts: update-borgusers",
    });
  const kept = isTooMuch ? gone : ofLost;
  return {
    removed: gone.length - kept.length,
    // As if their files were unchanged: what is published is taken over.
    kept: kept.map((account) => ({ ...account, state: null, keys: null })),
    isHeld: isTooMuch,
    lost,
    problems,
  };
}
