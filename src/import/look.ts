import {
  type Dirent,
  existsSync,
  lstatSync,
  readdirSync,
  readlinkSync,
  realpathSync,
  statSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { codeOf } from "../failure.ts";
import { asRootOrOwner, type Owner } from "../owner.ts";
import { configStart, readRegular } from "../repositories/regular-file.ts";
import type { Seen } from "./target.ts";

/** How far repositories are looked for, and in how many folders. */
const deepest = 4;
const mostFolders = 10_000;

/** What is at a path of the other server. It is only read. */
export function look(path: string, owner: Owner): Seen {
  try {
    return asRootOrOwner(owner, () => {
      if (!isThere(path)) return isThere(dirname(path)) ? { is: "seen", repositories: [] } : { is: "unseen" };
      // A link, as to other storage, is not moved: what it leads to is.
      if (!existsSync(path))
        return { is: "unreadable", why: `it is a link to ${readlinkSync(path)}, which is not here` };
      const real = realpathSync(path);
      const budget = { left: mostFolders };
      const repositories = repositoriesIn(real, deepest, budget).map((found) => ({
        path: path + found.slice(real.length),
        real: found,
      }));
      if (budget.left < 0) return { is: "unreadable", why: `it has more than ${mostFolders} folders` };
      return { is: "seen", repositories };
    });
  } catch (error) {
    return { is: "unreadable", why: codeOf(error) ?? String(error) };
  }
}

const isThere = (path: string) => lstatSync(path, { throwIfNoEntry: false }) !== undefined;

/** Links in it are not followed: borg serve refuses what they lead to outside, and inside it is found without them. */
function repositoriesIn(folder: string, depth: number, budget: { left: number }): string[] {
  if (isRepository(folder)) return [folder];
  if (depth === 0 || budget.left-- <= 0 || !statSync(folder).isDirectory()) return [];
  return readdirSync(folder, { withFileTypes: true })
    .filter(
      (entry: Dirent) => entry.isDirectory() && !entry.name.startsWith(".") && entry.name !== "lost+found",
    )
    .sort((one, other) => (one.name < other.name ? -1 : 1))
    .flatMap(({ name }) => repositoriesIn(join(folder, name), depth - 1, budget));
}

/** As everywhere here: a regular file `config` with borg's section. */
function isRepository(folder: string): boolean {
  const start = readRegular(join(folder, "config"), 0, configStart);
  return start !== null && /^\[repository\]/m.test(start.toString("latin1"));
}
