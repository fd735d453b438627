import {
  closeSync,
  constants,
  fstatSync,
  ftruncateSync,
  lstatSync,
  openSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  writeSync,
} from "node:fs";
import { hostname } from "node:os";
import { type Owner, whileOwner } from "./owner.ts";
import { repositoryFolder } from "./paths.ts";
import { listRepositories } from "./repositories.ts";

/**
 * Removes the locks that sessions before this start left in repositories. borg does so itself where the process
 * that held one is gone; but here numbers of processes begin anew, one that is in use again would keep the lock
 * alive, and the next backup would wait for it in vain (borg's locking.py; process_alive in platform/base.py).
 * Locks of other hosts, and of a borg that runs, stay. Where it fails, borg's own way is left.
 */
export function removeStaleLocks(owner: Owner): void {
  whileOwner(owner, () => {
    for (const repository of repositories())
      for (const remove of [removeExclusive, removeFromRoster])
        try {
          remove(repository);
        } catch {}
  });
}

function repositories(): string[] {
  try {
    return listRepositories(repositoryFolder);
  } catch {
    return [];
  }
}

/** A folder with one file, HOST.PID-THREAD, the thread in hexadecimal. */
function removeExclusive(repository: string): void {
  const folder = `${repository}/lock.exclusive`;
  if (!lstatSync(folder).isDirectory()) return;
  for (const name of readdirSync(folder)) {
    const [, host, pid] = /^(.*)\.([0-9]+)-[0-9a-f]+$/.exec(name) ?? [];
    if (isGone(host, Number(pid))) rmSync(`${folder}/${name}`);
  }
  rmdirSync(folder); // fails where a lock stayed
}

/** The largest roster that is looked at, in bytes. */
const largestRoster = 1024 ** 2;

/** A JSON object: "shared" and "exclusive" are lists of [HOST, PID, THREAD]. Clients can write it, so it may be anything. */
function removeFromRoster(repository: string): void {
  const file = openSync(
    `${repository}/lock.roster`,
    constants.O_RDWR | constants.O_NOFOLLOW | constants.O_NONBLOCK,
  );
  try {
    const found = fstatSync(file);
    if (!found.isFile() || found.size > largestRoster) return;
    const text = readFileSync(file, "utf8");
    const roster = JSON.parse(text) as Record<string, [string, number, number][]>;
    for (const [key, holders] of Object.entries(roster))
      roster[key] = holders.filter(([host, pid]) => !isGone(host, pid));
    const kept = JSON.stringify(roster);
    if (kept === JSON.stringify(JSON.parse(text))) return;
    ftruncateSync(file);
    writeSync(file, kept, 0);
  } finally {
    closeSync(file);
  }
}

/** Whether a lock is of this host (scripts/session gives sessions its name as theirs) and of no borg that runs. */
function isGone(host: string | undefined, pid: number): boolean {
  if (host !== hostname()) return false;
  try {
    return readFileSync(`/proc/${pid}/comm`, "latin1") !== "borg\n";
  } catch {
    return true;
  }
}
