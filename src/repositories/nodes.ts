import { spawnSync } from "node:child_process";
import { closeSync, lstatSync, readdirSync } from "node:fs";
import { codeOf } from "../failure.ts";
import { asRootOrOwner, type Owner } from "../owner.ts";
import { recordsFolder } from "../paths.ts";
import { openRegular } from "./regular-file.ts";

/** The servers on a storage, which share /repos. Each has a folder of its host name for its records. */

/** What lies beside those folders (known-repositories.ts, manifests.ts): no server can have such a name. */
export const notNodes = ["repositories", "manifests"];

/** The host names of the servers that ever left records here. */
export function nodeNames(): string[] {
  return namesIn(recordsFolder).filter((name) => !notNodes.includes(name));
}

/** The same, as root where that may see it; none where nobody may. */
export function nodesSeen(owner: Owner): string[] {
  try {
    return asRootOrOwner(owner, nodeNames);
  } catch {
    return [];
  }
}

/** A server that runs. */
export interface RunningNode {
  name: string;
  /** Who its records, and so its sessions' files, belong to. */
  owner: Owner;
}

/**
 * The servers that run now: each holds a lock on a file of its folder (libexec/record.py), which the kernel releases with
 * its process. Where the storage has no such locks, none is found.
 */
export function runningNodes(owner: Owner): RunningNode[] {
  return nodesSeen(owner).flatMap((name) => {
    const holder = holderOf(`${recordsFolder}/${name}/serving`, owner);
    return holder ? [{ name, owner: holder }] : [];
  });
}

/** The owner of a file that some process has locked, or null. */
function holderOf(path: string, owner: Owner): Owner | null {
  try {
    const file = asRootOrOwner(owner, () => openRegular(path));
    if (!file) return null;
    try {
      const words = ["--shared", "--nonblock", "0"];
      const { status } = spawnSync("flock", words, { stdio: [file.descriptor, "ignore", "ignore"] });
      return status === 1 ? { uid: file.stats.uid, gid: file.stats.gid } : null; // flock(1): any other failure is another number
    } finally {
      closeSync(file.descriptor);
    }
  } catch {
    return null;
  }
}

/** None if there is no such folder. */
export function namesIn(folder: string): string[] {
  try {
    return lstatSync(folder).isDirectory() ? readdirSync(folder) : [];
  } catch (error) {
    if (codeOf(error) === "ENOENT") return [];
    throw error;
  }
}
