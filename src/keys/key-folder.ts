import { closeSync, constants, fstatSync, openSync, readdirSync, readSync, statSync } from "node:fs";
import { codeOf } from "../failure.ts";
import { shownName } from "../printable.ts";
import { isRefusal, type Problem, type Refusal } from "../problem.ts";
import { counted, type Progress, unseen } from "../progress.ts";
import { type Role, roleNames, roles } from "../role.ts";
import { foreignOwner } from "../user-namespace.ts";
import { type FoundAccount, isLeftover, nameProblem } from "./account.ts";
import { pathOf } from "./entry-path.ts";
import { type FileState, FileStates, type PublishedFiles, type Trust } from "./file-state.ts";
import { largestFile, parseKeyFile } from "./key-file.ts";

/** Folders next to the role folders that belong there. */
const otherEntries = ["host", "settings"];

/** How a key folder is read. */
export interface Reading {
  /** Files that need not be parsed again if they are unchanged. */
  published?: PublishedFiles | undefined;
  /** How that is judged; by default by what stat(2) says. */
  trust?: Trust | undefined;
  /** Gives the names of the accounts that are published. */
  served?: (() => ReadonlySet<string>) | undefined;
  /** As parsePublicKey takes it. */
  timeZone?: string | undefined;
  progress?: Progress | undefined;
}

/**
 * Reads the key folder: every account it gives, and every problem in it. A folder that does not exist gives
 * neither, so that a server with BORG_SSHKEYS alone needs none.
 * @returns also the roles whose folders do not exist, and the paths that were skipped (isLeftover in account.ts, and
 * plain files next to the role folders)
 */
export function readKeyFolder(
  folder: string,
  { published = new Map(), trust = "stat", timeZone, progress = unseen }: Reading = {},
): { accounts: FoundAccount[]; missing: Role[]; skipped: string[]; problems: Problem[] } {
  const states = new FileStates();
  const accounts: FoundAccount[] = [];
  const missing: Role[] = [];
  const skipped: string[] = [];
  const problems: Problem[] = [];
  const known = [...roleNames.map((role) => roles[role].folder), ...otherEntries];

  const namesIn = (within: string) => {
    const names = entries(within, problems);
    skipped.push(...(names ?? []).filter(isLeftover).map((name) => `${within}/${shownName(name)}`));
    return names?.filter((name) => !isLeftover(name)) ?? null;
  };
  for (const name of namesIn(folder) ?? []) {
    if (known.includes(name)) continue;
    const where = `${folder}/${shownName(name)}`;
    if (isFile(pathOf(folder, name))) skipped.push(where);
    else
      problems.push({
        where,
        text: "borgserver does not read this folder, so keys in it have no effect",
        hint: `Move it away: keys belong in ${roleNames.map((role) => roles[role].folder).join(", ")}.`,
      });
  }
  for (const role of roleNames) {
    const roleFolder = `${folder}/${roles[role].folder}`;
    const names = namesIn(roleFolder);
    if (names === null) missing.push(role);
    for (const name of counted(names ?? [], `reading ${roleFolder}`, progress)) {
      const source = `${roleFolder}/${shownName(name)}`;
      const path = pathOf(roleFolder, name);
      const state = published.get(source);
      if (
        state &&
        states.isUnchanged(source, state) &&
        (trust === "stat" || states.hasContent(path, state))
      ) {
        accounts.push({ name, role, source, state, keys: null });
        continue;
      }
      const wrongName = nameProblem(name);
      if (wrongName) problems.push({ where: source, ...wrongName });
      const read = readKeyFile(path, states);
      if (isRefusal(read)) {
        problems.push({ where: source, ...read });
        continue;
      }
      const parsed = parseKeyFile(source, read.content, timeZone);
      problems.push(...parsed.problems);
      accounts.push({ name, role, source, state: read.state, keys: parsed.keys });
    }
  }
  return { accounts, missing, skipped, problems };
}

/**
 * The names in a folder, in an order that does not depend on the file system; null for no folder. Names are bytes:
 * each string has a byte a character (latin1).
 */
export function entries(folder: string, problems: Problem[]): string[] | null {
  try {
    return readdirSync(folder, "latin1").sort();
  } catch (error) {
    const code = codeOf(error);
    if (code === "ENOENT") return null;
    problems.push({
      where: folder,
      ...((isClosed(code) && foreignOwner(folder)) || {
        text: `the folder cannot be read (${code})`,
        hint: "Make it a folder that root can read.",
      }),
    });
    return [];
  }
}

const isClosed = (code: string | undefined) => code === "EACCES" || code === "EPERM";

function isFile(path: string | Buffer): boolean {
  try {
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

/** A regular file's content, also behind a symlink; at most a byte more than a key file may have. */
export function readKeyFile(
  path: string | Buffer,
  states: FileStates = new FileStates(),
): { content: Buffer; state: FileState | null } | Refusal {
  let file: number | undefined;
  try {
    // O_NONBLOCK: opening a FIFO would wait for a writer (open(2)).
    file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const found = fstatSync(file);
    if (found.isDirectory())
      return {
        text: "this is a folder, but repositories are side by side",
        hint: "Put one file for each repository here, and no folder.",
      };
    if (!found.isFile())
      return { text: "this is not a regular file", hint: "Put a file with public keys here." };
    const content = readUpTo(file, largestFile + 1, found.size);
    return { content, state: states.stateOf(path, found, content) };
  } catch (error) {
    const code = codeOf(error);
    return (
      (isClosed(code) && foreignOwner(path)) || {
        text: `the file cannot be read (${code})`,
        hint: "Make it a file that root can read, or remove it.",
      }
    );
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

/** @param expected how long the content probably is: most files fit into one small buffer */
function readUpTo(file: number, limit: number, expected: number): Buffer {
  const chunks: Buffer[] = [];
  let total = 0;
  while (total < limit) {
    const chunk = Buffer.allocUnsafe(
      Math.min(limit - total, Math.max(expected + 1 - total, 1024), 64 * 1024),
    );
    const count = readSync(file, chunk);
    if (count === 0) break;
    chunks.push(chunk.subarray(0, count));
    total += count;
  }
  return Buffer.concat(chunks);
}
