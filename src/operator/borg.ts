import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, statSync } from "node:fs";
import { constants, hostname } from "node:os";
import { codeOf } from "../failure.ts";
import { accountsServed } from "../index/read.ts";
import { asOwner, isRoot, type Owner, whileOwner } from "../owner.ts";
import { borgFile, borgHome, indexFile, repositoryFolder } from "../paths.ts";
import { exitCode, OperatorError } from "../problem.ts";
import { heading, noteProblem, passOn, say } from "../report.ts";
import { changeOwnerOfAll } from "../repositories/directory-owner.ts";
import { howToForget, knownRepositories, recordRepositories } from "../repositories/known-repositories.ts";
import { accountPaths } from "../repositories/plan.ts";
import { type Call, callRoll } from "../repositories/roll-call.ts";
import { beginLook, strangeProblem } from "../repositories/strange-entries.ts";
import { survey } from "../repositories/survey.ts";
import type { InForce } from "../server/in-force.ts";
import { forAll } from "./borg-words.ts";
import { wallInForce, wallOf, wallVariable } from "./confined.ts";
import { homeOf, reachOf, repositoryToBegin } from "./reach.ts";

/**
 * Runs a borg command as the owner of the repositories, never as root. The word `all` in place of the repository runs it
 * for every one, one after the other; a signal ends the run.
 * Each process is confined to the repository that it works on, as that one's sessions are (reach.ts, confined.ts).
 * @returns the exit code; of several runs the worst
 */
export async function runBorg(words: readonly string[], inForce: InForce): Promise<number> {
  const { owner } = inForce.settings;
  const walled = wallInForce(inForce);
  const wordsFor = forAll(words);
  // For one repository this process becomes borg: signals and the terminal are then borg's own.
  if (!wordsFor) {
    const { command, environment } = borgAs(words, inForce, walled);
    becomeBorg(command, environment);
    return exitCode.failed; // never reached
  }

  const calls = callRepositories(owner);
  // Whoever reads JSON wants nothing between one repository's and the next.
  const isJson = words.some((word) => word === "--json" || word === "--json-lines");
  let child: ChildProcess | undefined;
  let signal: NodeJS.Signals | undefined;
  for (const each of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
    process.on(each, () => {
      signal = each;
      if (each !== "SIGINT") child?.kill(each); // a terminal sends SIGINT to borg as well
    });
  let worst = 0;
  for (const { path, problem, fails } of calls) {
    if (!problem || fails) (isJson ? heading : say)(`${path}:`);
    if (problem) {
      noteProblem(problem);
      if (fails) worst = Math.max(worst, borgsError);
      continue;
    }
    const look = beginLook([path], owner);
    const { command, environment } = borgAs(wordsFor(path), inForce, walled);
    const [program = "", ...rest] = command;
    child = spawn(program, rest, { stdio: ["inherit", "pipe", "pipe"], env: environment });
    const ended = once(child, "close") as Promise<[number | null, NodeJS.Signals | null]>;
    const [[code, endedBy]] = await Promise.all([
      ended,
      child.stdout && passOn(child.stdout, 1),
      child.stderr && passOn(child.stderr, 2),
    ]);
    for (const strange of (await look.end()).found) noteProblem(strangeProblem(strange));
    signal ??= endedBy ?? undefined;
    if (signal) return 128 + constants.signals[signal];
    worst = Math.max(worst, code ?? 1);
  }
  if (calls.every(({ problem, fails }) => problem && !fails))
    throw new OperatorError(`there is no repository under ${repositoryFolder} yet`);
  return worst;
}

/** borg's exit code for an error; its 1 is a warning (borg(1), return codes). */
const borgsError = 2;

/** What a command on all repositories is run for, or has to report. */
function callRepositories(owner: Owner): Call[] {
  const found = survey(repositoryFolder, owner);
  const known = knownRepositories(repositoryFolder, owner);
  recordRepositories(found, known, owner);
  return callRoll(found, accountPaths(accountsServed(indexFile)), known, howToForget);
}

function becomeBorg([program = "", ...words]: string[], environment: NodeJS.ProcessEnv): void {
  if (!process.execve) throw new Error("this runtime has no execve(2)");
  process.execve(program, [program, ...words], environment);
}

/** The words of one borg process, as the owner, and its environment, which confines it. */
function borgAs(
  words: readonly string[],
  { settings: { owner }, isServing }: InForce,
  walled: boolean,
): { command: string[]; environment: NodeJS.ProcessEnv } {
  const root = isRoot();
  if (root) {
    mkdirSync(borgHome, { recursive: true, mode: 0o700 });
    const { uid, gid } = statSync(borgHome);
    if (uid !== owner.uid || gid !== owner.gid) changeOwnerOfAll(borgHome, owner);
  }
  return whileOwner(owner, () => {
    const surroundings = { environment: process.env, folder: folderHere(), exists: existsSync };
    // Only something that exists can be confined to, and borg begins in an empty directory as well as in none.
    const toBegin = repositoryToBegin(words, surroundings);
    if (toBegin) makeFolder(toBegin);
    const reach = reachOf(words, surroundings);
    const own = homeOf(reach, borgHome);
    const home = makeFolder(own) ? own : borgHome;
    const command = [borgFile, ...words];
    return {
      command: root ? asOwner(owner, command) : command,
      environment: environmentOf(isServing, home, walled ? wallOf(reach, home) : null),
    };
  });
}

/** The folder that this was started in, if it still exists. */
function folderHere(): string {
  try {
    return process.cwd();
  } catch {
    return "/";
  }
}

/** Makes a folder. @returns whether there is something of that name now; if it is not a folder, borg says so */
function makeFolder(path: string): boolean {
  try {
    mkdirSync(path, { recursive: path.startsWith(borgHome), mode: 0o700 });
    return true;
  } catch (error) {
    return codeOf(error) === "EEXIST";
  }
}

/**
 * The environment of a borg that an operator runs.
 * @param wall what it is confined to; null where nothing confines it
 */
export function environmentOf(isServing: boolean, home: string, wall: string | null): NodeJS.ProcessEnv {
  // borg clears the lock of a process that has ended, but only under its own host id. In the server's container that is
  // the sessions' (libexec/resident.py). Elsewhere their processes cannot be seen, and would all seem to have ended.
  const elsewhere = `${hostname()}-${process.pid}-${Date.now()}`;
  const { [wallVariable]: _, ...given } = process.env; // what confines it is not the caller's to say
  return {
    // borg asks before it opens a repository that it does not know, or knows from another place; these are all the server's own.
    BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK: "yes",
    BORG_RELOCATED_REPO_ACCESS_IS_OK: "yes",
    TMPDIR: home, // the only other place that it can write to
    // Who made an archive: only root can look up the name of the owner's id.
    LOGNAME: "borg",
    ...given,
    HOME: home,
    BORG_HOST_ID: isServing ? hostname() : elsewhere,
    ...(wall !== null && { [wallVariable]: wall }),
  };
}
