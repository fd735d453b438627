import type { NamedRole } from "../keys/account.ts";
import { accountDirectory, type Role, roleNames, roles } from "../role.ts";

/** The text of the account files (passwd(5), shadow(5), group(5)). */
export interface AccountFiles {
  passwd: string;
  shadow: string;
  group: string;
}

/** What has to change so that the system has just the accounts of the index. Empty lists: nothing. */
export interface AccountPlan {
  add: string[];
  change: string[];
  remove: string[];
  /** The account files as they are to be. */
  passwd: string;
  shadow: string;
}

/** The account of BORG_SSHKEYS. It exists always; without keys nobody can log in to it. */
const borg: NamedRole = { name: "borg", role: "admin" };

/**
 * Computes the account files that give each account its line. Ours are the lines whose primary group is a
 * role group; every other line stays byte for byte. Throws where an account has the name of a line that is
 * not ours: index-content.ts has refused such names before.
 * @param uid the numeric owner that all accounts share
 */
export function planAccounts(files: AccountFiles, accounts: readonly NamedRole[], uid: number): AccountPlan {
  const gids = roleGids(files.group);
  const roleGroups = new Set(Object.values(gids));
  const wanted = new Map([borg, ...accounts].map(({ name, role }) => [name, role]));
  const lineOf = (name: string, role: Role) => passwdLine({ name, role }, uid, gids[role]);
  const plan: AccountPlan = { add: [], change: [], remove: [], passwd: "", shadow: "" };

  const there = new Set<string>();
  for (const line of linesOf(files.passwd)) {
    const name = nameOf(line);
    const role = wanted.get(name);
    if (!roleGroups.has(gidOf(line))) {
      if (role) throw new Error(`${name} is an account of the system`);
      plan.passwd += `${line}\n`;
    } else if (!role) plan.remove.push(name);
    else if (!there.has(name)) {
      there.add(name);
      const target = lineOf(name, role);
      if (target !== line) plan.change.push(name);
      plan.passwd += `${target}\n`;
    }
  }
  for (const [name, role] of wanted) {
    if (there.has(name)) continue;
    plan.add.push(name);
    plan.passwd += `${lineOf(name, role)}\n`;
  }

  const removed = new Set(plan.remove);
  const withPassword = new Set<string>();
  for (const line of linesOf(files.shadow)) {
    const name = nameOf(line);
    if (removed.has(name) || withPassword.has(name)) continue;
    if (wanted.has(name)) withPassword.add(name);
    plan.shadow += `${wanted.has(name) ? shadowLine(name) : line}\n`;
  }
  for (const name of wanted.keys()) if (!withPassword.has(name)) plan.shadow += `${shadowLine(name)}\n`;
  return plan;
}

/** Whether a plan for these accounts would change nothing in /etc/passwd; quicker than the plan. */
export function inStep(
  files: Omit<AccountFiles, "shadow">,
  accounts: readonly NamedRole[],
  uid: number,
): boolean {
  const gids = roleGids(files.group);
  const roleGroups = new Set(Object.values(gids));
  const ours = linesOf(files.passwd).filter((line) => roleGroups.has(gidOf(line)));
  const wanted = [borg, ...accounts.filter(({ name }) => name !== borg.name)];
  const there = new Set(ours);
  return (
    ours.length === wanted.length &&
    wanted.every((account) => there.has(passwdLine(account, uid, gids[account.role])))
  );
}

/** The numeric ids of the role groups. Throws where the group file lacks one. */
export function roleGids(group: string): Record<Role, number> {
  const gids = new Map(linesOf(group).map((line) => [nameOf(line), Number(line.split(":")[2])]));
  const gidOfRole = (role: Role) => {
    const gid = gids.get(roles[role].group);
    if (gid === undefined) throw new Error(`the group ${roles[role].group} does not exist. ${incomplete}`);
    return gid;
  };
  return Object.fromEntries(roleNames.map((role) => [role, gidOfRole(role)])) as Record<Role, number>;
}

