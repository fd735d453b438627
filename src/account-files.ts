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
import type { AccountFiles, AccountPlan } from "./account-plan.ts";
import { OperatorError } from "./report.ts";

/** Reads the account files as bytes (latin1), so that what is not ours can be written back as it was. */
export function readAccountFiles(): AccountFiles {
  const read = (name: string) => readFileSync(`/etc/${name}`, "latin1");
  return { passwd: read("passwd"), shadow: read("shadow"), group: read("group") };
}

/**
 * Computes a plan on the account files and writes it, under the locks that useradd(8) and its kin take. Each
 * file is written beside itself and renamed. /etc/shadow comes first: an account must not exist without a
 * password field.
 */
export function applyAccounts(compute: (files: AccountFiles) => AccountPlan): AccountPlan {
  return withLockFile("/etc/passwd", () =>
    withLockFile("/etc/shadow", () => {
      const files = readAccountFiles();
      const plan = compute(files);
      if (plan.shadow !== files.shadow) replaceFile("/etc/shadow", plan.shadow);
      if (plan.passwd !== files.passwd) replaceFile("/etc/passwd", plan.passwd);
      return plan;
    }),
  );
}

function replaceFile(path: string, text: string): void {
  const { uid, gid, mode } = statSync(path);
  const unfinished = `${path}.borgserver`;
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
}

/** How long to wait for another program that changes accounts: as long as shadow-utils does (LOCK_TRIES and LOCK_SLEEP, lib/commonio.c). */
const lockTries = 15;
const lockPause = 1000; // milliseconds

/**
 * Runs an action while holding FILE.lock as shadow-utils does (lib/commonio.c, do_lock_file): a file with our
 * PID, linked to that name; a lock whose process is gone is removed.
 */
function withLockFile<T>(path: string, action: () => T): T {
  const lock = `${path}.lock`;
  const own = `${path}.${process.pid}`;
  writeFileSync(own, `${process.pid}\0`, { mode: 0o600 });
  try {
    for (let tries = 1; !linked(own, lock); tries++) {
      if (removeStaleLock(lock)) continue;
      if (tries === lockTries)
        throw new OperatorError(
          `${lock} is held by another program`,
          `Run this again; if nothing changes accounts now, remove ${lock}.`,
        );
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, lockPause);
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

function linked(own: string, lock: string): boolean {
  try {
    linkSync(own, lock);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

/** Whether the lock was left by a process that is gone; then it is removed. */
function removeStaleLock(lock: string): boolean {
  let pid: number;
  try {
    pid = Number.parseInt(readFileSync(lock, "latin1"), 10);
  } catch {
    return true; // released meanwhile
  }
  if (!(pid > 0)) return false;
  try {
    process.kill(pid, 0);
    return false;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") return false;
    rmSync(lock, { force: true });
    return true;
  }
}
