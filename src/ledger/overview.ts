import { readdirSync, statSync } from "node:fs";
import { codeOf } from "../failure.ts";
import { type Opening, repositoryOf } from "../keys/account.ts";
import { asRootOrOwner, type Owner } from "../owner.ts";
import { repositoryFolder } from "../paths.ts";
import { knownRepositories } from "../repositories/known-repositories.ts";
import { parseLockName } from "../repositories/locks.ts";
import type { History, Ledger } from "./ledger.ts";
import { type OpenSession, openSessions } from "./records.ts";
import { type Expectation, type Status, statusOf } from "./status.ts";

/**
 * The repositories that accounts open, and those that were there once, which an admin may have made, by name.
 * @param accounts those that are served
 */
export function expectations(accounts: readonly Opening[], owner: Owner): Expectation[] {
  const found = new Map<string, Expectation>();
  const expect = (repository: string) => {
    const known = found.get(repository);
    if (known) return known;
    const made: Expectation = {
      ...{ repository, accounts: [], quota: null, lateAfter: null, archived: false },
    };
    found.set(repository, made);
    return made;
  };
  for (const account of accounts) {
    const repository = repositoryOf(account);
    if (repository === null) continue;
    const each = expect(repository);
    const { quota = null, lateAfter, archived } = account.settings ?? {};
    each.accounts.push(account.name);
    // Where several accounts open it, the strictest counts. A restoring one never writes, so its quota stops nobody.
    if (quota !== null && account.role !== "restore") each.quota = Math.min(quota, each.quota ?? quota);
    if (lateAfter !== undefined)
      each.lateAfter = Math.min(lateAfter * 1000, each.lateAfter ?? Number.POSITIVE_INFINITY);
    each.archived ||= archived === true;
  }
  for (const path of knownRepositories(repositoryFolder, owner))
    expect(path.slice(repositoryFolder.length + 1));
  return [...found.values()].sort((a, b) => (a.repository < b.repository ? -1 : 1));
}

/**
 * What is known of these repositories.
 * @param ledger null if there is none yet
 * @param now in milliseconds since 1970
 */
export function statusesOf(
  expected: readonly Expectation[],
  ledger: Ledger | null,
  owner: Owner,
  now: number,
): Status[] {
  // A client asks for one, of ten thousand.
  const few = expected.length < 1000 ? expected.map(({ repository }) => repository) : undefined;
  const states = ledger?.states(few);
  const histories = ledger?.histories(few);
  const sessions = openSessions(owner).map((session) => ({
    ...session,
    exclusive: holdsLock(session, owner),
  }));
  const open = Map.groupBy(sessions, ({ repository }) => repository);
  return expected.map((each) => {
    const { repository } = each;
    const history = histories?.get(repository);
    const made = isNeverBackedUp(each, history) ? madeAt(repository, owner) : null;
    return statusOf(each, states?.get(repository), history, open.get(repository) ?? [], made, now);
  });
}

/**
 * Whether a session holds the exclusive lock that it took. One whose server died says so until that server is back, also
 * where somebody has broken its lock.
 */
function holdsLock({ exclusive, node, pid, repository }: OpenSession, owner: Owner): boolean {
  if (!exclusive || repository === null) return false;
  try {
    const names = asRootOrOwner(owner, () => readdirSync(`${repositoryFolder}/${repository}/lock.exclusive`));
    return names.map(parseLockName).some((lock) => lock?.host === node && lock.pid === pid);
  } catch (error) {
    return codeOf(error) !== "ENOENT";
  }
}

/** Whether it is the age of its directory that makes it late. Others' are not touched: disks may sleep. */
const isNeverBackedUp = ({ lateAfter }: Expectation, history: History | undefined) =>
  lateAfter !== null && (history?.lastBackup ?? null) === null;

/** When a repository's directory was made; null where the storage does not say (statx(2)). */
function madeAt(repository: string, owner: Owner): number | null {
  try {
    return asRootOrOwner(owner, () => statSync(`${repositoryFolder}/${repository}`)).birthtimeMs || null;
  } catch {
    return null;
  }
}
