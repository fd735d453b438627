import { dlopen } from "bun:ffi";
import {
  closeSync,
  fchmodSync,
  fchownSync,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { reasonOf } from "../failure.ts";
import { pause } from "../pause.ts";
import { OperatorError } from "../problem.ts";
import { readAccountFiles } from "./account-files.ts";
import { leftAccounts, withoutLeftAccounts } from "./system-accounts.ts";

/**
 * Removes the accounts that an older server wrote into /etc/passwd and /etc/shadow. /etc/passwd, which says whose they
 * are, is replaced last, so a run that was interrupted is finished by the next one.
 */
export function removeOldAccounts(): void {
  whileLocked(() => {
    const files = readAccountFiles();
    if (leftAccounts(files).length === 0) return;
    const without = withoutLeftAccounts(files, readFileSync("/etc/shadow", "latin1"));
    replaceFile("/etc/shadow", without.shadow);
    replaceFile("/etc/passwd", without.passwd);
  });
}

function replaceFile(path: string, text: string): void {
  const { uid, gid, mode } = statSync(path);
  const unfinished = `${path}.borgserver`;
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
      `${path} could not be replaced and is as it was: ${reasonOf(error)}`,
      "When that is repaired, run the installation again.",
    );
  }
}

/** How long to wait for another program that changes accounts, in milliseconds: as long as lckpwdf(3) does. */
const longestWait = 15_000;
const betweenTries = 100;

/** Runs an action under the lock that all programs take which change account files (lckpwdf(3)); the kernel drops it with the process. */
function whileLocked(action: () => void): void {
  const { lockf } = dlopen("libc.so.6", {
    lockf: { args: ["i32", "i32", "u64"], returns: "i32" },
  }).symbols;
  const tryLock = 2; // F_TLOCK (unistd.h)
  const file = openSync("/etc/.pwd.lock", "a", 0o600);
  try {
    for (let waited = 0; lockf(file, tryLock, 0) !== 0; waited += betweenTries) {
      if (waited >= longestWait)
        throw new OperatorError("another program is changing accounts", "Run this again when it has ended.");
      pause(betweenTries);
    }
    action();
  } finally {
    closeSync(file);
  }
}
