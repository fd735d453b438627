import { closeSync, constants, type Dirent, fstatSync, openSync, readdirSync, readSync } from "node:fs";
import { nameProblem } from "./account-name.ts";
import { type KeyAt, largestFile, parseKeyFile } from "./key-file.ts";
import type { Problem } from "./problem.ts";
import { type Role, roleNames, roles } from "./role.ts";

/** What one key file says: this account has this role, and these keys open it. */
export interface Account {
  name: string;
  role: Role;
  /** The path of the file, or the name of the setting, that the keys come from. */
  source: string;
  keys: KeyAt[];
}

/** Entries beside the role folders that are no mistake. */
const otherEntries = ["host", "lost+found"];

/**
 * Reads the key folder: every account it gives, and every problem in it. A folder that does not exist gives
 * neither, so that a server with BORG_SSHKEYS alone needs none.
 */
export function readKeyFolder(folder: string): { accounts: Account[]; problems: Problem[] } {
  const accounts: Account[] = [];
  const problems: Problem[] = [];
  const known = [...roleNames.map((role) => roles[role].folder), ...otherEntries];

  for (const { name } of entries(folder, problems)) {
    if (known.includes(name)) continue;
    problems.push({
      where: `${folder}/${name}`,
      text: "This is none of the folders that borgserver reads, so keys in it would open nothing.",
      hint: `Move it away; keys belong in ${roleNames.map((role) => roles[role].folder).join(", ")}.`,
    });
  }
  for (const role of roleNames) {
    const roleFolder = `${folder}/${roles[role].folder}`;
    for (const entry of entries(roleFolder, problems)) {
      const source = `${roleFolder}/${entry.name}`;
      const wrongName = nameProblem(entry.name);
      if (wrongName) problems.push({ where: source, ...wrongName });
      const read = readKeyFile(source, entry);
      if ("text" in read) {
        problems.push({ where: source, ...read });
        continue;
      }
      const parsed = parseKeyFile(source, read.content);
      problems.push(...parsed.problems);
      accounts.push({ name: entry.name, role, source, keys: parsed.keys });
    }
  }
  return { accounts, problems };
}

/** What stands in a folder, hidden names left out, in an order that does not depend on the file system. */
function entries(folder: string, problems: Problem[]): Dirent[] {
  try {
    return readdirSync(folder, { withFileTypes: true })
      .filter(({ name }) => !name.startsWith("."))
      .sort((a, b) => (a.name < b.name ? -1 : 1));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== "ENOENT")
      problems.push({
        where: folder,
        text: `The folder cannot be read (${code}).`,
        hint: "Make it a folder that root can read.",
      });
    return [];
  }
}

/** A regular file's content, also behind a symlink; at most a byte more than a key file may have. */
function readKeyFile(path: string, entry: Dirent): { content: Buffer } | { text: string; hint: string } {
  if (entry.isDirectory())
    return {
      text: "This is a folder; repositories stand side by side.",
      hint: "Put one file a repository here, and no folder.",
    };
  let file: number | undefined;
  try {
    // O_NONBLOCK: opening a FIFO would wait for a writer (open(2)).
    file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    if (!fstatSync(file).isFile())
      return { text: "This is not a regular file.", hint: "Put a file with public keys here." };
    return { content: readUpTo(file, largestFile + 1) };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return {
      text: `The file cannot be read (${code}).`,
      hint: "Make it a file that root can read, or remove it.",
    };
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

function readUpTo(file: number, limit: number): Buffer {
  const chunks: Buffer[] = [];
  let total = 0;
  while (total < limit) {
    const chunk = Buffer.allocUnsafe(Math.min(limit - total, 64 * 1024));
    const count = readSync(file, chunk);
    if (count === 0) break;
    chunks.push(chunk.subarray(0, count));
    total += count;
  }
  return Buffer.concat(chunks);
}
