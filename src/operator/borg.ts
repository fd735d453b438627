import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, statSync } from "node:fs";
import { constants, hostname } from "node:os";
import { accountsServed } from "../index/read.ts";
import { asOwner, isRoot, type Owner, whileOwner } from "../owner.ts";
import { borgFile, borgHome, indexFile, repositoryFolder } from "../paths.ts";
import { exitCode, OperatorError, type Problem } from "../problem.ts";
import { heading, note, passOn, say } from "../report.ts";
import { howToForget, knownRepositories, recordRepositories } from "../repositories/known-repositories.ts";
import { accountPaths, changeOwnerOfAll } from "../repositories/repositories.ts";
import { type Call, callRoll } from "../repositories/roll-call.ts";
import { beginLook, describeStrange } from "../repositories/strange-entries.ts";
import { survey } from "../repositories/survey.ts";
import { type Landlock, roleNames, roles } from "../role.ts";
import { confinedTo, landlockInForce } from "../server/confinement.ts";
import type { Settings } from "../server/settings.ts";
import { forAll } from "./borg-words.ts";
import { homeOf, reachOf, repositoryToBegin } from "./reach.ts";

/**
 * Has borg test itself (its manual, BORG_SELFTEST): once here, so that sessions need not. A serve without a
 * client does that, says its version, and ends. As the owner, as sessions run: a borg that only root can read is none for
 * them.
 * @returns borg's version
 */
export function testBorg(owner: Owner): string {
  const { status, stderr, error } = borg(["serve", "--show-version"], {}, owner);
  const version = /borgbackup version ([0-9]\S*)/.exec(stderr)?.[1];
  if (error || status !== 0 || !version)
    throw new OperatorError(
      `borg does not start or fails its self-test: ${error?.message ?? lastLine(stderr)}`,
      "This borg cannot be trusted with backups: repair or replace it.",
    );
  return `borg ${version}`;
}

/** Extra arguments that borg serve refuses, judged by borg itself: given no client, it parses them and ends. */
export function refusedExtraArguments({ extraArguments }: Settings, owner: Owner | null): Problem[] {
  return roleNames.flatMap((role) => {
    if (extraArguments[role].length === 0) return [];
    const { status, stderr } = borg(["serve", ...extraArguments[role]], { BORG_SELFTEST: "disabled" }, owner);
    if (status === 0) return [];
    return [
      {
        where: roles[role].setting,
        text: `borg serve does not accept it: ${lastLine(stderr)}.`,
        hint: "See borg serve --help.",
      },
    ];
  });
}

/**
 * Runs a borg command as the owner of the repositories, never as root. The word `all` in the repository's place stands
 * for every one, one after the other; a signal ends the run.
 * Each process is confined to the repository that it works on, as that one's sessions are (reach.ts).
 * @param serving whether the server runs in this container
 * @returns the exit code; of several runs the worst
 */
export async function runBorg(words: readonly string[], owner: Settings, serving: boolean): Promise<number> {
  const landlock = landlockInForce(owner, serving);
  const wordsFor = forAll(words);
  // For one repository this process becomes borg: signals and the terminal are then borg's own.
  if (!wordsFor) {
    const { command, environment } = borgAs(owner, words, serving, landlock);
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
      note(`${path} ${problem}`);
      if (fails) worst = Math.max(worst, borgsError);
      continue;
    }
    const look = beginLook([path], owner);
    const { command, environment } = borgAs(owner, wordsFor(path), serving, landlock);
    const [program = "", ...rest] = command;
    child = spawn(program, rest, { stdio: ["inherit", "pipe", "pipe"], env: environment });
    const ended = once(child, "close") as Promise<[number | null, NodeJS.Signals | null]>;
    const [[code, endedBy]] = await Promise.all([
      ended,
      child.stdout && passOn(child.stdout, 1),
      child.stderr && passOn(child.stderr, 2),
    ]);
    for (const strange of (await look.end()).found) note(describeStrange(strange));
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

/** What a command on all repositories is run for, or has to name. */
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

/** The words of one borg process, as the owner and confined, and its environment. */
function borgAs(
  owner: Owner,
  words: readonly string[],
  serving: boolean,
  landlock: Landlock,
): { command: string[]; environment: NodeJS.ProcessEnv } {
  const root = isRoot();
  if (root) {
    mkdirSync(borgHome, { recursive: true, mode: 0o700 });
    const { uid, gid } = statSync(borgHome);
    if (uid !== owner.uid || gid !== owner.gid) changeOwnerOfAll(borgHome, owner);
  }
  return whileOwner(owner, () => {
    const surroundings = { environment: process.env, folder: folderHere(), exists: existsSync };
    // A wall can be built around what is there alone, and borg begins in an empty directory as well as in none.
    const toBegin = repositoryToBegin(words, surroundings);
    if (toBegin) makeFolder(toBegin);
    const reach = reachOf(words, surroundings);
    const own = homeOf(reach, borgHome);
    const home = makeFolder(own) ? own : borgHome;
    const confined = confinedTo(landlock, reach, home, [borgFile, ...words]);
    return {
      command: root ? asOwner(owner, confined) : confined,
      environment: environmentOf(serving, home),
    };
  });
}

/** The folder that this was started in, if there is one still. */
function folderHere(): string {
  try {
    return process.cwd();
  } catch {
    return "/";
  }
}

/** Whether there is a folder of that name now. What is wrong with the place is borg's to say. */
function makeFolder(path: string): boolean {
  try {
    mkdirSync(path, { recursive: path.startsWith(borgHome), mode: 0o700 });
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EEXIST";
  }
}

function environmentOf(serving: boolean, home: string): NodeJS.ProcessEnv {
  // borg clears the lock of a process that is gone, but only under its own host id. In the server's container
  // that is the sessions' (scripts/session). Elsewhere their processes cannot be seen and would all seem gone.
  const elsewhere = `${hostname()}-${process.pid}-${Date.now()}`;
  return {
    // borg asks before it opens a repository that it does not know, or knows from another place; these are all the server's own.
    BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK: "yes",
    BORG_RELOCATED_REPO_ACCESS_IS_OK: "yes",
    TMPDIR: home, // the one place beside the repository that it can write to
    ...process.env,
    HOME: home,
    BORG_HOST_ID: serving ? hostname() : elsewhere,
  };
}

/** Runs borg to its end, as the owner where there is one. That it was killed says nothing about it. */
function borg(words: string[], environment: Record<string, string>, owner: Owner | null) {
  const [program = "", ...rest] = owner ? asOwner(owner, [borgFile, ...words]) : [borgFile, ...words];
  const result = spawnSync(program, rest, {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
    env: { PATH: process.env.PATH, ...environment },
  });
  if (result.signal)
    throw new OperatorError(
      `borg was ended by ${result.signal} when it was tried out`,
      result.signal === "SIGKILL"
        ? "The kernel does so where memory is short: let the container have more of it."
        : "Start the container again.",
    );
  return result;
}

/** Where a Python program says what was wrong. */
const lastLine = (text: string) => text.trim().split("\n").at(-1) ?? "";
