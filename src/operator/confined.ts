import { existsSync, statSync } from "node:fs";
import { libraryFolder } from "../paths.ts";
import { exitCode, OperatorError } from "../problem.ts";
import type { Landlock } from "../role.ts";
import { probeConfinement } from "../server/confinement.ts";
import type { InForce } from "../server/in-force.ts";
import type { Reach } from "./reach.ts";

/**
 * What operators' commands are confined with: what the server's start found out in this container, or if there was none,
 * what is found out now. Throws if BORG_SANDBOX asks for more than that.
 */
export function landlockInForce({ settings, landlock, isServing }: InForce): Landlock {
  if (isServing || settings.sandbox === "off") return landlock;
  const found = probeConfinement(settings.owner);
  if (settings.sandbox === "require" && found.reason !== "")
    throw new OperatorError(
      `BORG_SANDBOX is "require", and the kernel cannot fully confine borg here: ${found.reason}`,
      "Use a kernel with Landlock (6.2 or later) and the image as it is, or set it to auto.",
      exitCode.settingProblems,
    );
  return found.landlock;
}

/**
 * The words that run a command behind the same wall as a session (libexec/confine), with doors to what it may reach.
 * @param home where it may write as freely as in the repository
 */
export function confinedTo(
  landlock: Landlock,
  { repository, also, look }: Reach,
  home: string,
  command: readonly string[],
): string[] {
  const later = ["refer", "truncate"].slice(0, Math.max(0, landlock - 1));
  const file = ["read-file", "write-file", ...later.slice(1)];
  const folder = [
    "read-file",
    "write-file",
    "read-dir",
    "remove-file",
    "remove-dir",
    "make-reg",
    "make-dir",
    ...later,
  ];
  const rule = (rights: readonly string[], path: string) => [
    "--landlock-rule",
    `path-beneath:${rights.join(",")}:${path}`,
  ];
  const ofKind = (path: string, ofFolder: readonly string[], ofFile: readonly string[]) =>
    rule(statSync(path).isDirectory() ? ofFolder : ofFile, path);
  const doors = [
    ...rule(folder, home),
    // What is restored there may be of any kind, and what is named may be a program.
    ...also.flatMap((path) =>
      ofKind(path, [...folder, "execute", "make-sym", "make-fifo", "make-sock"], [...file, "execute"]),
    ),
    ...look.flatMap((path) => ofKind(path, ["read-file", "read-dir"], ["read-file"])),
    ...(existsSync("/dev/tty") ? rule(file.slice(0, 2), "/dev/tty") : []), // for a passphrase
  ];
  return [`${libraryFolder}/confine`, `${landlock}`, repository ?? "", ...doors, "--", ...command];
}
