import { chmodSync, chownSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { readAccountFiles } from "./account-files.ts";
import { gidOfAccount } from "./account-plan.ts";
import type { ConnectionRecord } from "./connection-record.ts";
import type { IndexContent } from "./index-content.ts";
import { lookUpGrant } from "./index-lookup.ts";
import { connectionFolder, indexFile } from "./paths.ts";
import { printable } from "./problem.ts";
import { type Process, readProcess } from "./process-table.ts";
import { forcedCommand } from "./role.ts";
import { runningSshd } from "./sshd-process.ts";

/** A connection that is open: sshd's process for it, and what let it in. */
export interface Connection extends ConnectionRecord {
  process: Process;
}

/** The forced command that a key opens an account with, or null: it opens nothing. */
export type Opens = (account: string, fingerprint: string) => string | null;

/** Makes the folder of the records. What an earlier start left says nothing any more: numbers of processes begin anew. */
export function makeConnectionFolder(): void {
  rmSync(connectionFolder, { recursive: true, force: true });
  mkdirSync(connectionFolder, { mode: 0o700 });
  chownSync(connectionFolder, 0, gidOfAccount(readAccountFiles(), "borgkeys"));
  chmodSync(connectionFolder, 0o770); // whatever the umask is
}

/** What the published index says. */
export const opensByIndex: Opens = (account, fingerprint) => {
  const grant = lookUpGrant(indexFile, account, fingerprint);
  return grant && forcedCommand(grant.role, account, grant.extraArguments, grant.landlock).join(" ");
};

/** What an index of this content would say. All key files must have been read for it. */
export function opensByContent({ accounts, settings }: IndexContent): Opens {
  const byName = new Map(accounts.map((account) => [account.name, account]));
  return (name, fingerprint) => {
    const account = byName.get(name);
    if (!account?.keys?.some((key) => key.fingerprint === fingerprint)) return null;
    const { extraArguments, landlock } = settings;
    return forcedCommand(account.role, name, extraArguments[account.role], landlock).join(" ");
  };
}

/** The connections that a key or an account opened which is gone, or has another role since. */
export function revokedConnections(connections: readonly Connection[], opens: Opens): Connection[] {
  return connections.filter(({ account, fingerprint, command }) => opens(account, fingerprint) !== command);
}

/** A line for each account that has some of these connections, e.g. "account web: 2 connections". */
export function linesOf(connections: readonly Connection[]): string[] {
  const counts = new Map<string, number>();
  for (const { account } of connections) counts.set(account, (counts.get(account) ?? 0) + 1);
  return [...counts].map(
    ([account, count]) =>
      `account ${printable(account)}: ${count === 1 ? "1 connection" : `${count} connections`}`,
  );
}

/**
 * The connections to this server's sshd. Removes the records of those that are over. A record counts where the
 * process that it names is sshd's own child: others may have called the login program too.
 */
export function openConnections(): Connection[] {
  const sshd = runningSshd();
  if (!sshd || !existsSync(connectionFolder)) return [];
  return readdirSync(connectionFolder).flatMap((name) => {
    const path = `${connectionFolder}/${name}`;
    const record = readRecord(path);
    const process = readProcess(Number(name));
    if (record && process?.started === record.started && process.parent === sshd.pid)
      return [{ ...record, process }];
    // A record of another process, or one that is being written.
    if (record || !process) rmSync(path, { force: true });
    return [];
  });
}

function readRecord(path: string): ConnectionRecord | null {
  try {
    const [started, account, fingerprint, command, end] = readFileSync(path, "utf8").split("\n");
    if (!started || !account || !fingerprint || !command || end !== "") return null;
    return { started, account, fingerprint, command };
  } catch {
    return null;
  }
}
