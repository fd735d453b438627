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
  for (const folder of folders) {
    seen.update(`${folder} ${stateOf(folder)}\n`);
    addFiles(folder, seen);
  }
  return seen.digest("base64");
}

/** Whether a folder has so many names that a look at them is better done by a process that ends: their memory is not given back before. */
export const areLarge = (folders: readonly string[]) => folders.some((path) => sizeOf(path) > largeFolder);

const largeFolder = 512 * 1024; // bytes: about ten thousand names

/** How many bytes are hashed at once: a call for each file would take longer than stat(2). */
const portion = 64 * 1024;

function addFiles(folder: string, seen: Hash): void {
  let text = "";
  for (const name of namesIn(folder)) {
    text += `${name} ${stateOf(pathOf(folder, name))}\n`;
    if (text.length < portion) continue;
    seen.update(text);
    text = "";
  }
  seen.update(text);
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

function sizeOf(folder: string): number {
  try {
    return statSync(folder).size;
  } catch {
    return 0;
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
