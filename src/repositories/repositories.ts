import { spawnSync } from "node:child_process";
import {
  chmodSync,
  closeSync,
  existsSync,
  fstatSync,
  lchownSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  rmSync,
  type Stats,
  statSync,
} from "node:fs";
import type { NamedRole } from "../accounts/account-plan.ts";
import { asOwner, isClosedToRoot, type Owner, whileOwner } from "../owner.ts";
import { recordsFolder, repositoryFolder } from "../paths.ts";
import { counted } from "../report.ts";
import { accountDirectory } from "../role.ts";
import type { Entry, Survey } from "./survey.ts";

/** Which directories have to be made, re-owned or given their mode. Nothing is ever removed. */
export interface RepositoryPlan {
  create: string[];
  own: string[];
  /** Repositories in which somebody else left files that borg needs, with the names of some. */
  mend: { path: string; names: string[] }[];
  mode: string[];
  /** Directories that cannot be had, or must not be changed, with the reason. */
  blocked: { path: string; reason: string }[];
}

/** What the plan needs to know of /repos itself. */
export interface Top {
  /** Null where it is missing; a text where it cannot be used; `link` for a symlink to a directory. */
  folder: Stats | "link" | { reason: string } | null;
  /** The directory of the server's own records. */
  records: Stats | null;
}

/**
 * Owner alone, and set-group-ID: what a session makes inside gets the directory's group (inode(7)), not the
 * role group that the session runs with.
 */
const directoryMode = 0o2700;

/** The paths of the directories that accounts have. */
export function accountPaths(accounts: readonly NamedRole[]): Set<string> {
  return new Set(
    accounts.filter(({ role }) => role !== "admin").map(({ name, role }) => accountDirectory(role, name)),
  );
}

/**
 * Computes what has to be done so that each account has its directory, and that these and all other repositories,
 * such as admins made, are owned by the owner. Whatever else lies under /repos is left alone.
 * @param works whether the owner can use a directory whatever its owner seems to be
 * @param mayReown whether a directory that is neither root's nor the owner's is to be given to the owner
 */
export function planRepositories(
  accounts: readonly NamedRole[],
  owner: Owner,
  { entries }: Survey,
  top: Top,
  works: (path: string) => boolean = keepsOwnOwners(owner),
  mayReown = true,
  isSame: typeof isSameDirectory = isSameDirectory,
): RepositoryPlan {
  const plan: RepositoryPlan = { create: [], own: [], mend: [], mode: [], blocked: [] };
  const planDirectory = (path: string, found: Stats) => {
    if ((found.uid !== owner.uid || found.gid !== owner.gid) && !works(path)) {
      if (mayReown || found.uid === 0 || found.uid === owner.uid) plan.own.push(path);
      else plan.blocked.push({ path, reason: foreignOwner(found, owner) });
    }
    if ((found.mode & directoryMode) !== directoryMode) plan.mode.push(path);
  };

  if (top.folder === null) plan.create.push(repositoryFolder);
  else if (top.folder !== "link" && "reason" in top.folder)
    plan.blocked.push({ path: repositoryFolder, reason: top.folder.reason });
  else if (top.folder !== "link") planDirectory(repositoryFolder, top.folder);
  if (top.records) planDirectory(recordsFolder, top.records);
  const isForeign = plan.blocked.length > 0 && !mayReown; // nothing is made there for another owner

  const ofAccounts = accountPaths(accounts);
  const found = new Map(entries.map((entry) => [entry.path, entry]));
  const others = entries.filter(({ path, state }) => state.is === "repository" && !ofAccounts.has(path));
  for (const path of [...ofAccounts, ...others.map(({ path }) => path)].sort()) {
    const entry = found.get(path);
    if (!entry) {
      if (!isForeign) plan.create.push(path);
    } else if (!entry.directory?.isDirectory())
      plan.blocked.push({
        path,
        reason: entry.state.is === "doubtful" ? entry.state.why : "is no directory: move it away",
      });
    else if (entry.isLink)
      continue; // where it leads is the operator's own affair
    else {
      planDirectory(path, entry.directory);
      if (entry.foreign.length > 0 && entry.directory.uid === owner.uid)
        plan.mend.push({ path, names: entry.foreign });
    }
  }
  plan.blocked.push(
    ...sameDirectories(
      [...ofAccounts].map((path) => found.get(path)),
      isSame,
    ),
  );
  return plan;
}

function foreignOwner(found: Stats, { uid, gid }: Owner): string {
  return `belongs to ${found.uid}:${found.gid}, not ${uid}:${gid}, and no server was started in this container: use docker exec, or give PUID and PGID as the server has them`;
}

/** Accounts whose directories are one: what one may not do, another may. */
function sameDirectories(
  entries: readonly (Entry | undefined)[],
  isSame: typeof isSameDirectory,
): RepositoryPlan["blocked"] {
  const first = new Map<string, string>();
  return entries.flatMap((entry) => {
    if (!entry?.directory?.isDirectory() || entry.directory.ino === 0) return [];
    const { path, directory } = entry;
    const other = first.get(`${directory.dev}:${directory.ino}`);
    first.set(`${directory.dev}:${directory.ino}`, path);
    if (other === undefined || !isSame(path, other)) return [];
    return [
      {
        path,
        reason: `and ${other} are one directory, so two accounts share one repository, each with its own rights: rename one account, or give it a directory of its own`,
      },
    ];
  });
}

