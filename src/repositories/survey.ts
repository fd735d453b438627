import { type Dirent, existsSync, lstatSync, readdirSync, type Stats, statSync } from "node:fs";
import { codeOf } from "../failure.ts";
import { type Opening, repositoryOf } from "../keys/account.ts";
import { asRootOrOwner, type Owner } from "../owner.ts";
import { recordsFolder, repositoryFolder } from "../paths.ts";
import { printableBytes } from "../printable.ts";
import type { Refusal } from "../problem.ts";
import { counted, type Progress, unseen } from "../progress.ts";
import { configStart, readRegular } from "./regular-file.ts";

/** What is at a place under /repos. */
export type State =
  /** A regular `config` with borg's section. */
  | { is: "repository" }
  /** A directory without anything inside. */
  | { is: "empty" }
  /** It could be a repository, but it cannot be read, or a part is missing. */
  | { is: "doubtful"; why: Refusal }
  /** Something else. `config` says what is wrong with its config, if it has one. */
  | { is: "other"; config: string };

/** An entry of /repos. */
export interface Entry {
  path: string;
  /** Of a symlink: what it leads to, if anything. */
  directory: Stats | null;
  isLink: boolean;
  state: State;
  /** Files at a repository's top level that do not belong to the owner. */
  foreign: string[];
  isLocked: boolean;
  /** Repositories inside something that is not one itself. */
  nested: string[];
}

/** All entries of /repos. */
export interface Survey {
  /** Sorted by path. */
  entries: Entry[];
  /** Names that are not UTF-8, made printable: they cannot be given to a program here. */
  unaddressable: { path: string; isRepository: boolean }[];
}

/** /repos itself. */
export interface Top {
  /** Null if it is missing; why it cannot be used; `link` for a symlink to a directory. */
  folder: Stats | "link" | Refusal | null;
  /** The directory of the server's own records. */
  records: Stats | null;
}

/** The accounts whose directory does not exist yet, by name; none where that cannot be seen. */
export function accountsWithoutDirectory(accounts: readonly Opening[], owner: Owner): string[] {
  try {
    const found = new Set(asRootOrOwner(owner, () => readdirSync(repositoryFolder)));
    return accounts
      .filter((account) => !found.has(repositoryOf(account) ?? account.name) && account.role !== "admin")
      .map(({ name }) => name);
  } catch {
    return [];
  }
}

/**
 * Larger directories (by stat(2)) are not read: they have thousands of names, where borg puts a dozen. Reading a million
 * takes a second, and whoever may write to a repository could put them there.
 */
export const largestDirectory = 64 * 1024;

/** In how many directories below something that is not a repository one is looked for. */
const mostInside = 1000;

/** Looks at all entries of a folder. Nothing below a repository's top level is looked at. */
export function survey(folder: string, owner: Owner, progress: Progress = unseen): Survey {
  const entries: Entry[] = [];
  const unaddressable: Survey["unaddressable"] = [];
  const names = asRootOrOwner(owner, () => readdirSync(folder, { encoding: "buffer" }));
  for (const bytes of counted(names, `looking at ${folder}`, progress)) {
    const name = bytes.toString();
    if (`${folder}/${name}` === recordsFolder) continue;
    if (name.includes("\ufffd") && !Buffer.from(name).equals(bytes)) {
      const path = Buffer.concat([Buffer.from(`${folder}/`), bytes]);
      const config = Buffer.concat([path, Buffer.from("/config")]);
      unaddressable.push({
        path: printableBytes(path),
        isRepository: configAt(owner, config) === "borg's",
      });
      continue;
    }
    const entry = lookAt(`${folder}/${name}`, owner);
    if (entry) entries.push(entry);
  }
  return { entries: entries.sort((a, b) => (a.path < b.path ? -1 : 1)), unaddressable };
}

/** Looks at these paths alone, of which any may be missing. */
export function surveyOf(paths: readonly string[], owner: Owner): Survey {
  const entries = paths.map((path) => lookAt(path, owner)).filter((entry) => entry !== null);
  return { entries, unaddressable: [] };
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
          text: "this is a repository itself, and borg makes no repository inside another",
          hint: "Move what it holds to a folder inside.",
        },
        records: null,
      };
    const target = statSync(repositoryFolder);
    if (!target.isDirectory()) return { folder: target, records: null };
    const records = lstatSync(recordsFolder, { throwIfNoEntry: false });
    return {
      folder: found.isSymbolicLink() ? "link" : found,
      records: records?.isDirectory() ? records : null,
    };
  } catch (error) {
    return {
      folder: { text: `it cannot be reached (${codeOf(error)})`, hint: "" },
      records: null,
    };
  }
}

/** Whether two paths lead to one directory. Inode numbers of network file systems need not fit into a double. */
export function isSameDirectory(path: string, other: string): boolean {
  try {
    return statSync(path, { bigint: true }).ino === statSync(other, { bigint: true }).ino;
  } catch {
    return false;
  }
}

