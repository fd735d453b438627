import {
  closeSync,
  fchmodSync,
  fchownSync,
  fsyncSync,
  linkSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { OperatorError } from "../problem.ts";
import { foreignOwner } from "../user-namespace.ts";
import { type AccountFiles, type AccountPlan, incomplete } from "./account-plan.ts";

/** Reads the account files as bytes (latin1), so that what is not ours can be written back as it was. */
export function readAccountFiles(): Omit<AccountFiles, "shadow"> {
  return { passwd: read("passwd"), group: read("group") };
}

/** The same with /etc/shadow, which root alone can read. */
export function readAllAccountFiles(): AccountFiles {
  return { ...readAccountFiles(), shadow: read("shadow") };
}

function read(name: string): string {
  try {
    return readFileSync(`/etc/${name}`, "latin1");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") throw new OperatorError(`there is no /etc/${name}, and so no account`, incomplete);
    throw new OperatorError(`/etc/${name} cannot be read (${code})`, foreignOwner(`/etc/${name}`)?.hint);
  }
}

/**
 * Computes a plan on the account files and writes it, under the locks that useradd(8) and its kin take. Each
 * file is written beside itself and renamed. /etc/shadow comes first: an account must not exist without a
 * password field.
 */
export function applyAccounts(compute: (files: AccountFiles) => AccountPlan): AccountPlan {
  return withLockFile("/etc/passwd", () =>
    withLockFile("/etc/shadow", () => {
      const files = readAllAccountFiles();
      const plan = compute(files);
      if (plan.shadow !== files.shadow) replaceFile("/etc/shadow", plan.shadow);
      if (plan.passwd !== files.passwd) replaceFile("/etc/passwd", plan.passwd);
      return plan;
    }),
  );
}

function replaceFile(path: string, text: string): void {
  const { uid, gid, mode } = statSync(path);
  const unfinished = besides(path);
  try {
    rmSync(unfinished, { force: true });
    const file = openSync(unfinished, "wx", 0o600);
    try {
      writeFileSync(file, text, "latin1");
      fchownSync(file, uid, gid);
      fchmodSync(file, mode & 0o7777);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(unfinished, path);
  } catch (error) {
    rmSync(unfinished, { force: true });
    throw new OperatorError(
      `${path} could not be replaced and is as it was: ${(error as Error).message}`,
      "When that is mended: update-borgusers",
    );
  }
}

/**
 * Where a file is written before it gets its name. One name for all runs, so that what a killed one left is
 * gone after the next; there is one run at a time (lock.ts).
 */
const besides = (path: string) => `${path}.borgserver`;

/** How long to wait for another program that changes accounts: as long as shadow-utils does (LOCK_TRIES and LOCK_SLEEP, lib/commonio.c). */
const lockTries = 15;
const lockPause = 1000; // milliseconds

/**
 * Runs an action while holding FILE.lock as shadow-utils does (lib/commonio.c, do_lock_file): a file with our
 * PID, linked to that name; a lock whose process is gone is removed.
 */
function withLockFile<T>(path: string, action: () => T): T {
  const lock = `${path}.lock`;
  const own = besides(path);
  try {
    writeOwn(own);
    for (let tries = 1; !linked(own, lock); tries++) {
      const free = removeStaleLock(lock);
      if (tries >= lockTries)
        throw new OperatorError(
          `${lock} is held by another program`,
          `Run this again; if nothing changes accounts now, remove ${lock}.`,
        );
      if (!free) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, lockPause);
    }
  } finally {
    rmSync(own, { force: true });
  }
  try {
    return action();
  } finally {
    rmSync(lock, { force: true });
  }
}

function writeOwn(own: string): void {
  try {
    // Not written over: it may be one file with a lock that a killed run left.
    rmSync(own, { force: true });
    writeFileSync(own, `${process.pid}\0`, { mode: 0o600 });
  } catch (error) {
    throw new OperatorError(`${own} could not be written: ${(error as Error).message}`);
  }
}

function linked(own: string, lock: string): boolean {
  try {
    linkSync(own, lock);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

/** Removes a lock that a process left which is gone. @returns whether it is worth trying again at once */
function removeStaleLock(lock: string): boolean {
  try {
    const pid = Number.parseInt(readFileSync(lock, "latin1"), 10);
    if (pid > 0 && pid !== process.pid && startOf(pid) * 1000 < statSync(lock).mtimeMs) return false;
    rmSync(lock);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ENOENT"; // released meanwhile
  }
}

/**
 * When a process started, in seconds since 1970; infinity for none. A new container has the same PIDs again, so
 * a holder that is younger than its lock is another process than the one that made it (proc(5): starttime of
 * /proc/PID/stat, in hundredths of a second since boot; btime of /proc/stat).
 */
function startOf(pid: number): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    const ticks = Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19]);
    const boot = Number(/^btime ([0-9]+)$/m.exec(readFileSync("/proc/stat", "latin1"))?.[1]);
    return boot + ticks / 100;
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}
