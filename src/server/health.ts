import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { whyUnknown } from "../accounts/published-accounts.ts";
import { doorFolder, programFile, sessionFile } from "../paths.ts";
import { pause } from "../pause.ts";
import { runningSshd } from "../sessions/sshd-process.ts";
import { unsafePart } from "./login-program.ts";

/**
 * Could a login be answered now? This is found out without a connection, because sshd counts each that does not log in,
 * and writes lines about it into the log.
 * @returns why not, or null
 */
export function health(): string | null {
  const sshd = runningSshd();
  if (!sshd) return "sshd does not listen";
  if (/^[Tt]$/.test(sshd.state)) return "sshd does not accept connections";
  return socketsProblem(sshd.pid) ?? placesProblem(sshd.pid) ?? answerProblem() ?? sessionProblem();
}

/** How often the queue is looked at, and the pause between, in milliseconds. */
const looks = 20;
const lookPause = 100;

/** sshd must listen, and accept what waits for it. A connection may wait for a moment when many clients come at once. */
function socketsProblem(sshd: number): string | null {
  for (let look = 0; look < looks; look++) {
    const waiting = listeningSockets(sshd);
    if (waiting.length === 0) return "sshd does not listen";
    if (waiting.every((count) => count === 0)) return null;
    pause(lookPause);
  }
  return "sshd does not accept connections";
}

/**
 * For each socket that the process listens on, the number of connections that it has not accepted. proc_pid_net(5): state
 * 0A is LISTEN, then the second half of the queues is that number, in hexadecimal; the tenth field is the inode, which is
 * also in the links of /proc/PID/fd.
 */
function listeningSockets(pid: number): number[] {
  const inodes = new Set<string>();
  for (const file of readdirSync(`/proc/${pid}/fd`)) {
    try {
      const inode = /^socket:\[([0-9]+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${file}`))?.[1];
      if (inode) inodes.add(inode);
    } catch {} // closed meanwhile
  }
  return ["tcp", "tcp6"].flatMap((table) =>
    readLines(`/proc/${pid}/net/${table}`)
      .map((line) => line.trim().split(/ +/))
      .filter((fields) => fields[3] === "0A" && inodes.has(fields[9]!))
      .map((fields) => Number.parseInt(fields[4]!.split(":")[1]!, 16)),
  );
}

function readLines(path: string): string[] {
  try {
    return readFileSync(path, "latin1").split("\n");
  } catch {
    return []; // a kernel without IPv6
  }
}

/**
 * sshd's title shows how many clients have not logged in yet, from how many on it turns some away, and from how many on
 * all (MaxStartups in sshd_config(5); server_accept_loop in sshd.c).
 */
function placesProblem(sshd: number): string | null {
  const title = readFileSync(`/proc/${sshd}/cmdline`, "latin1");
  const [, taken, begin, all] = / \[listener\] ([0-9]+) of ([0-9]+)-([0-9]+) startups/.exec(title) ?? [];
  if (Number(taken) >= Number(begin))
    return `sshd turns connections away: ${taken} of the ${all} places for clients that have not logged in are taken`;
  return null;
}

/** Asks what sshd asks, as its account, about a key that nobody has. */
function answerProblem(): string | null {
  const unsafe = unsafePart(programFile);
  if (unsafe)
    return `every login is denied, because sshd does not run ${programFile}: ${unsafe.text}. ${unsafe.hint}`;
  const question = ["authorized-keys", "borg", `SHA256:${"0".repeat(43)}`];
  const { status, stderr } = spawnSync(
    "setpriv",
    ["--reuid", "borgkeys", "--regid", "borgkeys", "--clear-groups", programFile, ...question],
    { encoding: "utf8" },
  );
  if (status !== 0) return `${stderr}the index cannot answer`;
  const unknown = whyUnknown();
  return unknown && `every login is denied: ${unknown.text}. ${unknown.hint}`;
}

/** How long the accounts' shell may take, in milliseconds: it asks the process that serves sessions for ten seconds. */
const longestAnswer = 15_000;

/** Asks what the accounts' shell asks: whether the process that serves sessions answers (libexec/session.c). */
function sessionProblem(): string | null {
  const { status, signal, stderr, error } = spawnSync(`${doorFolder}${sessionFile}`, ["--answers"], {
    encoding: "utf8",
    stdio: ["ignore", "ignore", "pipe"],
    timeout: longestAnswer,
    killSignal: "SIGKILL",
  });
  if (status === 0) return null;
  return (
    stderr?.trim() ||
    `no session can begin: ${error?.message ?? `its program ended with ${signal ?? status}`}`
  );
}
