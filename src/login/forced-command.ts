import { accountDirectory, type Role } from "../role.ts";

/**
 * The words that sshd gives the account's shell for a login, whatever the client asked for: the borg serve that the
 * session becomes (borg-serve(1)). The process that serves sessions composes the same words from the index, and refuses
 * others (libexec/resident.py).
 */
export function forcedCommand(role: Role, account: string, extraArguments: readonly string[]): string[] {
  const directory = accountDirectory(role, account);
  const restriction: Record<Role, string[]> = {
    repo: ["--restrict-to-repository", directory],
    // Behind the guard (libexec/guard.py), borg's own --append-only is a second fence.
    appendonly: ["--restrict-to-repository", directory, "--append-only"],
    restore: ["--restrict-to-repository", directory, "--append-only"],
    admin: ["--restrict-to-path", directory],
  };
  return ["borg", "serve", ...restriction[role], ...extraArguments];
}
