import { createHash, type Hash } from "node:crypto";
import { readdirSync, type Stats, statSync } from "node:fs";
import { pathOf } from "../keys/entry-path.ts";
import { isLocal } from "../keys/file-state.ts";

/**
 * What is seen of folders without reading a file, as one text that is another after a change: of each folder, which one it
 * is, and when a name in it came or went.
 */
export const lookAtFolders = (folders: readonly string[]) => folders.map((path) => stateOf(path)).join("\n");

/** The same of each file in the folders, also behind a symlink, so that a change of a file's content is seen. */
export function lookAtFiles(folders: readonly string[]): string {
  const seen = createHash("sha256");
  let count = 0;
  for (const folder of folders) {
    seen.update(`${folder} ${stateOf(folder)}\n`);
    count += addFiles(folder, seen);
  }
  // What was made for many names would stay in this process's memory until it makes as many again.
  if (count > manyNames && "bun" in process.versions) Bun.gc(true);
  return seen.digest("base64");
}

const manyNames = 10_000;

/** How many bytes are hashed at once: a call for each file would take longer than stat(2). */
const portion = 64 * 1024;

function addFiles(folder: string, seen: Hash): number {
  const names = namesIn(folder);
  let text = "";
  for (const name of names) {
    text += `${name} ${stateOf(pathOf(folder, name))}\n`;
    if (text.length < portion) continue;
    seen.update(text);
    text = "";
  }
  seen.update(text);
  return names.length;
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder, "latin1").sort();
  } catch {
    return [];
  }
}

function stateOf(path: string | Buffer): string {
  try {
    const { dev, ino, size, mtimeMs, ctimeMs }: Stats = statSync(path);
    return `${dev} ${ino} ${size} ${mtimeMs} ${ctimeMs}`;
  } catch {
    return "";
  }
}

/** Whether the system tells of every change in the folder. On a network file system it does not of another machine's. */
export function isToldOf(folder: string): boolean {
  try {
    return isLocal(folder);
  } catch {
    return true; // where there is nothing, the folder above tells when that changes
  }
}
