/** A holder of a lock, as borg writes it (locking.py; get_process_id in platform/base.py). */
export interface Lock {
  /** What BORG_HOST_ID was: here the host name; elsewhere NAME@MAC. */
  host: string;
  pid: number;
  thread: number;
}

/** The content of lock.roster. Clients can write it, so it is read by parseRoster only. */
export interface Roster {
  exclusive: Lock[];
  shared: Lock[];
}

/**
 * The largest roster that is read, in bytes: it has room for a thousand holders, and sshd serves a few hundred sessions of
 * all repositories together.
 */
export const largestRoster = 64 * 1024;

/** A host is part of a file's name in lock.exclusive, which cannot be longer (readdir(3), NAME_MAX). */
const longestHost = 255;

/** The holder that a file in lock.exclusive names, HOST.PID-THREAD with the thread in hexadecimal; null for any other name. */
export function parseLockName(name: string): Lock | null {
  const [, host = "", pid = "", thread = ""] = /^(.+)\.([0-9]{1,15})-([0-9a-f]{1,13})$/s.exec(name) ?? [];
  return lockOf(host, Number(pid), Number.parseInt(thread, 16));
}

/**
 * Reads a roster: an object in which `exclusive` and `shared` are lists of [HOST, PID, THREAD], either of which may be
 * missing. Null for anything else, even if only one holder is not valid: such a roster is left as it is.
 */
export function parseRoster(text: string): Roster | null {
  if (Buffer.byteLength(text) > largestRoster) return null;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null; // also if it is nested too deep
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) return null;
  const lists = new Map(Object.entries(value));
  if ([...lists.keys()].some((key) => key !== "exclusive" && key !== "shared")) return null;
  const [exclusive, shared] = ["exclusive", "shared"].map((key) =>
    lists.has(key) ? locksOf(lists.get(key)) : [],
  );
  return exclusive && shared ? { exclusive, shared } : null;
}

/** The text of a roster, as borg reads it. */
export function formatRoster({ exclusive, shared }: Roster): string {
  const list = (locks: readonly Lock[]) => locks.map(({ host, pid, thread }) => [host, pid, thread]);
  return JSON.stringify({ exclusive: list(exclusive), shared: list(shared) });
}

/** Whether a lock was taken on this host, by a process that has ended. @param running the processes that can hold one */
export function isGone({ host, pid }: Lock, thisHost: string, running: ReadonlySet<number>): boolean {
  return host === thisHost && !running.has(pid);
}

function locksOf(list: unknown): Lock[] | null {
  if (!Array.isArray(list)) return null;
  const locks = list.map((entry) =>
    Array.isArray(entry) && entry.length === 3 ? lockOf(entry[0], entry[1], entry[2]) : null,
  );
  return locks.includes(null) ? null : (locks as Lock[]);
}

function lockOf(host: unknown, pid: unknown, thread: unknown): Lock | null {
  if (typeof host !== "string" || host === "" || Buffer.byteLength(host) > longestHost) return null;
  if (!isInteger(pid) || pid === 0 || !isInteger(thread)) return null;
  return { host, pid, thread };
}

const isInteger = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
