import { repositoryFolder } from "./paths.ts";

/** What a key may do. The role is the only thing that decides rights. */
export type Role = "repo" | "appendonly" | "restore" | "admin";

/** For each role: the folder below /sshkeys that gives it, the group of its accounts, the setting with its extra arguments. */
export const roles: Record<Role, { folder: string; group: string; setting: string }> = {
  repo: { folder: "repos", group: "borg-repo", setting: "REPO_SERVE_EXTRA_ARGS" },
  appendonly: {
    folder: "repos-appendonly",
    group: "borg-appendonly",
    setting: "APPENDONLY_SERVE_EXTRA_ARGS",
  },
  restore: { folder: "repos-restore", group: "borg-restore", setting: "RESTORE_SERVE_EXTRA_ARGS" },
  admin: { folder: "admins", group: "borg-admin", setting: "ADMIN_SERVE_EXTRA_ARGS" },
};

export const roleNames = Object.keys(roles) as Role[];

/** The directory that sessions of an account may reach. @param repository the name of what it opens */
export function accountDirectory(role: Role, repository: string): string {
  return role === "admin" ? repositoryFolder : `${repositoryFolder}/${repository}`;
}

/** What an account is served as: from an archived repository everybody but an admin reads alone. */
export function roleOf(role: Role, archived: boolean): Role {
  return archived && role !== "admin" ? "restore" : role;
}

/** What append-only is held to: what was backed up stays, or borg's own way, in which a compaction makes deletions final. */
export type Deletions = "refused" | "kept";

/** Whether what a role promises rests on the guard in borg serve alone (libexec/guard.py). */
export function restsOnGuard(role: Role, deletions: Deletions): boolean {
  return role === "restore" || (role === "appendonly" && deletions === "refused");
}

/** The characters of a word in a forced command: none with a meaning for a shell, for sshd's option parser, or as a line break. */
export const plainWord = /^[A-Za-z0-9@%+=:,./_-]+$/;
