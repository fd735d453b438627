import { file, write } from "bun";
import { connectionFolder } from "./paths.ts";

/**
 * What opened a connection. sshd's process for it, the parent of this program, stays as long as the connection does;
 * the last record under its number is of the key that it let in, because it asks about that key last.
 */
export interface ConnectionRecord {
  /** When sshd's process started, in clock ticks since boot (proc_pid_stat(5)). */
  started: string;
  account: string;
  fingerprint: string;
  /** The forced command, its words separated by spaces. */
  command: string;
}

/** One in so many records is followed by a look for those whose connection is over. */
const recordsBetweenLooks = 250;

/** Notes what this login is let in with, so that its connection can be ended when the key opens nothing any more. */
export async function recordConnection(record: Omit<ConnectionRecord, "started">): Promise<void> {
  const stat = await file(`/proc/${process.ppid}/stat`).text();
  const started = stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
  const { account, fingerprint, command } = record;
  await write(
    file(`${connectionFolder}/${process.ppid}`),
    `${[started, account, fingerprint, command].join("\n")}\n`,
  );
  if (Math.random() * recordsBetweenLooks < 1) await forgetEndedConnections();
}

/** kill(2) with signal 0 tells ESRCH where there is no such process. */
async function forgetEndedConnections(): Promise<void> {
  const { readdirSync, rmSync } = await import("node:fs");
  for (const name of readdirSync(connectionFolder))
    try {
      process.kill(Number(name), 0);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ESRCH")
        rmSync(`${connectionFolder}/${name}`, { force: true });
    }
}
