import { basename, dirname, relative, resolve } from "node:path";
import { repositoryFolder } from "./paths.ts";

/** What an operator's borg command may reach, beside what every program needs. */
export interface Reach {
  /** The directory below /repos that it works on; null where its words name none that exists. */
  repository: string | null;
  /** What else its words name, and the folder that it was started in. */
  also: string[];
  /** What its words name and it may only read: other repositories, and folders that hold all of them. */
  look: string[];
}

/**
 * What a command may reach is what its words name: so a repository in which somebody planted something meets a borg that can
 * reach no other one.
 * @param words the command's, and those of environment variables that borg takes paths from
 * @param folder the one that it is started in
 * @param exists whether a path can be seen by the owner of the repositories
 */
export function reachOf(words: readonly string[], folder: string, exists: (path: string) => boolean): Reach {
  const reach: Reach = { repository: null, also: [], look: [] };
  // A server for another program's client: what it opens is said later, as to a session of an admin.
  if (words[0] === "serve") return { ...reach, repository: repositoryFolder };

  for (const word of words) {
    const text = pathIn(word);
    const path = resolve(folder, text);
    const repository = repositoryOf(path);
    if (text === "" || /^\/(dev|proc|sys)(\/|$)/.test(path)) continue;
    if (repository) {
      if (!exists(repository)) continue;
      reach.repository ??= repository;
      if (repository !== reach.repository) reach.look.push(repository);
    } else if (exists(path)) {
      (holdsRepositories(path) ? reach.look : reach.also).push(path);
    } else if (text.includes("/")) {
      // A file to be written, such as the one of `key export`.
      const parent = dirname(path);
      if (exists(parent) && !holdsRepositories(parent)) reach.also.push(parent);
    }
  }
  if (!repositoryOf(folder) && !holdsRepositories(folder)) reach.also.push(folder);
  return { ...reach, also: [...new Set(reach.also)], look: [...new Set(reach.look)] };
}

/** The path in a word: `--exclude-from=FILE`, `file://PATH`, `PATH::ARCHIVE`; empty where there can be none. */
function pathIn(word: string): string {
  const value = word.startsWith("-") ? (/^-[^=]*=(.*)$/s.exec(word)?.[1] ?? "") : word;
  const location = value.replace(/^file:\/\//, "").replace(/::.*$/s, "");
  return location.includes("://") ? "" : location;
}

/** The repository that a path is, or lies in; null for a path elsewhere. */
function repositoryOf(path: string): string | null {
  const [name = ""] = relative(repositoryFolder, path).split("/");
  return name === "" || name === ".." ? null : `${repositoryFolder}/${name}`;
}

/** Whether all repositories lie below a folder. */
const holdsRepositories = (path: string) => !relative(path, repositoryFolder).startsWith("..");

/** Where borg keeps what it notes of this repository; of another one it can then neither read nor change it. */
export function homeOf({ repository }: Reach, borgHome: string): string {
  return repository && repository !== repositoryFolder
    ? `${borgHome}/repositories/${basename(repository)}`
    : borgHome;
}
