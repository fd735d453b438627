import {
  closeSync,
  constants,
  ftruncateSync,
  lstatSync,
  mkdtempSync,
  readdirSync,
  readSync,
  renameSync,
  rmdirSync,
  rmSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { hostname } from "node:os";
import { type Owner, whileOwner } from "../owner.ts";
import { pause } from "../pause.ts";
import type { Refusal } from "../problem.ts";
import { borgsOfThisContainer } from "../sessions/process-table.ts";
import {
  formatRoster,
  isGone,
  type Lock,
  largestRoster,
  parseLockName,
  parseRoster,
  type Roster,
} from "./locks.ts";
import { type OpenFile, openRegular } from "./regular-file.ts";
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
  // Fails if something else is in it: another server's session may have it by now.
  if (left.length === 0) rmdirSync(folder);
  return left;
}

/** A file that sessions of every server write, each while it holds the exclusive lock. */
function leftInRoster(repository: string, isGone: (lock: Lock) => boolean): Left[] {
  const path = `${repository}/lock.roster`;
  const stale = holdersIn(path).filter(({ lock }) => isGone(lock));
  if (stale.length > 0) whileExclusive(repository, () => removeHolders(path, isGone));
  return holdersIn(path).filter(({ lock }) => !isGone(lock));
}

function holdersIn(path: string): Left[] {
  const file = openRegular(path);
  if (!file) return [];
  try {
    const { exclusive, shared } = rosterIn(file) ?? { exclusive: [], shared: [] };
    return [...exclusive, ...shared].map((lock) => ({ lock, time: file.stats.mtime }));
  } finally {
    closeSync(file.descriptor);
  }
}

function removeHolders(path: string, isGone: (lock: Lock) => boolean): void {
  const file = openRegular(path, constants.O_RDWR);
  if (!file) return;
  try {
    const roster = rosterIn(file);
    if (!roster) return;
    const stays = (lock: Lock) => !isGone(lock);
    const kept = { exclusive: roster.exclusive.filter(stays), shared: roster.shared.filter(stays) };
    ftruncateSync(file.descriptor);
    writeSync(file.descriptor, formatRoster(kept), 0);
  } finally {
    closeSync(file.descriptor);
  }
}

function rosterIn({ descriptor, stats }: OpenFile): Roster | null {
  if (stats.size > largestRoster) return null;
  const bytes = Buffer.alloc(stats.size);
  return parseRoster(bytes.toString("utf8", 0, readSync(descriptor, bytes, 0, bytes.length, 0)));
}

/**
 * Does something while it holds a repository's exclusive lock, which is taken as borg takes it (ExclusiveLock in its
 * locking.py), or does nothing where others hold it. Whoever holds it for long has seen that no shared lock is left.
 */
function whileExclusive(repository: string, action: () => void): void {
  const own = mkdtempSync(`${repository}/lock.exclusive.`);
  try {
    writeFileSync(`${own}/${hostname()}.${process.pid}-0`, "");
    if (!isRenamed(own, `${repository}/lock.exclusive`)) return;
  } catch {
    return;
  } finally {
    rmSync(own, { recursive: true, force: true });
  }
  try {
    action();
  } finally {
    rmSync(`${repository}/lock.exclusive/${hostname()}.${process.pid}-0`, { force: true });
    rmdirSync(`${repository}/lock.exclusive`);
  }
}

/** Whether a folder could take a place before long; a session that only reads holds the lock for a moment. */
function isRenamed(from: string, to: string): boolean {
  for (let tries = 0; tries < 10; tries++) {
    try {
      renameSync(from, to);
      return true;
    } catch {
      pause(20);
    }
  }
  return false;
}

const day = 86_400_000; // milliseconds

/**
 * Reports the locks of other hosts: those that servers hold which run, which are in order, and those about which somebody
 * may have to do something. Of each the first few by name and the rest as a number.
 * @param running the names of the servers on this storage that run
 */
export function foreignLocks(
  locks: readonly ForeignLock[],
  running: ReadonlySet<string>,
  now: Date,
): Refusal[] {
  const list = (some: readonly ForeignLock[]) => {
    const shown = some.slice(0, mostNamed).map(({ path, host, time }) => {
      const old = age(now.getTime() - time.getTime());
      return `${path} (of ${host.slice(0, 64)}, ${old} old)`;
    });
    return `${shown.join(", ")}${some.length > mostNamed ? ` and ${some.length - mostNamed} more` : ""}`;
  };
  const inUse = locks.filter(({ host }) => running.has(host));
  const others = locks.filter(({ host }) => !running.has(host));
  return [
    ...(inUse.length > 0 ? [{ text: `in use through other servers: ${list(inUse)}`, hint: "" }] : []),
    ...(others[0]
      ? [
          {
            text: `locked by other hosts, or by this server under another host name: ${list(others)}`,
            hint: `If nothing there uses the repository any more: break-lock ${others[0].path}`,
          },
        ]
      : []),
  ];
}

const mostNamed = 5;

function age(milliseconds: number): string {
  const count = (number: number, noun: string) => `${number} ${noun}${number === 1 ? "" : "s"}`;
  const past = Math.max(0, milliseconds);
  if (past >= day) return count(Math.floor(past / day), "day");
  if (past >= day / 24) return count(Math.floor((past * 24) / day), "hour");
  return count(Math.floor(past / 60_000), "minute");
}
