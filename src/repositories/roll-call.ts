import type { Problem, Refusal } from "../problem.ts";
import type { Entry, Survey } from "./survey.ts";

/** A place under /repos that a command on all repositories must not skip. */
export interface Call {
  path: string;
  /** Why borg is not run for it, or null if it is. */
  problem: Problem | null;
  /** Whether that problem makes the command fail. */
  fails: boolean;
}

/**
 * The repositories that a command on all of them is run for, and what else it has to report.
 * @param accounts the paths that accounts have
 * @param known the paths that held a repository once
 * @param howToForget the command by which an operator declares a repository gone for good
 * @returns sorted by path
 */
export function callRoll(
  { entries, unaddressable }: Survey,
  accounts: ReadonlySet<string>,
  known: ReadonlySet<string>,
  howToForget: (path: string) => string,
): Call[] {
  const problem = (path: string, refusal: Refusal, fails = true): Call => ({
    path,
    problem: { where: path, ...refusal },
    fails,
  });
  const found = new Set(entries.map(({ path }) => path));
  const calls = [
    ...entries.flatMap((entry): Call[] => {
      const { path, nested } = entry;
      return [...ofEntry(entry), ...nested.map((inside) => problem(inside, nestedIn(inside, path)))];
    }),
    ...[...accounts].filter((path) => !found.has(path)).map(withoutRepository),
    ...unaddressable.filter(({ isRepository }) => isRepository).map(({ path }) => problem(path, notUtf8)),
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
      // What an account's directory lacks, borg itself reports. But it must not open what is there instead.
      return [
        state.config
          ? problem(path, { text: `this is not a repository: its config ${state.config}`, hint: "" })
          : { path, problem: null, fails: false },
      ];
    return isAccounts || isKnown ? [withoutRepository(path)] : [];
  }

  function withoutRepository(path: string): Call {
    return known.has(path) ? problem(path, lost(howToForget(path))) : problem(path, notBegun, false);
  }
}

/** Places that held a repository once and do not now. */
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

export const lost = (howToForget: string): Refusal => ({
  text: "the repository that was here is missing",
  hint: `Is its storage mounted? If it is gone for good: ${howToForget}`,
});

const notBegun: Refusal = {
  text: "there is no repository here yet: nothing was backed up, or its storage is not mounted",
  hint: "",
};

export const nestedIn = (path: string, outer: string): Refusal => ({
  text: `this repository is inside ${outer}, where no command on all repositories finds it`,
  hint: `Move it to ${outer.slice(0, outer.lastIndexOf("/"))}${path.slice(path.lastIndexOf("/"))}.`,
});

export const notUtf8: Refusal = {
  text: "the name is not UTF-8, so it cannot be given to any command or account",
  hint: "Rename it.",
};

/** Why borg cannot be given a repository of this name; null if it can. */
export function unsuitableName(path: string): Refusal | null {
  if (path.includes("::"))
    return { text: 'the name contains "::", after which borg reads an archive\'s name', hint: "Rename it." };
  return path.slice(path.lastIndexOf("/") + 1).startsWith(".")
    ? { text: "the name starts with a dot, which no account's name does", hint: "Rename it." }
    : null;
}
