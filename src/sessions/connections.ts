import { chmodSync, chownSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { readAccountFiles } from "../accounts/account-files.ts";
import { gidOfAccount, reservedIds } from "../accounts/system-accounts.ts";
import { isGranted } from "../index/read.ts";
import type { FoundAccount } from "../keys/account.ts";
import type { ConnectionRecord } from "../login/connection-record.ts";
import { connectionFolder, indexFile } from "../paths.ts";
import { type Process, readProcesses, userOf } from "./process-table.ts";
import { runningSshd } from "./sshd-process.ts";

/** An open connection: sshd's process for it, and the key that let it in, or would. */
export interface Connection extends ConnectionRecord {
  process: Process;
  /** Before that, the client has not signed: sshd asks once more then, and gets the answer of the index as it is then. */
  isLoggedIn: boolean;
}

/** Whether a key opens an account, in whichever role. */
export type Opens = (account: string, fingerprint: string) => boolean;

/** Makes the folder of the records. Those of an earlier start have no meaning any more: numbers of processes begin anew. */
export function makeConnectionFolder(): void {
  rmSync(connectionFolder, { recursive: true, force: true });
  mkdirSync(connectionFolder, { mode: 0o700 });
  chownSync(connectionFolder, 0, gidOfAccount(readAccountFiles(), "borgkeys"));
  chmodSync(connectionFolder, 0o770); // whatever the umask is
}

/** What the published index says. */
export const opensByIndex: Opens = (account, fingerprint) => isGranted(indexFile, account, fingerprint);

/** What an index of these accounts would say. All key files must have been read for it. */
export function opensByAccounts(accounts: readonly FoundAccount[]): Opens {
  const byName = new Map(accounts.map(({ name, keys }) => [name, keys]));
  return (name, fingerprint) => byName.get(name)?.some((key) => key.fingerprint === fingerprint) ?? false;
}

/** The connections whose key, or account, was removed. */
export function revokedConnections(connections: readonly Connection[], opens: Opens): Connection[] {
  return connections.filter(({ account, fingerprint }) => !opens(account, fingerprint));
}

/** A line for each account that has some of these connections, e.g. "account web: 2 connections". */
export function linesOf(connections: readonly Connection[]): string[] {
  const counts = new Map<string, number>();
  for (const { account } of connections) counts.set(account, (counts.get(account) ?? 0) + 1);
  return [...counts].map(
    ([account, count]) => `account ${account}: ${count === 1 ? "1 connection" : `${count} connections`}`,
  );
}

/**
 * The connections to this server's sshd. Removes the records of those that have ended. A record counts only if its process
 * is a child of sshd itself, because others may have called the login program too.
 */
export function openConnections(): Connection[] {
  const sshd = runningSshd();
  if (!sshd || !existsSync(connectionFolder)) return [];
  const records = readdirSync(connectionFolder).map((name) => {
    const path = `${connectionFolder}/${name}`;
    return { name, path, record: readRecord(path) };
  });
  // Read after the records, so that a connection that began meanwhile has a process, and its record does not look old.
  const processes = readProcesses();
  // After the login, sshd's process for the connection has a child that runs as the account. Before, its children run as
  // root, as sshd's own account, or as the login program's.
  const ours = reservedIds(readAccountFiles()).uids;
  const isAccount = (user: number | null) => user !== null && user !== 0 && !ours.has(user);
  return records.flatMap(({ name, path, record }) => {
    const process = processes.find(({ pid }) => pid === Number(name));
    if (record && process?.started === record.started && process.parent === sshd.pid) {
      const isLoggedIn = processes.some(
        ({ pid, parent }) => parent === process.pid && isAccount(userOf(pid)),
      );
      return [{ ...record, process, isLoggedIn }];
    }
    // A record of another process, or one that is being written.
    if (record || !process) rmSync(path, { force: true });
    return [];
  });
}

function readRecord(path: string): ConnectionRecord | null {
  try {
    const [started, account, fingerprint, end] = readFileSync(path, "utf8").split("\n");
    return started && account && fingerprint && end === "" ? { started, account, fingerprint } : null;
  } catch {
    return null;
  }
}