/** What is at a path; null if there is nothing. */
function lookAt(path: string, owner: Owner): Entry | null {
  const entry: Entry = {
    path,
    directory: null,
    isLink: false,
    state: { is: "other", config: "" },
    foreign: [],
    isLocked: false,
    nested: [],
  };
  let inside: Dirent[];
  try {
    const found = asRootOrOwner(owner, () => lstatSync(path));
    entry.isLink = found.isSymbolicLink();
    if (!found.isDirectory() && !entry.isLink) return entry;
    entry.directory = entry.isLink ? asRootOrOwner(owner, () => statSync(path)) : found;
    if (!entry.directory.isDirectory()) return entry;
    if (entry.directory.size > largestDirectory) {
      const config = configAt(owner, `${path}/config`);
      if (config === "borg's") entry.state = { is: "repository" };
      return entry;
    }
    // With the slash this reads only a directory, or what a link leads to, whatever takes its place meanwhile.
    inside = asRootOrOwner(owner, () => readdirSync(`${path}/`, { withFileTypes: true }));
  } catch (error) {
    const code = codeOf(error) ?? "";
    if (code === "ENOENT" && !entry.isLink) return null; // removed meanwhile
    entry.state = {
      is: "doubtful",
      why:
        code === "ENOENT"
          ? { text: "it leads to something that does not exist", hint: "Is its storage mounted?" }
          : { text: `it cannot be ${entry.directory ? "read" : "reached"} (${code})`, hint: "" },
    };
    return entry;
  }
  entry.state = stateOf(path, inside, owner);
  entry.isLocked = inside.some(({ name }) => name === "lock.exclusive" || name === "lock.roster");
  if (entry.state.is === "repository") entry.foreign = foreignFiles(path, inside, owner);
  else entry.nested = repositoriesInside(path, inside, owner);
  return entry;
}

function stateOf(path: string, inside: readonly Dirent[], owner: Owner): State {
  if (inside.length === 0) return { is: "empty" };
  const names = new Set(inside.map(({ name }) => name));
  const config = names.has("config") ? configAt(owner, `${path}/config`) : "is missing";
  if (config === "borg's") return { is: "repository" };
  if (
    names.has("data") &&
    (inside.some(({ name }) => /^(hints|index|integrity)\.[0-9]+$/.test(name)) || hasReadme())
  )
    return {
      is: "doubtful",
      why: { text: `this looks like a repository, but its config ${config}`, hint: "" },
    };
  return { is: "other", config: names.has("config") ? config : "" };

  function hasReadme(): boolean {
    return names.has("README") && startOf(owner, `${path}/README`)?.startsWith("This is a Borg") === true;
  }
}

/** Whether a file is the config of a repository, or what keeps it from being one. */
function configAt(owner: Owner, file: string | Buffer): string {
  try {
    const start = startOf(owner, file);
    if (start === null) return "is not a regular file";
    return /^\[repository\]/m.test(start) ? "borg's" : "has no section [repository]";
  } catch (error) {
    const code = codeOf(error);
    return code === "ELOOP" ? "is not a regular file" : `cannot be read (${code})`;
  }
}

/** The first bytes of a regular file, or null for anything else: no symlink is followed, no FIFO waited for, no device opened. */
function startOf(owner: Owner, path: string | Buffer): string | null {
  return asRootOrOwner(owner, () => readRegular(path, 0, configStart))?.toString("latin1") ?? null;
}

/** What borg reads and writes at a repository's top level. It never opens its README again. */
const borgsOwn = /^(config|data|nonce|transactions|(hints|index|integrity)\.[0-9]+|lock\..*)$/;

function foreignFiles(path: string, inside: readonly Dirent[], owner: Owner): string[] {
  return inside
    .map(({ name }) => name)
    .filter((name) => {
      if (!borgsOwn.test(name)) return false;
      try {
        return asRootOrOwner(owner, () => lstatSync(`${path}/${name}`)).uid !== owner.uid;
      } catch {
        return false; // borg replaces these files at every commit
      }
    });
}

/** Folders of storage boxes and systems, which may hold copies of repositories that are not to be served. */
const isSystems = (name: string) =>
  /^[.@#$]/.test(name) || name === "lost+found" || name === "System Volume Information";

/** Repositories one and two levels below a directory that is not one. */
function repositoriesInside(path: string, inside: readonly Dirent[], owner: Owner): string[] {
  const found: string[] = [];
  let left = mostInside;
  const lookInside = (folder: string, entries: readonly Dirent[], levels: number) => {
    for (const entry of entries) {
      // `data` belongs to a repository that lost its config.
      if (!entry.isDirectory() || isSystems(entry.name) || entry.name === "data" || left-- <= 0) continue;
      const below = `${folder}/${entry.name}`;
      if (configAt(owner, `${below}/config`) === "borg's") found.push(below);
      else if (levels > 1)
        try {
          if (asRootOrOwner(owner, () => lstatSync(below)).size > largestDirectory) continue;
          lookInside(
            below,
            asRootOrOwner(owner, () => readdirSync(below, { withFileTypes: true })),
            levels - 1,
          );
        } catch {}
    }
  };
  if (!isSystems(path.slice(path.lastIndexOf("/") + 1))) lookInside(path, inside, 2);
  return found;
}