/** The roles that the system has accounts of, beside that of BORG_SSHKEYS. */
export function rolesOnSystem(files: Omit<AccountFiles, "shadow">): Set<Role> {
  const gids = roleGids(files.group);
  const found = new Set(
    linesOf(files.passwd)
      .filter((line) => nameOf(line) !== borg.name)
      .map(gidOf),
  );
  return new Set(roleNames.filter((role) => found.has(gids[role])));
}

/** The names that no key file may have: accounts that are not ours, and `borg`, which BORG_SSHKEYS fills. */
export function systemNames(files: Omit<AccountFiles, "shadow">): Set<string> {
  const gids = Object.values(roleGids(files.group));
  const foreign = linesOf(files.passwd).filter((line) => !gids.includes(gidOf(line)));
  return new Set([borg.name, ...foreign.map(nameOf)]);
}

/** What to do where /etc lacks what libexec/install puts there: an empty volume, or one of another image. */
export const incomplete =
  "If /etc is a volume, remove it and give the container a new one, without a name, which gets the image's own; without a container, run /usr/local/lib/borgserver/install system.";

/** Numeric ids, with their owner's name, of the accounts that the server itself relies on. */
export function reservedIds({ passwd }: Pick<AccountFiles, "passwd">): Ids {
  const relied = linesOf(passwd).filter((line) => ["sshd", "borgkeys"].includes(nameOf(line)));
  return {
    uids: new Map(relied.map((line) => [Number(line.split(":")[2]), nameOf(line)])),
    gids: new Map(relied.map((line) => [gidOf(line), nameOf(line)])),
  };
}

/** Numeric ids, each with the name it has. */
export interface Ids {
  uids: Map<number, string>;
  gids: Map<number, string>;
}

/** Those, and the role groups: all ids that are the server's own. */
export function ownIds(files: Omit<AccountFiles, "shadow">): Ids {
  const { uids, gids } = reservedIds(files);
  const ofRoles = Object.entries(roleGids(files.group));
  return {
    uids,
    gids: new Map([...gids, ...ofRoles.map(([role, gid]) => [gid, roles[role as Role].group] as const)]),
  };
}

/** The numeric primary group of an account. Throws where there is no such account. */
export function gidOfAccount({ passwd }: Pick<AccountFiles, "passwd">, name: string): number {
  const line = linesOf(passwd).find((line) => nameOf(line) === name);
  if (!line) throw new Error(`the account ${name} does not exist. ${incomplete}`);
  return gidOf(line);
}

/** Whether an account is the one and only member of a group. */
export function isGroupOfOne(
  { passwd, group }: Omit<AccountFiles, "shadow">,
  gid: number,
  name: string,
): boolean {
  const primary = linesOf(passwd)
    .filter((line) => gidOf(line) === gid)
    .map(nameOf);
  const further = linesOf(group)
    .map((line) => line.split(":"))
    .filter((fields) => Number(fields[2]) === gid)
    .flatMap((fields) => fields[3]?.split(",") ?? [])
    .filter((member) => member !== "");
  const members = new Set([...primary, ...further]);
  return members.size === 1 && members.has(name);
}

function passwdLine({ name, role }: NamedRole, uid: number, gid: number): string {
  return `${name}:x:${uid}:${gid}:borgserver:${accountDirectory(role, name)}:/bin/sh`;
}

/**
 * No password matches `*`, and it does not lock the account: sshd without PAM denies locked ones (`!`) public
 * keys as well (auth.c, allowed_user). Empty fields mean no ageing.
 */
function shadowLine(name: string): string {
  return `${name}:*:::::::`;
}

const linesOf = (text: string) => (text === "" ? [] : text.replace(/\n$/, "").split("\n"));
const nameOf = (line: string) => line.slice(0, line.indexOf(":"));
const gidOf = (line: string) => Number(line.split(":")[3]);
