import type { NamedRole } from "../keys/account.ts";
import { accountDirectory, type Role, roleNames } from "../role.ts";
import type { PublishedAccounts } from "./passwd-cache.ts";

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

/** How the accounts of a publication differ from those before it, by name. Empty lists: not at all. */
export interface AccountPlan {
  add: string[];
  change: string[];
  remove: string[];
}

/** Compares the published accounts with those that are wanted. */
export function planAccounts(published: PublishedAccounts, wanted: WantedAccounts): AccountPlan {
  const plan: AccountPlan = { add: [], change: [], remove: [] };
  for (const [name, role] of wanted.roles) {
    const place = published.places.get(name);
    if (place === undefined) plan.add.push(name);
    else if (published.lineAt(place) !== accountLine(name, role, wanted)) plan.change.push(name);
  }
  for (const name of published.places.keys()) if (!wanted.roles.has(name)) plan.remove.push(name);
  return plan;
}
