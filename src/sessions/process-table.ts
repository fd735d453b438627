import { readdirSync, readFileSync } from "node:fs";

/** A process, as proc_pid_stat(5) has it. */
export interface Process {
  pid: number;
  parent: number;
  /** The name of its program, 15 bytes at most. */
  name: string;
  /** R, S, D, Z (ended, not yet reaped), T (stopped), … */
  state: string;
  /** When it started, in clock ticks since boot. Together with the number this is one process and no other. */
  started: string;
}

/** The process of this number, or null. */
export function readProcess(pid: number): Process | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    const end = stat.lastIndexOf(")"); // a name may hold spaces and brackets
    const fields = stat.slice(end + 2).split(" ");
    return {
      pid,
      parent: Number(fields[1]),
      name: stat.slice(stat.indexOf("(") + 1, end),
      state: fields[0]!,
      started: fields[19]!,
    };
  } catch {
    return null;
  }
}

/** All processes that can be seen, except those that have ended. */
export function readProcesses(): Process[] {
  return readdirSync("/proc")
    .filter((name) => /^[0-9]+$/.test(name))
    .map((name) => readProcess(Number(name)))
    .filter((process) => process !== null && process.state !== "Z") as Process[];
}

/** Whether this very process still runs. */
export function stillRuns({ pid, started }: Pick<Process, "pid" | "started">): boolean {
  const now = readProcess(pid);
  return now?.started === started && now.state !== "Z";
}

/** The children of a process, their children, and so on. */
export function descendantsOf(pid: number, processes: readonly Process[]): Process[] {
  const found: Process[] = [];
  for (let above = new Set([pid]); above.size > 0; ) {
    const next = processes.filter(({ parent }) => above.has(parent));
    found.push(...next);
    above = new Set(next.map(({ pid }) => pid));
  }
  return found;
}

/**
 * The borg processes in the container of this server. A container that shares the numbers of processes with others, or
 * with the host, sees theirs too, but its mounts are its own.
 */
export function borgsOfThisContainer(): Process[] {
  return readProcesses().filter(({ pid, name }) => name === "borg" && hasOurMounts(pid));
}

/** Whether a server runs in this container: the process that records what its sessions did (libexec/record.py). */
export function isServedHere(): boolean {
  return readProcesses().some(({ pid, name }) => name === "borg-recorder" && hasOurMounts(pid));
}

/**
 * Those of this server: sessions, and what was started with exec. None of them runs as root. The process that serves the
 * sessions is another: its name is longer (libexec/resident.py).
 */
export function borgsOfThisServer(): Process[] {
  return borgsOfThisContainer().filter(({ pid }) => userOf(pid) !== 0);
}

/**
 * Those of these borg processes that serve these session programs. They are no children of them, but of the process that serves all
 * sessions, and say in their titles whom they serve: "borg: NAME [PID]".
 */
export function borgsServing(sessions: readonly Process[], borgs: readonly Process[]): Process[] {
  const begun = new Map(sessions.map(({ pid, started }) => [pid, Number(started)]));
  return borgs.filter(({ pid, started }) => {
    // One that is older served an earlier program of that number.
    const since = begun.get(sessionServedBy(pid) ?? 0);
    return since !== undefined && Number(started) >= since;
  });
}

/** The number of the session program that a borg serves, or null for another process. */
export function sessionServedBy(pid: number): number | null {
  try {
    const title = readFileSync(`/proc/${pid}/cmdline`, "latin1");
    const session = /^borg: [^\0]* \[([0-9]+)\]\0*$/.exec(title)?.[1];
    return session === undefined ? null : Number(session);
  } catch {
    return null;
  }
}

/** proc_pid_mountinfo(5): the first field is a mount's number, which no mount of another namespace has. */
function hasOurMounts(pid: number | "self"): boolean {
  const first = (of: number | "self") => readFileSync(`/proc/${of}/mountinfo`, "latin1").split(" ", 1)[0];
  try {
    return first(pid) === first("self");
  } catch {
    return false;
  }
}

/** The numeric user that a process runs as (proc_pid_status(5), the effective one), or null if it has ended. */
export function userOf(pid: number): number | null {
  try {
    const user = /^Uid:\t[0-9]+\t([0-9]+)\t/m.exec(readFileSync(`/proc/${pid}/status`, "latin1"))?.[1];
    return user === undefined ? null : Number(user);
  } catch {
    return null;
  }
}
