import { existsSync } from "node:fs";
import { reasonOf } from "../failure.ts";
import { compare, formatDifference } from "../index/difference.ts";
import { readIndex } from "../index/read.ts";
import type { FoundAccount } from "../keys/account.ts";
import type { Owner } from "../owner.ts";
import { indexFile, lockFile, repositoryFolder } from "../paths.ts";
import { exitCode, type Problem } from "../problem.ts";
import { note, noteProblem, say, showProgress } from "../report.ts";
import { strangeProblems } from "../repositories/strange-entries.ts";
import { accountsWithoutDirectory } from "../repositories/survey.ts";
import { type InForce, inForce } from "../server/in-force.ts";
import {
  accountLines,
  apply,
  check,
  countKeys,
  demand,
  linesOf,
  plan,
  planPublication,
  publish,
  summary,
} from "../server/in-step.ts";
import { withLock } from "../server/lock.ts";
import * as connections from "../sessions/connections.ts";
import { endRevokedConnections } from "../sessions/session-end.ts";

/** The commands that bring the server in step with its files, and those that only say what that would do. Each returns its exit code. */

export function rebuildIndex(full: boolean): number {
  const { accounts, planned, keys, owner } = withLock(lockFile, () => {
    const checked = demand(check(inForce(process.env), full ? "nothing" : "stat", showProgress));
    const planned = planPublication(checked, full ? "places" : "files");
    const keys = publish(planned, showProgress);
    return { accounts: checked.accounts, planned, keys, owner: checked.inForce.settings.owner };
  });
  say(`index: ${summary(accounts, keys)}`);
  for (const line of accountLines(planned.accounts)) say(line);
  const [first, ...others] = accountsWithoutDirectory(accounts, owner);
  if (first !== undefined)
    note(
      others.length === 0
        ? `the account ${first} has no repository directory yet`
        : `${others.length + 1} accounts, such as ${first}, have no repository directory yet`,
      "To make what is missing: update-borgusers",
    );
  return endRevoked();
}

export async function update(): Promise<number> {
  const { planned, done } = withLock(lockFile, () => {
    const planned = plan(demand(check(inForce(process.env), "content", showProgress)), "files", showProgress);
    return { planned, done: apply(planned, showProgress) };
  });
  say(`index: ${summary(planned.index.accounts, done.keys)}`);
  for (const line of linesOf(done)) say(line);
  const code = endRevoked();
  for (const each of [...done.failures, ...done.remarks, ...(await strange(planned))]) noteProblem(each);
  return done.failures.length > 0 ? exitCode.failed : code;
}

export async function dryRun(): Promise<number> {
  const planned = plan(demand(check(inForce(process.env), "nothing", showProgress)), "files", showProgress);
  const { accounts } = planned.index;
  const revoked = connections.revokedConnections(
    connections.openConnections(),
    connections.opensByAccounts(accounts),
  );
  const changes = [...linesOf(planned), ...connections.linesOf(revoked).map((line) => `${line} ended`)];
  const failures = planned.repositories.blocked;
  const remarks = [...failures, ...planned.remarks, ...(await strange(planned))];
  say(`index: ${summary(accounts, countKeys(accounts))}`);
  for (const line of changes) say(`would be: ${line}`);
  for (const remark of remarks) noteProblem(remark);
  if (changes.length + remarks.length === 0) say("accounts and repositories are in step");
  return failures.length > 0 ? exitCode.failed : exitCode.done;
}

export function checkFiles(): number {
  const { accounts, skipped, inForce: found } = demand(check(inForce(process.env), "nothing", showProgress));
  say(`no problems: ${summary(accounts, countKeys(accounts))}`);
  for (const path of skipped) say(`skipped: ${path}`);
  const difference = publishedDifference(accounts, found);
  if (difference)
    note(`the published index ${difference}`, "To publish what the files say: index rebuild --full");
  return exitCode.done;
}

/** How the published index differs from these files; null if it does not, and before a first start. */
function publishedDifference(accounts: readonly FoundAccount[], { isServing }: InForce): string | null {
  if (!existsSync(indexFile)) return isServing ? "is missing" : null;
  try {
    const difference = formatDifference(compare(accounts, readIndex(indexFile)));
    return difference && `differs from the files (${difference})`;
  } catch (error) {
    return `cannot answer: ${reasonOf(error)}`;
  }
}

/** Ends what removed keys and accounts still have open, and says so. */
function endRevoked(): number {
  const { ended, left } = endRevokedConnections();
  for (const line of connections.linesOf(ended)) say(`${line} ended`);
  for (const line of connections.linesOf(left))
    note(`${line} could not be ended`, "A restart of the container ends them all.");
  return left.length > 0 ? exitCode.failed : exitCode.done;
}

/** How long a command looks into repositories, in milliseconds. */
const patience = 2000;

async function strange({ ours, owner }: { ours: ReadonlySet<string>; owner: Owner }): Promise<Problem[]> {
  return (
    (await strangeProblems(ours, owner, patience)) ?? [
      {
        where: repositoryFolder,
        text: "there is too much in the repositories to look at all of it here",
        hint: "Commands on all look at each one's files.",
      },
    ]
  );
}
