import { mkdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { readAccountFiles } from "../accounts/account-files.ts";
import { ownIds, systemNames } from "../accounts/account-plan.ts";
import { gatherContent, type IndexContent } from "../keys/gather.ts";
import { fingerprintOf } from "../keys/public-key.ts";
import { refusedExtraArguments, testBorg } from "../operator/borg.ts";
import { hostKeyCopies, hostKeyFolder, keyFolder, lockFile, runFolder } from "../paths.ts";
import { exitCode, type Problem, ProblemsFound } from "../problem.ts";
import { note } from "../report.ts";
import { describeForeignLocks, removeStaleLocks } from "../repositories/stale-locks.ts";
import { beginLook, describeStrange, lookInBackground } from "../repositories/strange-entries.ts";
import { roleNames, roles } from "../role.ts";
import { makeConnectionFolder } from "../sessions/connections.ts";
import { formatIds, hasId, idMap } from "../user-namespace.ts";
import { probeLandlock } from "./confinement.ts";
import { type HostKey, makeMissingHostKeys, readHostKeys } from "./host-keys.ts";
import { withLock } from "./lock.ts";
import { lostFolders, publish, summary } from "./rebuild.ts";
import { checkRequirements } from "./requirements.ts";
import { type Environment, readSettings, type Settings } from "./settings.ts";
import { settingsOfStart, storeSettings } from "./settings-in-force.ts";
import { readOpensshVersion, writeSshdConfig } from "./sshd.ts";
import { isInZoneDatabase } from "./time-zone.ts";
import { applyUpdate, printOwners, strangeRemarks } from "./update.ts";

/**
 * Everything between the start of the container and the start of sshd, and what it tells the operator.
 * @param sshdOptions what sshd will be started with beside its configuration
 */
export async function prepareStart(environment: Environment, sshdOptions: readonly string[]): Promise<void> {
  const warnings = checkRequirements();
  mkdirSync(runFolder, { recursive: true });
  const openssh = readOpensshVersion();
  const { borg, content, keys, hostKeys, unconfined, update, locks } = withLock(lockFile, () => {
    const checked = checkEverything(environment);
    const keys = publish(checked.content);
    const update = applyUpdate(checked.content, true);
    const locks = removeStaleLocks(update.locked, checked.content.settings);
    rmSync(hostKeyCopies, { recursive: true, force: true });
    renameSync(`${hostKeyCopies}.new`, hostKeyCopies);
    writeSshdConfig(checked.hostKeys, checked.content.settings.logLevel, openssh.version, sshdOptions);
    makeConnectionFolder();
    storeSettings(checked.content.settings);
    return { ...checked, keys, update, locks };
  });

  const { settings, accounts } = content;
  note(`${borg}, ${openssh.name}`);
  note(`serving ${summary(content, keys)}; repositories belong to ${settings.uid}:${settings.gid}`);
  if (accounts.length === 0)
    note(
      `no keys yet: put public keys into ${keyFolder}/repos and run update-borgusers, or set BORG_SSHKEYS`,
    );
  if (settings.landlock === 0)
    note(`sessions are not confined by the kernel (${unconfined}); borg alone restricts them`);
  else note(`sessions are confined by the kernel (Landlock)${unconfined && `, but ${unconfined}`}`);
  for (const { publicKey } of hostKeys) {
    const [type, blob = ""] = publicKey.split(" ");
    note(`host key ${fingerprintOf(blob)} (${type})`);
  }
  for (const line of fewOf(printOwners(update.repositories))) note(line);
  const held = describeForeignLocks(locks, new Date());
  if (held) note(held);
  for (const remark of [...warnings, ...update.failures, ...update.remarks]) warn(remark);
  const strange = await strangeRemarks(update, settings, patience);
  if (strange) strange.forEach(warn);
  else lookInBackground([...update.ours]);
}

/** What the process does that a start leaves behind where there is much to look at. */
export async function reportStrangeEntries(): Promise<void> {
  const owner = settingsOfStart();
  if (!owner) return;
  const paths = readFileSync(0, "utf8").split("\0").filter(Boolean);
  for (const found of (await beginLook(paths, owner).end()).found) warn(describeStrange(found));
}

const warn = (line: string) => note(`WARNING: ${line}`);

/** How long the start itself looks into repositories, in milliseconds: clients wait for it. */
const patience = 25;

/** How many lines of one kind a start's log gets: a new owner may be that of a hundred thousand repositories. */
const mostLines = 20;

const fewOf = (lines: readonly string[]) =>
  lines.length <= mostLines
    ? lines
    : [...lines.slice(0, mostLines), `and ${lines.length - mostLines} more like that`];

/**
 * Finds all problems of the settings, the key folder and the host keys before it throws them, and before
 * anything is changed but for host keys and folders that were missing.
 */
function checkEverything(environment: Environment): {
  /** "borg" and its version. */
  borg: string;
  content: IndexContent;
  hostKeys: HostKey[];
  /** Why sessions are not confined, or not fully; empty where they are. */
  unconfined: string;
} {
  const files = readAccountFiles();
  const { settings, problems } = readSettings(environment, ownIds(files), isInZoneDatabase);
  problems.push(...missingOwner(settings));
  const known = new Set(problems.map(({ where }) => where));
  // An owner that cannot be can run nothing.
  const owner = known.has("PUID") || known.has("PGID") ? null : settings;
  const borg = owner ? testBorg(owner) : "";
  problems.push(...refusedExtraArguments(settings, owner).filter(({ where }) => !known.has(where)));

  let unconfined = "BORG_SANDBOX=off";
  if (settings.sandbox !== "off" && problems.length === 0) {
    const probe = probeLandlock(settings);
    settings.landlock = probe.landlock;
    unconfined = probe.reason;
    if (settings.sandbox === "require" && unconfined !== "")
      problems.push({
        where: "BORG_SANDBOX",
        text: `Sessions cannot be fully confined by the kernel here: ${unconfined}.`,
        hint: "Use a kernel with Landlock (6.2 or later) and the image as it is, or set it to auto.",
      });
  }

  const { content, missing, problems: keyProblems } = gatherContent(keyFolder, settings, systemNames(files));
  const lost = lostFolders(missing);
  keyProblems.push(...lost);
  // Into a mount point whose mount got lost, nothing is put.
  if (lost.length === 0) {
    makeMissingFolders();
    problems.push(...makeMissingHostKeys(hostKeyFolder));
  }
  const hostKeys = readHostKeys(hostKeyFolder, `${hostKeyCopies}.new`);
  problems.push(...hostKeys.problems);
  const all = [...problems, ...keyProblems];
  if (all.length > 0)
    throw new ProblemsFound(all, keyProblems.length > 0 ? exitCode.keyProblems : exitCode.settingProblems);
  return { borg, content, hostKeys: hostKeys.keys, unconfined };
}

/** In a user namespace there may be no such id, and nothing could be given to it. */
function missingOwner({ uid, gid }: Settings): Problem[] {
  return (
    [
      ["PUID", "uid", uid],
      ["PGID", "gid", gid],
    ] as const
  )
    .filter(([, kind, id]) => Number.isInteger(id) && !hasId(idMap(kind), id))
    .map(([where, kind, id]) => ({
      where,
      text: `This container has no id ${id}: its user namespace has ${formatIds(idMap(kind))}.`,
      hint: `Set ${where} to one of those, or give the container more ids.`,
    }));
}

/** So that operators see where keys go; where the mount is read-only they know already. */
function makeMissingFolders(): void {
  try {
    for (const role of roleNames) mkdirSync(`${keyFolder}/${roles[role].folder}`, { recursive: true });
  } catch {}
}
