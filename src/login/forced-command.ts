import { accountDirectory, type Role, roleOf } from "../role.ts";

/** What of a grant decides what is served. */
export interface Serving {
  role: Role;
  /** The name of the repository that the account opens, if that is not its own. */
  repository: string | null;
  extraArguments: readonly string[];
  /** In bytes; null for none. */
  quota: number | null;
  /** Whether the repository is frozen; null as for "no". */
  archived: number | null;
}

/**
 * The words that sshd gives the account's shell for a login, whatever the client asked for: the borg serve that the
 * session becomes (borg-serve(1)). The process that serves sessions composes the same words from the index, and refuses
 * others (libexec/resident.py).
 */
export function forcedCommand(account: string, serving: Serving): string[] {
  const { role, repository, extraArguments, quota, archived } = serving;
  const directory = accountDirectory(role, repository ?? account);
  const restriction: Record<Role, string[]> = {
    repo: ["--restrict-to-repository", directory],
    // Behind the guard (libexec/guard.py), borg's own --append-only is a second fence.
    appendonly: ["--restrict-to-repository", directory, "--append-only"],
    restore: ["--restrict-to-repository", directory, "--append-only"],
    admin: ["--restrict-to-path", directory],
  };
  // Of two, borg takes the last.
  const limit = quota === null ? [] : ["--storage-quota", `${quota}`];
  return ["borg", "serve", ...restriction[roleOf(role, archived === 1)], ...extraArguments, ...limit];
}
