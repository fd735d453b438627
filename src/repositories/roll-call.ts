import type { Entry, Survey } from "./survey.ts";

/** A place under /repos that a command on all repositories must not pass over. */
export interface Call {
  path: string;
  /** Null: borg is run for it. Else why it is not. */
  problem: string | null;
  /** Whether that problem makes the command fail. */
  fails: boolean;
}

/**
 * Which repositories a command on all of them is run for, and what else has to be named.
 * @param accounts the paths that accounts have
 * @param known the paths that held a repository once
 * @param howToForget says how an operator tells that a repository is gone for good
 * @returns sorted by path
 */
export function callRoll(
  { entries, unaddressable }: Survey,
  accounts: ReadonlySet<string>,
  known: ReadonlySet<string>,
  howToForget: (path: string) => string,
): Call[] {
  const problem = (path: string, text: string, fails = true): Call => ({ path, problem: text, fails });
  const found = new Set(entries.map(({ path }) => path));
  const calls = [
    ...entries.flatMap((entry): Call[] => {
      const { path, nested } = entry;
      return [...ofEntry(entry), ...nested.map((inside) => problem(inside, nestedText(inside, path)))];
    }),
    ...[...accounts].filter((path) => !found.has(path)).map(withoutRepository),
    ...unaddressable
      .filter(({ isRepository }) => isRepository)
      .map(({ path }) => problem(path, unaddressableText)),
  ];
  return calls.sort((a, b) => (a.path < b.path ? -1 : 1));

  function ofEntry({ path, state }: Entry): Call[] {
    const isAccounts = accounts.has(path);
    const isKnown = known.has(path);
    if (state.is === "repository") {
      const unsuitable = unsuitableName(path);
      return [unsuitable ? problem(path, unsuitable) : { path, problem: null, fails: false }];
    }
    if (state.is === "doubtful") return [problem(path, state.why)];
    if (state.is === "other" && isAccounts)
      // What an account's directory has lost, borg shall tell; but what else is in its place it must not open.
      return [
        state.config
          ? problem(path, `is no repository: its config ${state.config}`)
          : { path, problem: null, fails: false },
      ];
    return isAccounts || isKnown ? [withoutRepository(path)] : [];
  }

  function withoutRepository(path: string): Call {
    return known.has(path)
      ? problem(path, lostText(howToForget(path)))
      : problem(path, "holds no repository yet: nothing was backed up, or its storage is not mounted", false);
  }
}

/** Places that held a repository once and hold none now. */
export function lostRepositories(
  { entries }: Survey,
  accounts: ReadonlySet<string>,
  known: ReadonlySet<string>,
): string[] {
  const found = new Map(entries.map((entry) => [entry.path, entry]));
  return [...known]
    .filter((path) => {
      const entry = found.get(path);
      return entry ? ["empty", "other"].includes(entry.state.is) : accounts.has(path);
    })
    .sort();
}

export const lostText = (howToForget: string) =>
  `held a repository once and holds none now: is its storage mounted? If it is gone for good: ${howToForget}`;

export const nestedText = (path: string, outer: string) =>
  `is a repository inside of ${outer}, where no command on all repositories finds it: move it to ${outer.slice(0, outer.lastIndexOf("/"))}${path.slice(path.lastIndexOf("/"))}`;

export const unaddressableText =
  "has a name that is not UTF-8, so no command and no account can be given it: rename it";

/** Why borg cannot be given a repository of this name; null where it can. */
export function unsuitableName(path: string): string | null {
  if (path.includes("::"))
    return 'has "::" in its name, after which borg reads an archive\'s name: rename it';
  return path.slice(path.lastIndexOf("/") + 1).startsWith(".")
    ? "has a name that starts with a dot, which no account can have: rename it"
    : null;
}
