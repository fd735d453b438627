import { basename, dirname, relative, resolve } from "node:path";
import { repositoryFolder } from "../paths.ts";
import { readCommand } from "./borg-words.ts";

/** What an operator's borg command may reach, apart from what every program needs. */
export interface Reach {
  /** The directory below /repos that it works on; null if it names none that exists. */
  repository: string | null;
  /** What else its words name, and the folder that it was started in. */
  also: string[];
  /** What its words name and it may only read: other repositories, and folders above /repos. */
  look: string[];
}

/** Where a command runs: its environment, the folder that it is started in, and what can be seen there. */
export interface Surroundings {
  environment: Readonly<Record<string, string | undefined>>;
  folder: string;
  /** Whether the owner of the repositories can see a path. */
  exists(path: string): boolean;
}

/**
 * Finds out what a command may reach: what its words name. So if somebody planted something in one repository, it meets a
 * borg that cannot reach another.
 */
export function reachOf(words: readonly string[], { environment, folder, exists }: Surroundings): Reach {
  const { name, others } = readCommand(words);
  const reach: Reach = { repository: null, also: [], look: [] };
  const add = (text: string) => {
    const path = resolve(folder, text);
    if (text === "" || /^\/(dev(?!\/shm)|proc|sys)(\/|$)/.test(path)) return;
    const repository = repositoryOf(path);
    if (repository) {
      if (repository !== reach.repository && exists(repository)) reach.look.push(repository);
    } else if (exists(path)) (holdsRepositories(path) ? reach.look : reach.also).push(path);
    else if (text.includes("/") && !holdsRepositories(dirname(path)) && exists(dirname(path)))
      reach.also.push(dirname(path)); // of a file to be written, such as that of `key export`
  };

  // `borg serve` is told by its client what to open, as in an admin's session.
  const location = locationOf(words, environment);
  const named = name === "serve" ? repositoryFolder : repositoryOf(resolve(folder, location || "/"));
  if (named && exists(named)) reach.repository = named;
  else add(location);
  for (const word of [...others.map(valueIn), ...pathsOf(environment)]) add(word);
  if (!repositoryOf(folder) && !holdsRepositories(folder) && exists(folder)) reach.also.push(folder);
  return { ...reach, also: [...new Set(reach.also)], look: [...new Set(reach.look)] };
}

/** The repository that `borg init` is to make, even if its directory does not exist; null for another command. */
export function repositoryToBegin(
  words: readonly string[],
  { environment, folder }: Pick<Surroundings, "environment" | "folder">,
): string | null {
  if (readCommand(words).name !== "init" || words.some((word) => /^(-h|--h.*)$/.test(word))) return null;
  return repositoryOf(resolve(folder, locationOf(words, environment) || "/"));
}

/** The path of the repository as it is written; empty if there is none, or if it is on another machine. */
function locationOf(words: readonly string[], { BORG_REPO = "" }: Surroundings["environment"]): string {
  const { repository } = readCommand(words);
  const word = repository === null ? "" : (words[repository] ?? "");
  const location = word === "" || word.startsWith("::") ? BORG_REPO : word;
  // borg takes doubled braces for single ones (its placeholders).
  const path = location
    .replace(/^file:\/\//, "")
    .replace(/::.*$/s, "")
    .replace(/([{}])\1/g, "$1");
  return path.includes("://") ? "" : path;
}

/** The value in `--option=value`, or the word. */
const valueIn = (word: string) => (word.startsWith("-") ? (/^-[^=]*=(.*)$/s.exec(word)?.[1] ?? "") : word);

/** The paths in the environment that borg uses (its manual, Environment variables), except the repository. */
function pathsOf(environment: Surroundings["environment"]): string[] {
  return Object.entries(environment).flatMap(([name, value = ""]) => {
    if (/^(TMPDIR|XDG_(CACHE|CONFIG)_HOME|BORG_(KEY_FILE|LOGGING_CONF|.*_DIR))$/.test(name)) return [value];
    return /^BORG_(PASSCOMMAND|RSH)$/.test(name) ? value.replace(/["']/g, " ").split(/\s+/) : [];
  });
}

/** The repository that a path is, or lies in; null for a path elsewhere. */
function repositoryOf(path: string): string | null {
  const [name = ""] = relative(repositoryFolder, path).split("/");
  return name === "" || name === ".." ? null : `${repositoryFolder}/${name}`;
}

/** Whether all repositories lie below a folder. */
const holdsRepositories = (path: string) => !relative(path, repositoryFolder).startsWith("..");

/** Where borg keeps its notes about this repository. It can neither read nor change those about another. */
export function homeOf({ repository }: Reach, borgHome: string): string {
  return repository && repository !== repositoryFolder
    ? `${borgHome}/repositories/${basename(repository)}`
    : borgHome;
}
