import { libraryFolder } from "../paths.ts";
import { accountDirectory, type Role, restsOnGuard, type Terms } from "../role.ts";

/**
 * The words sshd runs for a login, whatever the client asked for: the session script, the directory it may
 * reach, and the borg serve that it turns into (borg-serve(1)).
 */
export function forcedCommand(
  role: Role,
  account: string,
  { extraArguments, landlock, deletions }: Terms,
): string[] {
  const directory = accountDirectory(role, account);
  const restriction: Record<Role, string[]> = {
    repo: ["--restrict-to-repository", directory],
    appendonly: ["--restrict-to-repository", directory, "--append-only"],
    restore: ["--restrict-to-repository", directory, "--append-only"],
    admin: ["--restrict-to-path", directory],
  };
  const confinement = landlock === 3 ? [] : [`--landlock=${landlock}`];
  // Behind the guard, borg's own --append-only is a second fence.
  const guard = restsOnGuard(role, deletions) ? [`--guard=${role}`] : [];
  // exec, so that the account's shell, to which sshd gives this line, does not stay for the whole session.
  const session = ["exec", `${libraryFolder}/session`, ...confinement, ...guard, directory];
  return [...session, "borg", "serve", ...restriction[role], ...extraArguments];
}
