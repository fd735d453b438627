import { chmodSync, mkdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { hostname } from "node:os";
import { fingerprintOf } from "../keys/public-key.ts";
import type { Owner } from "../owner.ts";
import { hostKeyCopies, hostKeyFolder, keyFolder, lockFile, runFolder } from "../paths.ts";
import { exitCode, type Problem, ProblemsFound } from "../problem.ts";
import { fewOf, note, noteProblem, showProgress } from "../report.ts";
import { nodesSeen, runningNodes } from "../repositories/nodes.ts";
import { ownerLines } from "../repositories/plan.ts";
import { foreignLocks, removeStaleLocks } from "../repositories/stale-locks.ts";
import {
  beginLook,
  lookInBackground,
  strangeProblem,
  strangeProblems,
} from "../repositories/strange-entries.ts";
import { roleNames, roles } from "../role.ts";
import { makeConnectionFolder } from "../sessions/connections.ts";
import { formatIds, hasId, idMap } from "../user-namespace.ts";
import { keepNotify, readNotify } from "./addresses.ts";
import { proveGuard, refusedExtraArguments, testBorg } from "./borg-check.ts";
import { probeConfinement } from "./confinement.ts";
import { makeDoor } from "./door.ts";
import { copyHostKeys, type HostKey, makeMissingHostKeys } from "./host-keys.ts";
import { randomName, requireUsableHostName } from "./host-name.ts";
import { inForceSinceStart, keepInForce, readAll } from "./in-force.ts";
import { apply, type Checked, check, type Plan, plan, summary } from "./in-step.ts";
import { withLock } from "./lock.ts";
import { clashes } from "./other-servers.ts";
import { checkRequirements, requireKnownAccounts } from "./requirements.ts";
import { type Environment, isOpenToOthers } from "./settings.ts";
import { readOpensshVersion, writeSshdConfig } from "./sshd.ts";

/**
 * Does everything between the start of the container and that of sshd, and reports it.
 * @param sshdOptions options that sshd will be started with, besides its configuration
 */
export async function prepareStart(environment: Environment, sshdOptions: readonly string[]): Promise<void> {
  const name = hostname();
  requireUsableHostName(name);
  const warnings = checkRequirements();
  mkdirSync(runFolder, { recursive: true });
  // Accounts reach the socket in it that they are served by. Whatever the umask is.
  chmodSync(runFolder, 0o711);
  const openssh = readOpensshVersion();
  const { borg, checked, hostKeys, unconfined, planned, done, locks } = withLock(lockFile, () => {
    const found = checkEverything(environment);
    const { settings } = found.checked.inForce;
    const planned = plan(found.checked, "nothing", showProgress);
    const done = apply(planned, showProgress);
    requireKnownAccounts();
    const locks = removeStaleLocks(lockedOf(planned), settings.owner);
    rmSync(hostKeyCopies, { recursive: true, force: true });
    renameSync(`${hostKeyCopies}.new`, hostKeyCopies);
    writeSshdConfig(found.hostKeys, settings.logLevel, openssh.version, sshdOptions);
    makeConnectionFolder();
    makeDoor();
    keepInForce(found.checked.inForce);
    keepNotify(found.notify);
    return { ...found, planned, done, locks };
  });

  const { accounts } = checked;
  const { settings, walled, unguarded } = checked.inForce;
  note(`${borg}, ${openssh.name}`);
  note(
    `serving ${summary(accounts, done.keys)}; repositories belong to ${settings.owner.uid}:${settings.owner.gid}`,
  );
  if (accounts.length === 0)
    note(
      "there are no keys yet",
      `Put public keys into ${keyFolder}/repos${settings.watchEvery === null ? " and run update-borgusers" : ""}, or set BORG_SSHKEYS.`,
    );
  if (!walled) note("sessions are not confined by the kernel (BORG_SANDBOX=off); borg alone restricts them");
  else if (unconfined) note(`sessions are not fully confined by the kernel: ${unconfined}`);
  else note("sessions are confined by the kernel (Landlock)");
  if (unguarded)
    note(
      `${warning}the guard in borg serve does not hold with this borg: ${unguarded}`,
      "A client can harm another's running backup of the same repository. Install another borg 1.x.",
    );
  if (settings.statusListen && isOpenToOthers(settings.statusListen))
    note(
      `${warning}the page and the metrics at ${settings.statusListen} ask nobody for a password`,
      "Let only a proxy that does reach them, or set STATUS_LISTEN to an address such as 127.0.0.1:9100.",
    );
  for (const { publicKey } of hostKeys) {
    const [type, blob = ""] = publicKey.split(" ");
    note(`host key ${fingerprintOf(blob)} (${type})`);
  }
  for (const line of fewOf(ownerLines(done.repositories))) note(line);
  const running = new Set(runningNodes(settings.owner).map(({ name }) => name));
  for (const { text, hint } of foreignLocks(locks, running, new Date())) note(text, hint);
  const others = nodesSeen(settings.owner).filter((other) => other !== name);
  const random = randomName(name, others);
  if (random) note(random.text, random.hint);
  for (const { text, hint } of warnings) note(`${warning}${text}`, hint);
  for (const remark of [...done.failures, ...done.remarks]) warn(remark);
  const strange = await strangeProblems(planned.ours, settings.owner, patience);
  if (strange) strange.forEach(warn);
  else lookInBackground([...planned.ours]);
}

/** The work of the process that a start leaves behind if there is much to look at. */
export async function reportStrangeEntries(): Promise<void> {
  const inForce = inForceSinceStart();
  if (!inForce) return;
  const paths = readFileSync(0, "utf8").split("\0").filter(Boolean);
  for (const found of (await beginLook(paths, inForce.settings.owner).end()).found)
    warn(strangeProblem(found));
}

/** The repositories that hold a lock. */
const lockedOf = ({ survey, ours }: Plan) =>
  survey.entries.filter(({ path, isLocked }) => isLocked && ours.has(path)).map(({ path }) => path);

const warning = "WARNING: ";

const warn = (problem: Problem) => noteProblem(problem, warning);

/** How long the start itself looks into repositories, in milliseconds: clients wait for it. */
const patience = 25;

/** What a start found, and what it needs next. */
interface Found {
  /** "borg" and its version. */
  borg: string;
  checked: Checked;
  hostKeys: HostKey[];
  /** The addresses of NOTIFY. */
  notify: string[];
  /** What the wall around sessions lacks here; empty where it is complete, and where there is to be none. */
  unconfined: string;
}

/**
 * Finds all problems of the settings, the key folder and the host keys before it throws them, and before
 * anything is changed but for host keys and folders that were missing.
 */
function checkEverything(environment: Environment): Found {
  const { settings, problems } = readAll(environment);
  const notify = readNotify(environment);
  problems.push(...notify.problems);
  const known = new Set(problems.map(({ where }) => where));
  problems.push(...missingOwner(settings.owner).filter(({ where }) => !known.has(where)));
  // Nothing can run as an owner that is not valid.
  const isOwnerWrong = problems.some(({ where }) => where === "PUID" || where === "PGID");
  const owner = isOwnerWrong ? null : settings.owner;
  const borg = owner ? testBorg(owner) : "";
  problems.push(...refusedExtraArguments(settings, owner).filter(({ where }) => !known.has(where)));

  const walled = settings.sandbox !== "off";
  const { reason } = walled && problems.length === 0 ? probeConfinement(settings.owner) : { reason: "" };
  if (settings.sandbox === "require" && reason !== "")
    problems.push({
      where: "BORG_SANDBOX",
      text: `sessions cannot be fully confined by the kernel here: ${reason}`,
      hint: "Use a kernel with Landlock (5.13 or later) and the image as it is, or set it to auto.",
    });

  if (owner) problems.push(...clashes(hostname(), owner));
  const unguarded = owner ? proveGuard(owner) : "";
  const checked = check({ settings, walled, unguarded, isServing: true }, "nothing", showProgress);
  // Never write into a mount point whose mount is missing.
  if (checked.lost.length === 0) {
    makeMissingFolders();
    problems.push(...makeMissingHostKeys(hostKeyFolder));
  }
  const hostKeys = copyHostKeys(hostKeyFolder, `${hostKeyCopies}.new`);
  problems.push(...hostKeys.problems);
  const all = [...problems, ...checked.problems];
  if (all.length > 0)
    throw new ProblemsFound(
      all,
      checked.problems.length > 0 ? exitCode.keyProblems : exitCode.settingProblems,
    );
  return { borg, checked, hostKeys: hostKeys.keys, notify: notify.urls, unconfined: reason };
}

/** In a user namespace there may be no such id, so that nothing could belong to it. */
function missingOwner({ uid, gid }: Owner): Problem[] {
  return (
    [
      ["PUID", "uid", uid],
      ["PGID", "gid", gid],
    ] as const
  )
    .filter(([, kind, id]) => !hasId(idMap(kind), id))
    .map(([where, kind, id]) => ({
      where,
      text: `this container has no id ${id}: its user namespace has ${formatIds(idMap(kind))}`,
      hint: `Set ${where} to one of those, or give the container more ids.`,
    }));
}

/** So that operators see where keys go. With a read-only mount they know already. */
function makeMissingFolders(): void {
  try {
    for (const role of roleNames) mkdirSync(`${keyFolder}/${roles[role].folder}`, { recursive: true });
  } catch {}
}
