import { realpathSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { readAccountFiles } from "../accounts/account-files.ts";
import { isGroupOfOne } from "../accounts/system-accounts.ts";
import { reasonOf } from "../failure.ts";
import { installAgain, type Refusal } from "../problem.ts";

/**
 * What makes a program one that others than root can change, or null. sshd's own rule for the login program (safe_path
 * in misc.c, with Debian's secure_permissions): the file and every folder above it, without symlinks, belong to root,
 * and nobody else may write them; a group may where root is its only member.
 */
export function unsafePart(program: string): Refusal | null {
  let path: string;
  try {
    path = realpathSync(program);
  } catch (error) {
    return {
      text: `${program} is missing: ${reasonOf(error)}`,
      hint: installAgain,
    };
  }
  if (!statSync(path).isFile()) return { text: `${path} is not a regular file`, hint: installAgain };
  for (let part = path; ; part = dirname(part)) {
    const { uid, gid, mode } = statSync(part);
    const text = `others than root can change ${part}`;
    if (uid !== 0) return { text, hint: `Run: chown root ${part}` };
    if ((mode & 0o002) !== 0) return { text, hint: `Run: chmod go-w ${part}` };
    if ((mode & 0o020) !== 0 && !isGroupOfOne(readAccountFiles(), gid, "root"))
      return { text, hint: `Run: chmod g-w ${part}` };
    if (part === "/") return null;
  }
}
