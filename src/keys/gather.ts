import type { Problem } from "../problem.ts";
import { whileShowing } from "../report.ts";
import type { Role } from "../role.ts";
import { borgAccount, borgName, type Settings } from "../server/settings.ts";
import { nameProblem } from "./account.ts";
import { type FoundAccount, type PublishedFiles, readKeyFolder, type Trust } from "./key-folder.ts";
import { refusedBySshKeygen } from "./ssh-keygen.ts";

/** All that an index says. */
export interface IndexContent {
  settings: Settings;
  accounts: FoundAccount[];
}

/**
 * What the index is to say: the accounts of the key folder and of BORG_SSHKEYS, checked one by one, against
 * each other, and against the names that the system has already. Publish it only where there are no problems.
 */
export function gatherContent(
  folder: string,
  settings: Settings,
  systemNames: ReadonlySet<string>,
  published: PublishedFiles = new Map(),
  trust: Trust = "stat",
): { content: IndexContent; missing: Role[]; skipped: string[]; problems: Problem[] } {
  process.env.TZ = settings.timeZone; // key-options.ts reads local times
  const read = readKeyFolder(folder, published, trust);
  const borg = borgAccount(settings).account;
  const accounts = borg ? [...read.accounts, borg] : read.accounts;
  const problems = [
    ...read.problems,
    ...nameClashes(read.accounts, systemNames),
    ...unreadableKeys(accounts),
  ];
  return { content: { settings, accounts }, missing: read.missing, skipped: read.skipped, problems };
}

function nameClashes(accounts: readonly FoundAccount[], systemNames: ReadonlySet<string>): Problem[] {
  const problems: Problem[] = [];
  const first = new Map<string, FoundAccount>();
  for (const account of accounts) {
    const { name, source } = account;
    if (nameProblem(name)) continue; // which is named already
    const anyCase = name.toLowerCase();
    const other = first.get(anyCase);
    if (systemNames.has(name))
      problems.push({
        where: source,
        text: `"${name}" is an account of the system.`,
        hint: "Give the file another name.",
      });
    else if (anyCase === borgName)
      problems.push({
        where: source,
        text: `The name differs from "${borgName}", the account of BORG_SSHKEYS, by case alone.`,
        hint: "Give the file another name.",
      });
    else if (other && other.name !== name)
      problems.push({
        where: source,
        text: `The name differs from that of ${other.source} by case alone: where storage does not tell the two apart, they would be one directory.`,
        hint: "Give one of the two files another name.",
      });
    else if (other)
      problems.push({
        where: source,
        text: `An account has one role, but ${other.source} exists too.`,
        hint: "Remove one of the two files.",
      });
    else first.set(anyCase, account);
  }
  return problems;
}

function unreadableKeys(accounts: readonly FoundAccount[]): Problem[] {
  const keys = accounts.flatMap(({ source, keys }) => (keys ?? []).map((key) => ({ ...key, source })));
  const refused = whileShowing(`ssh-keygen reads ${keys.length} keys`, keys.length, () =>
    refusedBySshKeygen(keys),
  );
  return refused.map(({ source, line }) => ({
    where: source,
    line,
    text: "OpenSSH cannot read this key.",
    hint: "Copy the line from the client's .pub file again.",
  }));
}
