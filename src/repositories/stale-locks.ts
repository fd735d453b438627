import {
  closeSync,
  constants,
  ftruncateSync,
  lstatSync,
  readdirSync,
  readSync,
  rmdirSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { hostname } from "node:os";
import { type Owner, whileOwner } from "../owner.ts";
import type { Refusal } from "../problem.ts";
import { borgsOfThisContainer } from "../sessions/process-table.ts";
import { formatRoster, isGone, type Lock, largestRoster, parseLockName, parseRoster } from "./locks.ts";
import { openRegular } from "./regular-file.ts";
import { largestDirectory } from "./survey.ts";

/** A lock that stays, because another host took it. */
export interface ForeignLock {
  path: string;
  host: string;
  /** When it was taken, or the last of several. */
  time: Date;
}

/**
 * Removes the locks that sessions before this start left in repositories. borg itself does so if the process that held
 * one has ended. But in a new container the numbers of processes begin anew: one that is in use again would keep the lock
 * alive, and the next backup would wait for it in vain (borg's locking.py; process_alive in platform/base.py).
 *
 * A lock is removed if it has this host's name, which libexec/resident.py gives to sessions, and no borg of this container,
 * root's included, has its number. Another process with that number, such as one of the host where the container sees
 * those, cannot be its holder: another container's borg has another host name. If this fails, borg's own way remains.
 * @param repositories paths of repositories that hold a lock
 * @returns the locks of other hosts, which stay: whether their holders still run cannot be seen from here
 */
export function removeStaleLocks(repositories: readonly string[], owner: Owner): ForeignLock[] {
  const host = hostname();
  const running = new Set(borgsOfThisContainer().map(({ pid }) => pid));
  return whileOwner(owner, () =>
    repositories.flatMap((path) => {
      const left = [leftExclusive, leftInRoster].flatMap((remove) => {
        try {
          return remove(path, (lock) => isGone(lock, host, running));
        } catch {
          return [];
        }
      });
      const { lock, time } = left.find(({ lock }) => lock.host !== host) ?? {};
      return lock && time ? [{ path, host: lock.host, time }] : [];
    }),
  );
}

interface Left {
  lock: Lock;
  time: Date;
}

/** A folder with one file, of the holder's name. */
function leftExclusive(repository: string, isGone: (lock: Lock) => boolean): Left[] {
  const folder = `${repository}/lock.exclusive`;
  const found = lstatSync(folder);
  if (!found.isDirectory() || found.size > largestDirectory) return [];
  const left: Left[] = [];
  for (const name of readdirSync(folder)) {
    const lock = parseLockName(name);
    if (!lock) continue;
    if (isGone(lock)) unlinkSync(`${folder}/${name}`);
    else left.push({ lock, time: found.mtime });
  }
  if (left.length === 0) rmdirSync(folder); // fails if something else is in it
  return left;
}

function leftInRoster(repository: string, isGone: (lock: Lock) => boolean): Left[] {
  const file = openRegular(`${repository}/lock.roster`, constants.O_RDWR);
  if (!file) return [];
  try {
    if (file.stats.size > largestRoster) return [];
    const bytes = Buffer.alloc(file.stats.size);
    const roster = parseRoster(
      bytes.toString("utf8", 0, readSync(file.descriptor, bytes, 0, bytes.length, 0)),
    );
    if (!roster) return [];
    const stays = (lock: Lock) => !isGone(lock);
    const kept = { exclusive: roster.exclusive.filter(stays), shared: roster.shared.filter(stays) };
    const locks = [...kept.exclusive, ...kept.shared];
    if (locks.length < roster.exclusive.length + roster.shared.length) {
      ftruncateSync(file.descriptor);
      writeSync(file.descriptor, formatRoster(kept), 0);
    }
    return locks.map((lock) => ({ lock, time: file.stats.mtime }));
  } finally {
    closeSync(file.descriptor);
  }
}

const day = 86_400_000; // milliseconds

/** Reports the locks of other hosts, the first few by name and the rest as a number; null if there are none. */
export function foreignLocks(locks: readonly ForeignLock[], now: Date): Refusal | null {
  const [first] = locks;
  if (!first) return null;
  const shown = locks
    .slice(0, mostNamed)
    .map(
      ({ path, host, time }) =>
        `${path} (of ${host.slice(0, 64)}, ${age(now.getTime() - time.getTime())} old)`,
    );
  const more = locks.length > mostNamed ? ` and ${locks.length - mostNamed} more` : "";
  return {
    text: `locked by other hosts, or by this server under another host name: ${shown.join(", ")}${more}`,
    hint: `If nothing there uses the repository any more: break-lock ${first.path}`,
  };
}

const mostNamed = 5;

function age(milliseconds: number): string {
  const count = (number: number, noun: string) => `${number} ${noun}${number === 1 ? "" : "s"}`;
  const past = Math.max(0, milliseconds);
  if (past >= day) return count(Math.floor(past / day), "day");
  if (past >= day / 24) return count(Math.floor((past * 24) / day), "hour");
  return count(Math.floor(past / 60_000), "minute");
}
