import { isatty } from "node:tty";
import { reasonOf } from "../failure.ts";
import { accountsServed } from "../index/read.ts";
import { repositoryOf } from "../keys/account.ts";
import { Ledger, type LedgerSession } from "../ledger/ledger.ts";
import { expectations, statusesOf } from "../ledger/overview.ts";
import { sessionWords } from "../ledger/session-words.ts";
import {
  type Expectation,
  findingsOf,
  isoTime,
  type Status,
  sizeText,
  statusAsJson,
  statusTable,
} from "../ledger/status.ts";
import { isRoot, type Owner } from "../owner.ts";
import { indexFile, ledgerFile } from "../paths.ts";
import { exitCode, OperatorError } from "../problem.ts";
import { note, say, sayJson, sayText } from "../report.ts";
import { inForce } from "../server/in-force.ts";

/** How a status is shown. */
export interface Shown {
  json?: boolean;
  /** One line for each finding, and an exit code that says whether there is one. */
  check?: boolean;
}

/** Prints the state of repositories: of these, or of all. @returns the exit code */
export function status(names: readonly string[], shown: Shown): number {
  const { owner } = inForce(process.env).settings;
  const accounts = accountsServed(indexFile);
  const expected = expectations(accounts, owner);
  return show(chosen(names, expected), owner, shown);
}

/** Prints the state of what an account opens, to its client. @returns the exit code */
export function ownStatus(name: string, shown: Shown): number {
  const { owner } = inForce(process.env).settings;
  const accounts = accountsServed(indexFile);
  const account = accounts.find((each) => each.name === name);
  if (!account) throw new OperatorError("this account is not served any more");
  const all = expectations(accounts, owner);
  const repository = repositoryOf(account);
  const own = repository === null ? all : all.filter((each) => each.repository === repository);
  // Who else opens it is not said to a client.
  return show(repository === null ? own : own.map((each) => ({ ...each, accounts: [name] })), owner, shown);
}

function show(expected: readonly Expectation[], owner: Owner, { json, check }: Shown): number {
  const now = Date.now();
  const all = statuses(expected, owner, now);
  const findings = all.flatMap(findingsOf);
  if (json) sayJson(all.map(statusAsJson));
  else if (check) for (const finding of findings) say(finding);
  else if (all.length === 0) note("there are no repositories");
  else for (const line of statusTable(all, now, isatty(1))) sayText(1, `${line}\n`);
  return check && findings.length > 0 ? exitCode.attention : exitCode.done;
}

function statuses(expected: readonly Expectation[], owner: Owner, now: number): Status[] {
  const ledger = openLedger();
  try {
    return statusesOf(expected, ledger, owner, now);
  } finally {
    ledger?.close();
  }
}

function chosen(names: readonly string[], all: readonly Expectation[]): Expectation[] {
  if (names.length === 0) return [...all];
  const known = new Map(all.map((each) => [each.repository, each]));
  return names.map((name) => {
    const found = known.get(name);
    if (found) return found;
    throw new OperatorError(`there is no repository "${name}"`, "To see all: status", exitCode.usage);
  });
}

/** Prints what sessions did, the newest first. @returns the exit code */
export function sessions(
  names: readonly string[],
  { json, limit }: { json?: boolean; limit: number },
): number {
  const ledger = openLedger();
  const found = ledger?.sessions(names, limit) ?? [];
  ledger?.close();
  if (json) sayJson(found.map(sessionAsJson));
  else if (found.length === 0) note("no session is known yet");
  else for (const session of found) say(sessionLine(session));
  return exitCode.done;
}

function sessionAsJson(session: LedgerSession): Record<string, unknown> {
  const { node, account, role, address, key, repository, borg, kind, complete, code } = session;
  return {
    ...{ began: isoTime(session.began), ended: isoTime(session.ended) },
    ...{ account, role, repository, kind, complete, code, node, address, key, borg },
    committed: session.committed === null ? null : isoTime(session.committed),
    check_ok: session.checkOk,
    ...{ puts: session.puts, deletes: session.deletes, refused: session.refused },
    ...{ bytes_in: session.bytesIn, bytes_out: session.bytesOut },
  };
}

function sessionLine(session: LedgerSession): string {
  const { began, ended, account, repository, address, bytesIn, bytesOut } = session;
  const { who, what } = sessionWords(session);
  const where = repository !== null && repository !== account ? ` on ${repository}` : "";
  return (
    `${isoTime(began)}  ${who}${where}  ${what}  ${sizeText(bytesIn)} in, ${sizeText(bytesOut)} out, ` +
    `${Math.round((ended - began) / 1000)} s${account ? `  from ${address || "an unknown address"}` : ""}`
  );
}

/** Null before the keeper has made it. */
function openLedger(): Ledger | null {
  try {
    const ledger = Ledger.read(ledgerFile);
    if (!ledger) note("nothing is known yet", "The keeper, which starts with the server, finds it out.");
    return ledger;
  } catch (error) {
    if (error instanceof OperatorError) throw error;
    throw new OperatorError(
      `the ledger ${ledgerFile} cannot answer: ${reasonOf(error)}`,
      isRoot()
        ? "The keeper makes it anew from the sessions' records when it starts."
        : "Only root may read it.",
    );
  }
}
