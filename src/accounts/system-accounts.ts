import { type Role, roleNames, roles } from "../role.ts";

/** The text of the system's own account files (passwd(5), group(5)), of which the server changes neither. */
export interface AccountFiles {
  passwd: string;
  group: string;
}

/** The numeric ids of the role groups. Throws if the group file lacks one. */
export function roleGids({ group }: Pick<AccountFiles, "group">): Record<Role, number> {
  const gids = new Map(linesOf(group).map((line) => [nameOf(line), Number(line.split(":")[2])]));
  const gidOfRole = (role: Role) => {
    const gid = gids.get(roles[role].group);
    if (gid === undefined) throw new Error(`the group ${roles[role].group} does not exist. ${incomplete}`);
    return gid;
  };
  return Object.fromEntries(roleNames.map((role) => [role, gidOfRole(role)])) as Record<Role, number>;
}

/** The names that no key file may have: accounts of the system, and `borg`, which BORG_SSHKEYS fills. */
export function systemNames({ passwd }: Pick<AccountFiles, "passwd">): Set<string> {
  return new Set(["borg", ...linesOf(passwd).map(nameOf)]);
}

/** The accounts that an older server wrote into /etc/passwd: those whose primary group is a role group. */
export function leftAccounts(files: AccountFiles): string[] {
  const gids = new Set(Object.values(roleGids(files)));
  return linesOf(files.passwd)
    .filter((line) => gids.has(gidOf(line)))
    .map(nameOf);
}

/**
 * The account files without what an older server wrote into them.
 * @param shadow the text of /etc/shadow
 */
export function withoutLeftAccounts(files: AccountFiles, shadow: string): { passwd: string; shadow: string } {
  const left = new Set(leftAccounts(files));
  const without = (text: string) =>
    linesOf(text)
      .filter((line) => !left.has(nameOf(line)))
      .map((line) => `${line}\n`)
      .join("");
  return { passwd: without(files.passwd), shadow: without(shadow) };
}

/** What to do where /etc lacks what the installation puts there: an empty volume, or one of another image. */
export const incomplete =
  "If /etc is a volume, remove it: the container needs none. Without a container, run /usr/local/lib/borgserver/install system.";

/** Numeric ids, each with the name it has. */
export interface Ids {
  uids: Map<number, string>;
  gids: Map<number, string>;
}

/** Numeric ids, with their owner's name, of the accounts that the server itself relies on. */
export function reservedIds({ passwd }: Pick<AccountFiles, "passwd">): Ids {
  const relied = linesOf(passwd).filter((line) => ["sshd", "borgkeys", "borgteller"].includes(nameOf(line)));
  return {
    uids: new Map(relied.map((line) => [Number(line.split(":")[2]), nameOf(line)])),
    gids: new Map(relied.map((line) => [gidOf(line), nameOf(line)])),
  };
}

/** Those, and the role groups: all ids that are the server's own. */
export function ownIds(files: AccountFiles): Ids {
  const { uids, gids } = reservedIds(files);
  const ofRoles = Object.entries(roleGids(files));
  return {
    uids,
    gids: new Map([...gids, ...ofRoles.map(([role, gid]) => [gid, roles[role as Role].group] as const)]),
  };
}

/** The numeric primary group of an account. Throws if there is no such account. */
export function gidOfAccount({ passwd }: Pick<AccountFiles, "passwd">, name: string): number {
  const line = linesOf(passwd).find((line) => nameOf(line) === name);
  if (!line) throw new Error(`the account ${name} does not exist. ${incomplete}`);
  return gidOf(line);
}

/** Whether an account is the one and only member of a group. */
export function isGroupOfOne({ passwd, group }: AccountFiles, gid: number, name: string): boolean {
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

const linesOf = (text: string) => (text === "" ? [] : text.replace(/\n$/, "").split("\n"));
const nameOf = (line: string) => line.slice(0, line.indexOf(":"));
const gidOf = (line: string) => Number(line.split(":")[3]);