/** Inode numbers of network file systems need not fit into a double. */
function isSameDirectory(path: string, other: string): boolean {
  try {
    return statSync(path, { bigint: true }).ino === statSync(other, { bigint: true }).ino;
  } catch {
    return false;
  }
}

/**
 * Does what the plan says, as far as it can be done: one directory that cannot be changed must not keep the
 * others from their backups.
 * @returns the part of the plan that was done, and a line for each failure
 */
export function applyRepositories(
  plan: RepositoryPlan,
  owner: Owner,
): { done: RepositoryPlan; failures: string[] } {
  const failures = blockedLines(plan);
  const done: RepositoryPlan = { create: [], own: [], mend: [], mode: [], blocked: [] };
  const attempt = (what: string, path: string, action: () => void): boolean => {
    try {
      action();
      return true;
    } catch (error) {
      failures.push(`${path} could not be ${what}: ${(error as Error).message}`);
      return false;
    }
  };
  const given = `given to ${owner.uid}:${owner.gid}`;
  for (const path of counted(plan.create, "making directories"))
    if (attempt("created", path, () => makeDirectory(path, owner))) {
      setMode(path);
      done.create.push(path);
    }
  for (const path of counted(plan.own, "giving directories to their owner"))
    if (
      attempt(given, path, () => {
        if (path === repositoryFolder) changeOwner(path, owner);
        else changeOwnerOfAll(path, owner);
      })
    )
      done.own.push(path);
  for (const entry of counted(plan.mend, "giving files to their owner"))
    if (attempt(given, entry.path, () => changeOwnerOfAll(entry.path, owner))) done.mend.push(entry);
  for (const path of plan.mode) setMode(path);
  return { done, failures };
}

function makeDirectory(path: string, owner: Owner): void {
  try {
    mkdirSync(path, { recursive: true, mode: path === repositoryFolder ? 0o755 : 0o700 });
  } catch (error) {
    if (!isClosedToRoot(error)) throw error;
    const [program = "", ...words] = asOwner(owner, ["mkdir", "--mode=700", path]);
    if (spawnSync(program, words).status !== 0) throw error;
  }
  try {
    changeOwner(path, owner);
  } catch (error) {
    if (!keepsOwnOwners(owner)(path)) throw error;
  }
}

/** A line for each directory that cannot be had. */
export function blockedLines({ blocked }: RepositoryPlan): string[] {
  return blocked.map(({ path, reason }) => `${path} ${reason}`);
}

/**
 * Gives a directory and all that is in it to the owner. Until all is done the directory has the group 0, which
 * no settings allow: so the next run sees that an interrupted one has to be taken up, whichever owner is set then.
 * Who writes to the directory meanwhile could put a symlink in a path's way: hence lchown(2), and find's -execdir,
 * which runs chown in the directory that it has open.
 */
export function changeOwnerOfAll(path: string, { uid, gid }: Owner): void {
  if (readdirSync(path).length > 0) {
    changeOwner(path, { uid, gid: 0 });
    const words = [
      path,
      "-mindepth",
      "1",
      "-execdir",
      "chown",
      "--no-dereference",
      `${uid}:${gid}`,
      "{}",
      "+",
    ];
    const { status, stderr, error } = spawnSync("find", words, { encoding: "utf8" });
    if (error) throw error;
    if (status !== 0) throw new Error(stderr.trim().split("\n")[0]);
  }
  changeOwner(path, { uid, gid });
}

/** Changes the owner of one directory. Throws also where the storage only seems to obey. */
function changeOwner(path: string, { uid, gid }: Owner): void {
  lchownSync(path, uid, gid);
  const found = lstatSync(path);
  if (found.uid !== uid || found.gid !== gid)
    throw new Error(`the storage keeps ${found.uid}:${found.gid} as its owner`);
}

/**
 * Tells whether the owner can use a directory whatever owner it seems to have: storage that maps ids (exports(5),
 * all_squash; mounts of other systems' shares) says so by giving a new file another owner than the one who made it.
 */
function keepsOwnOwners(owner: Owner): (path: string) => boolean {
  return (path) =>
    whileOwner(owner, () => {
      const probe = `${path}/.borgserver-probe`;
      try {
        rmSync(probe, { force: true }); // a run that was killed may have left it
        const file = openSync(probe, "wx", 0o600);
        try {
          return fstatSync(file).uid !== owner.uid;
        } finally {
          closeSync(file);
          rmSync(probe);
        }
      } catch {
        return false;
      }
    });
}

function setMode(path: string): void {
  try {
    chmodSync(path, (statSync(path).mode & 0o7777) | directoryMode);
  } catch {
    // Many network shares know no modes. Backups work without; new files then get the role's group.
  }
}

/** Looks at /repos itself. */
export function lookAtTop(): Top {
  try {
    const found = lstatSync(repositoryFolder, { throwIfNoEntry: false });
    if (!found) return { folder: null, records: null };
    const config = `${repositoryFolder}/config`;
    if (existsSync(config) && statSync(config).isFile())
      return {
        folder: {
          reason:
            "is a repository itself, and borg makes none in another: move what it holds to a folder inside",
        },
        records: null,
      };
    if (!statSync(repositoryFolder).isDirectory())
      return { folder: { reason: "is no directory: move it away" }, records: null };
    const records = lstatSync(recordsFolder, { throwIfNoEntry: false });
    return {
      folder: found.isSymbolicLink() ? "link" : found,
      records: records?.isDirectory() ? records : null,
    };
  } catch (error) {
    return {
      folder: { reason: `cannot be reached (${(error as NodeJS.ErrnoException).code})` },
      records: null,
    };
  }
}
