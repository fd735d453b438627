import type { NamedRole } from "../keys/account.ts";
import { accountDirectory, type Role, roleNames } from "../role.ts";

/** The account of BORG_SSHKEYS. It exists always; without keys nobody can log in to it. */
const borg: NamedRole = { name: "borg", role: "admin" };

/** The accounts that the system is to know, by name. */
export interface WantedAccounts {
  roles: ReadonlyMap<string, Role>;
  /** The numeric owner that all accounts share. */
  uid: number;
  /** The numeric ids of the role groups. */
  gids: Record<Role, number>;
}

/** These accounts, behind that of BORG_SSHKEYS. */
export function wantedAccounts(
  accounts: readonly NamedRole[],
  uid: number,
  gids: Record<Role, number>,
): WantedAccounts {
  const roles = new Map([[borg.name, borg.role]]);
  for (const { name, role } of accounts) roles.set(name, role);
  return { roles, uid, gids };
}

/**
 * The line of an account (passwd(5)), without the line break. The password matches nothing, and does not lock the
 * account: sshd without PAM denies locked ones (`!`) public keys as well (auth.c, allowed_user).
 */
export function accountLine(
  name: string,
  role: Role,
  { uid, gids }: Pick<WantedAccounts, "uid" | "gids">,
): string {
  return `${name}:*:${uid}:${gids[role]}:borgserver:${accountDirectory(role, name)}:/bin/sh`;
}

/** A text that differs where a line of the accounts does, or their order. */
export function describeAccounts(wanted: WantedAccounts): string {
  const kinds = roleNames.map((role) => accountLine("", role, wanted));
  return [...kinds, ...[...wanted.roles].map(([name, role]) => `${name} ${role}`)].join("\n");
}
