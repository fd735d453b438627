import { pause } from "../pause.ts";
import { type Connection, openConnections, opensByIndex, revokedConnections } from "./connections.ts";
import {
  borgsOfThisServer,
  borgsServing,
  descendantsOf,
  type Process,
  readProcesses,
  sessionServedBy,
  stillRuns,
} from "./process-table.ts";
import { runningSshd } from "./sshd-process.ts";

/** How long an answer to a login may take, in milliseconds: the login program has 20 seconds (main.ts). */
const longestAnswer = 21_000;
/** How long a client that was just answered has to log in and to begin a session, in milliseconds. */
const longestLetIn = 1000;
/** How long sessions have to end after they were asked, in seconds. A container's runtime kills what is left after ten (docker stop). */
const patience = 7;
/** The pause between two looks whether they have, in milliseconds. */
const lookPause = 100;

/** Signals a process, if it still runs and this one may. Whether it ends is looked at later. */
function signal(process: Process, name: "SIGTERM" | "SIGKILL"): void {
  try {
    if (stillRuns(process)) globalThis.process.kill(process.pid, name);
  } catch {}
}

/** A process, and no other that has its number later. */
const keyOf = ({ pid, started }: Process) => `${pid} ${started}`;

/** Asks processes to end, each once: asking a borg twice would disturb its end. */
class Asking {
  readonly asked = new Map<string, Process>();

  ask(processes: readonly Process[]): void {
    for (const process of processes) {
      const key = keyOf(process);
      if (this.asked.has(key)) continue;
      this.asked.set(key, process);
      signal(process, "SIGTERM");
    }
  }

  get left(): Process[] {
    return [...this.asked.values()].filter(stillRuns);
  }
}

/**
 * Asks every borg of this server to end, so that it releases its locks, and waits until they have. sshd accepts no logins
 * any more, but one that was under way may still become a borg.
 * @returns that it took too long, or null
 */
export function endAllSessions(): string | null {
  const asking = new Asking();
  const end = performance.now() + patience * 1000;
  for (;;) {
    const borgs = borgsOfThisServer();
    if (borgs.length === 0) return null;
    if (performance.now() >= end)
      return `sessions did not end within ${patience} seconds, so their locks may be left`;
    asking.ask(borgs);
    pause(lookPause);
  }
}

/**
 * Ends the connections whose key opens nothing any more in the published index.
 * @returns those that were ended, and those that could not be
 */
export function endRevokedConnections(): { ended: Connection[]; left: Connection[] } {
  waitForAnswers();
  const look = () => revokedConnections(openConnections(), opensByIndex);
  const end = performance.now() + longestLetIn;
  let revoked = look();
  while (revoked.some(({ isLoggedIn }) => !isLoggedIn) && performance.now() < end) {
    pause(lookPause);
    revoked = look();
  }
  // About the others sshd asks once more when they sign, and denies them. They may be waiting for a person.
  revoked = revoked.filter(({ isLoggedIn }) => isLoggedIn);
  const left = endConnections(revoked);
  return { ended: revoked.filter((connection) => !left.includes(connection)), left };
}

/** Waits for the login programs that run now and may answer from an earlier index: after that their connections are recorded. */
function waitForAnswers(): void {
  const sshd = runningSshd();
  if (!sshd) return;
  const processes = readProcesses();
  const connections = new Set(processes.filter(({ parent }) => parent === sshd.pid).map(({ pid }) => pid));
  const answering = processes.filter(({ parent, name }) => connections.has(parent) && name === "borgserver");
  const end = performance.now() + longestAnswer;
  while (answering.some(stillRuns) && performance.now() < end) pause(lookPause / 5);
}

/** A connection that is ended, and what its sessions consist of: programs that sshd started, and the borgs that serve those. */
class Ending {
  readonly #process: Process;
  /** Those that were seen below sshd's process. Each may outlive it. */
  readonly #programs = new Map<string, Process>();
  /** The numbers of the programs that were served when last looked. */
  #served = new Set<number | null>();

  constructor({ process }: Connection) {
    this.#process = process;
  }

  /** What of it runs now, of these processes and the borgs of this server. */
  look(processes: readonly Process[], borgsOfServer: readonly Process[]) {
    const ofSshd = stillRuns(this.#process) ? [this.#process] : [];
    const below = ofSshd.flatMap(({ pid }) => descendantsOf(pid, processes));
    // sshd's process of the connection starts one that runs as the account, and that starts the programs.
    for (const process of below)
      if (process.parent === this.#process.pid) ofSshd.push(process);
      else this.#programs.set(keyOf(process), process);
    const seen = [...this.#programs.values()];
    const borgs = borgsServing(seen, borgsOfServer);
    const programs = seen.filter(stillRuns);
    // A program ends by itself when its borg has, and tells how. It gets until the next look for that.
    const served = new Set(borgs.map(({ pid }) => sessionServedBy(pid)));
    const unserved = programs.filter(({ pid }) => !served.has(pid) && !this.#served.has(pid));
    this.#served = served;
    return { ofSshd, programs, unserved, borgs };
  }
}

/**
 * Ends connections: asks each borg that serves a session, so that it releases its locks and its client is told, then the
 * session's program, then sshd's processes, and kills what is left when the time is over.
 * @returns those that could not be ended
 */
export function endConnections(connections: readonly Connection[], seconds = patience): Connection[] {
  const asking = new Asking();
  const endings = connections.map((connection) => new Ending(connection));
  for (const end = performance.now() + seconds * 1000; ; pause(lookPause)) {
    const isLate = performance.now() >= end;
    let isOver = true;
    const processes = readProcesses();
    const borgsOfServer = borgsOfThisServer();
    for (const ending of endings) {
      const { ofSshd, programs, unserved, borgs } = ending.look(processes, borgsOfServer);
      asking.ask([...borgs, ...(isLate ? programs : unserved)]);
      if (isLate || programs.length + borgs.length === 0) asking.ask(ofSshd);
      if (ofSshd.length + programs.length + borgs.length > 0) isOver = false;
    }
    if (isOver) return [];
    if (isLate) break;
  }
  for (const process of asking.left) signal(process, "SIGKILL");
  const dead = performance.now() + 1000;
  while (asking.left.length > 0 && performance.now() < dead) pause(lookPause / 5);
  return connections.filter(({ process }) => stillRuns(process));
}
