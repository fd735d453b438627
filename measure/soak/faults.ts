import { Machine } from "../../test/machine/machine.ts";
import { logInAllTheTime } from "./logins.ts";
import { progress, type Row, row } from "./row.ts";

/**
 * SIGKILL at random times of the commands that change the server, while keys come and go and clients log in.
 * Lost bytes are those of a repository's files that are not as they were, and of lines of the account files that
 * are not the server's.
 */
export async function faults(seconds: number): Promise<Row> {
  progress(`commands killed at random times, for ${seconds} s`);
  const machine = await Machine.start();
  try {
    await machine.write("/sshkeys/repos/steady", await machine.makeKey("steady"));
    await machine.makeKey("other");
    if (await machine.startServer()) throw new Error(machine.log);
    await machine.pinHostKeys();
    const repository = "ssh://steady@127.0.0.1/repos/steady";
    for (const command of [`init -e none ${repository}`, `create ${repository}::before /etc`]) {
      const { code, stderr } = await machine.borg("steady", command);
      if (code !== 0) throw new Error(stderr);
    }
    // Name, size and checksum of each file; and the account files without our lines.
    const files =
      "cd /repos/steady && find . -type f -printf '%s %p ' -exec sh -c 'sha256sum <\"$1\"' - {} \\; | sort";
    const foreign = "cat /etc/passwd /etc/shadow /etc/group";
    const before = { files: await machine.ok(files), foreign: await machine.ok(foreign) };

    const logins = logInAllTheTime(machine, "steady");
    const killed = await machine.ok(`${import.meta.dirname}/kill_commands ${Math.ceil(seconds)}`);
    const { tried, lost } = await logins.stop();
    await machine.ok("update-borgusers");
    const after = { files: await machine.ok(files), foreign: await machine.ok(foreign) };
    for (const command of [`check --verify-data ${repository}`, `extract --dry-run ${repository}::before`]) {
      const { code, stderr } = await machine.borg("steady", command);
      if (code !== 0) throw new Error(`borg ${command} after the faults:\n${stderr}`);
    }
    return row("commands killed at random times", {
      tried,
      faults: killed.split("\n").length - 1,
      loginsLost: lost,
      bytesLost:
        lostBytes(before.foreign, after.foreign, (line) => line.length) +
        lostBytes(before.files, after.files, (line) => Number(line.split(" ")[0])),
    });
  } finally {
    await machine.stop();
  }
}

/** The size of all lines that are there no longer. */
function lostBytes(before: string, after: string, size: (line: string) => number): number {
  const left = new Set(after.split("\n"));
  return before
    .split("\n")
    .filter((line) => !left.has(line))
    .reduce((sum, line) => sum + size(line), 0);
}
