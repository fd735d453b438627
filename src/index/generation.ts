import {
  chmodSync,
  chownSync,
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
} from "node:fs";
import { reasonOf } from "../failure.ts";
import { OperatorError } from "../problem.ts";

/** The name of a publication's folder; they are counted. */
const nameOf = (number: number) => `generation-${number}`;

/** The number in such a name; 0 for any other. */
const numberOf = (name: string) => Number(/^generation-([1-9][0-9]*)$/.exec(name)?.[1] ?? 0);

/**
 * Publishes the index, and what has to change in the same instant, by one rename(2): of `current`, a link to the
 * folder that holds them. Who reads finds one publication or the other, whole, and a crash at any point leaves the old
 * one. The one before is kept for those that are on their way to it, older ones and what a crash left unfinished are
 * removed. The caller holds the lock (server/lock.ts).
 * @param group numeric group that may look into the folders
 * @param fill writes the files into the new folder
 * @returns what `fill` does
 */
export function publishGeneration<Result>(
  folder: string,
  group: number,
  fill: (generation: string) => Result,
): Result {
  const published = numberOf(linkTarget(`${folder}/current`) ?? "");
  const made = `${folder}/${nameOf(published + 1)}`;
  let result: Result;
  try {
    allow(folder, group);
    removeGenerations(folder, (number) => number > published);
    mkdirSync(made, { mode: 0o700 });
    result = fill(made);
    for (const file of readdirSync(made)) sync(`${made}/${file}`);
    allow(made, group);
    sync(made);
    sync(folder);
    replaceLink(`${folder}/current`, nameOf(published + 1));
  } catch (error) {
    rmSync(made, { recursive: true, force: true });
    throw new OperatorError(
      `the index and the accounts in ${folder} could not be replaced and are as they were: ${reasonOf(error)}`,
      "When that is repaired: index rebuild --full",
    );
  }
  // The path that operators know. What an older server published under it goes.
  if (linkTarget(`${folder}/index.sqlite`) !== "current/index.sqlite")
    replaceLink(`${folder}/index.sqlite`, "current/index.sqlite");
  for (const name of ofOthers) rmSync(`${folder}/${name}`, { force: true });
  removeGenerations(folder, (number) => number < published);
  sync(folder);
  return result;
}

/** What an older server, or another program, leaves next to the link to the index. */
const ofOthers = [
  ...["served.json", "served.json.new", "index.sqlite.new"],
  ...["index.sqlite-journal", "index.sqlite-wal", "index.sqlite-shm"],
];

function removeGenerations(folder: string, isOver: (number: number) => boolean): void {
  const numbers = readdirSync(folder).map(numberOf);
  for (const number of numbers)
    if (number > 0 && isOver(number)) rmSync(`${folder}/${nameOf(number)}`, { recursive: true, force: true });
}

function allow(folder: string, group: number): void {
  chownSync(folder, 0, group);
  chmodSync(folder, 0o750);
}

/** Where a symlink leads; null if there is none. */
function linkTarget(path: string): string | null {
  try {
    return readlinkSync(path);
  } catch {
    return null;
  }
}

function replaceLink(path: string, target: string): void {
  rmSync(`${path}.new`, { force: true });
  symlinkSync(target, `${path}.new`);
  renameSync(`${path}.new`, path);
}

/** Forces a file, or the names in a folder, to disk (fsync(2)). */
function sync(path: string): void {
  try {
    const file = openSync(path, "r");
    try {
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
  } catch (error) {
    throw new OperatorError(`${path} could not be forced to disk: ${reasonOf(error)}`);
  }
}
