import { dlopen } from "bun:ffi";
import { codeOf } from "../failure.ts";
import { connectionFolder } from "../paths.ts";

/**
 * What opened a connection. sshd's process for it, the parent of this program, lives as long as the connection. The last
 * record under its number is of the key that it let in, because it asks about that key last.
 */
export interface ConnectionRecord {
  /** When sshd's process started, in clock ticks since boot (proc_pid_stat(5)). */
  started: string;
  account: string;
  fingerprint: string;
}

/** After one in so many records, those of ended connections are removed. */
const recordsBetweenLooks = 250;

/** Records what this login is let in with, so that its connection can be ended when the key is removed. Throws if it cannot. */
export async function recordConnection(record: Omit<ConnectionRecord, "started">): Promise<void> {
  const libc = openLibc();
  const stat = readFile(libc, `/proc/${process.ppid}/stat`);
  const started = stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
  const text = `${started}\n${record.account}\n${record.fingerprint}\n`;
  writeFile(libc, `${connectionFolder}/${process.ppid}`, text);
  if (Math.random() * recordsBetweenLooks < 1) await forgetEndedConnections();
}

/**
 * The C library's own calls (open(2) and the like): loading node:fs would take longer than all of this, and Bun's file
 * functions start threads.
 */
function openLibc() {
  return dlopen("libc.so.6", {
    open: { args: ["ptr", "i32"], returns: "i32" },
    creat: { args: ["ptr", "u32"], returns: "i32" },
    read: { args: ["i32", "ptr", "u64"], returns: "i32" },
    write: { args: ["i32", "ptr", "u64"], returns: "i32" },
    close: { args: ["i32"], returns: "i32" },
  }).symbols;
}
type Libc = ReturnType<typeof openLibc>;

const cString = (text: string) => Buffer.from(`${text}\0`);

function readFile(libc: Libc, path: string): string {
  const buffer = Buffer.alloc(4096);
  const file = libc.open(cString(path), 0);
  const length = libc.read(file, buffer, buffer.length);
  libc.close(file);
  if (length <= 0) throw new Error(`${path} cannot be read`);
  return buffer.toString("latin1", 0, length);
}

function writeFile(libc: Libc, path: string, text: string): void {
  const bytes = Buffer.from(text);
  // The process that serves sessions reads it by its group (libexec/resident.py).
  const file = libc.creat(cString(path), 0o640);
  const written = libc.write(file, bytes, bytes.length);
  libc.close(file);
  if (written !== bytes.length) throw new Error(`${path} cannot be written`);
}

/** kill(2) with signal 0 fails with ESRCH if there is no such process. */
async function forgetEndedConnections(): Promise<void> {
  const { readdirSync, rmSync } = await import("node:fs");
  for (const name of readdirSync(connectionFolder))
    try {
      process.kill(Number(name), 0);
    } catch (error) {
      if (codeOf(error) === "ESRCH") rmSync(`${connectionFolder}/${name}`, { force: true });
    }
}
