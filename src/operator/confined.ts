import { existsSync } from "node:fs";
import { exitCode, OperatorError } from "../problem.ts";
import { probeConfinement } from "../server/confinement.ts";
import type { InForce } from "../server/in-force.ts";
import type { Reach } from "./reach.ts";

/**
 * Whether operators' commands stand behind a wall. Throws if BORG_SANDBOX asks for a complete one and this kernel has
 * none; in the server's container its start has seen to that.
 */
export function wallInForce({ settings, walled, isServing }: InForce): boolean {
  if (!isServing && settings.sandbox === "require") {
    const { reason } = probeConfinement(settings.owner);
    if (reason !== "")
      throw new OperatorError(
        `BORG_SANDBOX is "require", and the kernel cannot fully confine borg here: ${reason}`,
        "Use a kernel with Landlock (5.13 or later) and the image as it is, or set it to auto.",
        exitCode.settingProblems,
      );
  }
  return walled;
}

/** The variable that tells borg what to close itself in with, before it does anything else (libexec/borg.py). */
export const wallVariable = "BORGSERVER_WALL";

/** What a command may do with a path and what is below it (libexec/wall.py). */
type Rights = "read" | "write" | "any" | "tty";

/**
 * The wall around a command, with doors to what it may reach: the value of BORGSERVER_WALL.
 * @param home where it may write as freely as in the repository
 * @param hasTerminal whether there is /dev/tty, which borg asks for a passphrase on
 */
export function wallOf(
  { repository, also, look }: Reach,
  home: string,
  hasTerminal = existsSync("/dev/tty"),
): string {
  const door = (rights: Rights) => (path: string) => [rights, path] as const;
  const doors = [
    ...[home, ...(repository === null ? [] : [repository])].map(door("write")),
    // What is restored there may be of any kind, and what is named may be a program.
    ...also.map(door("any")),
    ...look.map(door("read")),
    ...(hasTerminal ? ["/dev/tty"] : []).map(door("tty")),
  ];
  const wall = JSON.stringify(doors);
  if (Buffer.byteLength(`${wallVariable}=${wall}`) >= longestVariable)
    throw new OperatorError(
      "the command names more paths than it can be confined to",
      "Name the folders that hold them.",
      exitCode.usage,
    );
  return wall;
}

/** execve(2), MAX_ARG_STRLEN: 32 pages, its end included. */
const longestVariable = 32 * 4096;
