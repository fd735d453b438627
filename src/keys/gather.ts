import type { Problem } from "../problem.ts";
import { type Progress, unseen } from "../progress.ts";
import type { Role } from "../role.ts";
import { type FoundAccount, nameProblem } from "./account.ts";
import { borgAccount, borgName } from "./borg-sshkeys.ts";
import { type Reading, readKeyFolder } from "./key-folder.ts";
import { readSettingsFolder, withSettings } from "./settings-folder.ts";
import { refusedBySshKeygen } from "./ssh-keygen.ts";

/** The accounts that the operator gave, and everything that is wrong with them. */
export interface Gathered {
  /** Serve them only if there are no problems. */
  accounts: FoundAccount[];
  /** The roles whose folders do not exist. */
  missing: Role[];
  /** Whether there is a folder of settings files. */
  hasSettings: boolean;
  /** Paths that cannot be meant as accounts. */
  skipped: string[];
  problems: Problem[];
}

/**
 * The accounts of the key folder and of BORG_SSHKEYS, checked one by one, against each other, and against the names
 * that the system has already. Problems of BORG_SSHKEYS itself belong to the settings (in-force.ts).
 * @param systemNames accounts that are not the server's own
 */
export function gatherAccounts(
  folder: string,
  borgKeys: string,
  systemNames: ReadonlySet<string>,
  reading: Reading = {},
): Gathered {
  const { progress = unseen, timeZone } = reading;
  const read = readKeyFolder(folder, reading);
  const borg = borgAccount({ borgKeys, timeZone }).account;
  const found = borg ? [...read.accounts, borg] : read.accounts;
  const settings = readSettingsFolder(folder);
  const { accounts, problems } = withSettings(folder, found, settings, reading.served);
  return {
    ...read,
    accounts,
    hasSettings: settings.exists,
    skipped: [...read.skipped, ...settings.skipped],
    problems: [
      ...read.problems,
      ...nameClashes(read.accounts, systemNames),
      ...unreadableKeys(accounts, progress),
      ...settings.problems,
      ...problems,
    ],
  };
}

function nameClashes(accounts: readonly FoundAccount[], systemNames: ReadonlySet<string>): Problem[] {
  const problems: Problem[] = [];
  const first = new Map<string, FoundAccount>();
  for (const account of accounts) {
    const { name, source } = account;
    if (nameProblem(name)) continue; // reported already
    const anyCase = name.toLowerCase();
    const other = first.get(anyCase);
    if (systemNames.has(name))
      problems.push({
        where: source,
        text: `"${name}" is an account of the system`,
        hint: "Give the file another name.",
      });
    else if (anyCase === borgName)
      problems.push({
        where: source,
        text: `the name differs from "${borgName}", the account of BORG_SSHKEYS, only by case`,
        hint: "Give the file another name.",
      });
    else if (other && other.name !== name)
      problems.push({
        where: source,
        text: `the name differs from that of ${other.source} only by case, and on some storage both would be one directory`,
        hint: "Give one of the two files another name.",
      });
    else if (other)
      problems.push({
        where: source,
        text: `an account has one role, but ${other.source} exists too`,
        hint: "Remove one of the two files.",
      });
    else first.set(anyCase, account);
  }
  return problems;
}

function unreadableKeys(accounts: readonly FoundAccount[], progress: Progress): Problem[] {
  const keys = accounts.flatMap(({ source, keys }) => (keys ?? []).map((key) => ({ ...key, source })));
  const step = "ssh-keygen reads the keys";
  progress(step, 0, keys.length);
  const refused = refusedBySshKeygen(keys);
  progress(step, keys.length, keys.length);
  return refused.map(({ source, line }) => ({
    where: source,
    line,
    text: "OpenSSH cannot read this key",
    hint: "Copy the line from the client's .pub file again.",
  }));
}
