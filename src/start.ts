import { mkdirSync } from "node:fs";
import { readAccountFiles } from "./account-files.ts";
import { reservedIds, systemNames } from "./account-plan.ts";
import { refusedExtraArguments, testBorg } from "./borg.ts";
import { makeMissingHostKeys, readHostKeys } from "./host-keys.ts";
import { gatherContent } from "./index-content.ts";
import { withLock } from "./lock.ts";
import { hostKeyFolder, keyFolder, lockFile, runFolder } from "./paths.ts";
import { publish, summary } from "./rebuild.ts";
import { exitCode, note, ProblemsFound } from "./report.ts";
import { roleNames, roles } from "./role.ts";
import { type Environment, readSettings } from "./settings.ts";
import { fingerprintOf } from "./ssh-keygen.ts";
import { opensshVersion, writeSshdConfig } from "./sshd.ts";
import { applyUpdate } from "./update.ts";

/**
 * Everything between the start of the container and the start of sshd. Problems in the settings, the key
 * folder and the host keys are found all before any of them is thrown, and before anything is changed but
 * for host keys and folders that were missing.
 */
export function prepareStart(environment: Environment): void {
  const files = readAccountFiles();
  const { settings, problems } = readSettings(environment, reservedIds(files));
  const known = new Set(problems.map(({ where }) => where));
  problems.push(...refusedExtraArguments(settings).filter(({ where }) => !known.has(where)));

  makeMissingFolders();
  problems.push(...makeMissingHostKeys(hostKeyFolder));
  const hostKeys = readHostKeys(hostKeyFolder, `${runFolder}/host-keys`);
  problems.push(...hostKeys.problems);

  const { content, problems: keyProblems } = gatherContent(keyFolder, settings, systemNames(files));
  const all = [...problems, ...keyProblems];
  if (all.length > 0)
    throw new ProblemsFound(all, keyProblems.length > 0 ? exitCode.keyProblems : exitCode.settingProblems);

  const borg = testBorg();
  const { failures } = withLock(lockFile, () => {
    publish(content);
    return applyUpdate(content);
  });
  writeSshdConfig(hostKeys.keys, settings.logLevel);

  note(`${borg}, ${opensshVersion().name}`);
  note(`serving ${summary(content)}; repositories belong to ${settings.uid}:${settings.gid}`);
  if (content.accounts.length === 0)
    note(
      `no keys yet: put public keys into ${keyFolder}/repos and run update-borgusers, or set BORG_SSHKEYS`,
    );
  note(
    `sessions are not confined by the kernel (${settings.sandbox === "off" ? "BORG_SANDBOX=off" : "this version cannot"}); borg alone restricts them`,
  );
  for (const { publicKey } of hostKeys.keys)
    note(`host key ${fingerprintOf(publicKey)} (${publicKey.split(" ")[0]})`);
  for (const failure of failures) note(`WARNING: ${failure}`);
}

/** So that operators see where keys go; where the mount is read-only they know already. */
function makeMissingFolders(): void {
  try {
    for (const role of roleNames) mkdirSync(`${keyFolder}/${roles[role].folder}`, { recursive: true });
  } catch {}
}
