import { spawnSync } from "node:child_process";
import { asOwner, type Owner } from "../owner.ts";
import { borgFile } from "../paths.ts";
import { OperatorError, type Problem } from "../problem.ts";
import { roleNames, roles } from "../role.ts";
import type { Settings } from "./settings.ts";

/**
 * Has borg test itself (its manual, BORG_SELFTEST), once here, so that sessions need not. `borg serve` without a client does
 * that, prints its version, and ends. It runs as the owner, as sessions do: they cannot use a borg that only root can read.
 * @returns borg's version
 */
export function testBorg(owner: Owner): string {
  const { status, stderr, error } = borg(["serve", "--show-version"], {}, owner);
  const version = /borgbackup version ([0-9]\S*)/.exec(stderr)?.[1];
  if (error || status !== 0 || !version)
    throw new OperatorError(
      `borg does not start or fails its self-test: ${error?.message ?? lastLine(stderr)}`,
      "This borg cannot be trusted with backups: repair or replace it.",
    );
  return `borg ${version}`;
}

/**
 * Whether the guard (libexec/guard.py) holds with this borg, which may be another than it was made for: serves a
 * throwaway repository as the owner, in each role.
 * @returns what it failed at; empty where it holds
 */
export function proveGuard(owner: Owner): string {
  const { status, stderr, error } = borg(["prove-guard"], { BORG_SELFTEST: "disabled" }, owner);
  return error || status !== 0 ? (error?.message ?? lastLine(stderr)) || `it ended with ${status}` : "";
}

/** Extra arguments that borg serve refuses, judged by borg itself: given no client, it parses them and ends. */
export function refusedExtraArguments({ extraArguments }: Settings, owner: Owner | null): Problem[] {
  return roleNames.flatMap((role) => {
    if (extraArguments[role].length === 0) return [];
    const { status, stderr } = borg(["serve", ...extraArguments[role]], { BORG_SELFTEST: "disabled" }, owner);
    if (status === 0) return [];
    return [
      {
        where: roles[role].setting,
        text: `borg serve does not accept it: ${lastLine(stderr)}`,
        hint: "See borg serve --help.",
      },
    ];
  });
}

/** Runs borg to its end, as the owner if there is one. Throws if it was killed, which says nothing about borg. */
function borg(words: string[], environment: Record<string, string>, owner: Owner | null) {
  const [program = "", ...rest] = owner ? asOwner(owner, [borgFile, ...words]) : [borgFile, ...words];
  const result = spawnSync(program, rest, {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
    env: { PATH: process.env.PATH, ...environment },
  });
  if (result.signal)
    throw new OperatorError(
      `borg was ended by ${result.signal} when it was tried out`,
      result.signal === "SIGKILL"
        ? "The kernel does so where memory is short: let the container have more of it."
        : "Start the container again.",
    );
  return result;
}

/** The line in which a Python program says what was wrong. */
const lastLine = (text: string) => text.trim().split("\n").at(-1) ?? "";
