import { spawnSync } from "node:child_process";
import { chownSync, mkdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { reasonOf } from "../failure.ts";
import { asOwner, isRoot, type Owner } from "../owner.ts";
import { libraryFolder, runFolder } from "../paths.ts";
import type { Landlock } from "../role.ts";

/**
 * Finds out how far the kernel and setpriv(1) can confine a session, by confining one (libexec/session) that
 * tries to write outside of its directory.
 * @returns the version of Landlock's rules, and if it is not 3, what is missing
 */
export function probeConfinement(owner: Owner): { landlock: Landlock; reason: string } {
  // For root always the same name, so that what a killed start left is removed by the next.
  const folder = isRoot() ? `${runFolder}/probe` : `${tmpdir()}/borgserver-probe-${process.pid}`;
  const [inside, outside] = [`${folder}/inside`, `${folder}/outside`];
  try {
    rmSync(folder, { recursive: true, force: true });
    for (const path of [folder, inside, outside]) {
      mkdirSync(path, { recursive: true });
      if (isRoot()) chownSync(path, owner.uid, owner.gid);
    }
    let reason = confined(owner, 3, inside, outside);
    if (reason === "") return { landlock: 3, reason };
    for (const landlock of [2, 1] as const) {
      reason = confined(owner, landlock, inside, outside);
      // Only version 3 of the rules restricts truncate(2) (landlock(7)).
      if (reason === "")
        return { landlock, reason: "before Linux 6.2 it lets them empty each other's files" };
    }
    return { landlock: 0, reason };
  } catch (error) {
    return { landlock: 0, reason: `it could not be tried out: ${reasonOf(error)}` };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Why the session is not confined, or an empty string if it could write inside and not outside. */
function confined(owner: Owner, landlock: Landlock, inside: string, outside: string): string {
  const session = [`${libraryFolder}/session`, `--landlock=${landlock}`, inside];
  const attempt = [
    "sh",
    "-c",
    `(: >${inside}/file) || exit 2; (: >${outside}/file) 2>/dev/null && exit 3; exit 0`,
  ];
  const trial = [...session, ...attempt];
  const [program = "", ...words] = isRoot() ? asOwner(owner, trial) : trial;
  const { status, signal, stderr, error } = spawnSync(program, words, {
    encoding: "utf8",
    env: { PATH: process.env.PATH, USER: "probe", SSH_ORIGINAL_COMMAND: "borg serve" },
  });
  if (error) return error.message;
  if (status === 0) return "";
  if (status === 3) return "the kernel let a confined session write elsewhere";
  return stderr.trim().split("\n")[0] || `the trial session ended with ${signal ?? status}`;
}
