import type { NamedRole } from "../keys/account.ts";
import { libraryFolder } from "../paths.ts";
import { type Role, roleNames } from "../role.ts";
import { accountId, type Ids } from "./account-id.ts";

/** The account of BORG_SSHKEYS. It exists always; without keys nobody can log in to it. */
const borg: NamedRole = { name: "borg", role: "admin" };

/** The accounts that the system is to know, by name. */
export interface WantedAccounts {
  roles: ReadonlyMap<string, Role>;
  /** The numeric owner of the repositories, which no account is. */
  owner: number;
  /** Where the accounts' own ids are taken from. */
  ids: Ids;
  /** The numeric ids of the role groups. */
  gids: Record<Role, number>;
}

/** These accounts, behind that of BORG_SSHKEYS. */
export function wantedAccounts(
  accounts: readonly NamedRole[],
  owner: number,
  ids: Ids,
  gids: Record<Role, number>,
): WantedAccounts {
  const roles = new Map([[borg.name, borg.role]]);
  for (const { name, role } of accounts) roles.set(name, role);
  return { roles, owner, ids, gids };
}

/**
 * The line of an account (passwd(5)), without the line break. The password matches nothing, and does not lock the
 * account: sshd without PAM denies locked ones (`!`) public keys as well (auth.c, allowed_user). Its home is a folder that
 * exists always, and its shell is the session program, so that sshd starts no other.
 */
export function accountLine(
  name: string,
  role: Role,
  { owner, ids, gids }: Omit<WantedAccounts, "roles">,
): string {
  return `${name}:*:${accountId(name, owner, ids)}:${gids[role]}:borgserver:/:${libraryFolder}/session`;
}

/** A text that differs where a line of the accounts does, or their order. */
export function describeAccounts(wanted: WantedAccounts): string {
  const kinds = roleNames.map((role) => accountLine("", role, wanted));
  const { owner, ids } = wanted;
  return [
    `${owner} ${ids.first} ${ids.count}`,
    ...kinds,
    ...[...wanted.roles].map(([name, role]) => `${name} ${role}`),
  ].join("\n");
}
