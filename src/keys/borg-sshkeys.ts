import type { Problem } from "../problem.ts";
import type { Account } from "./account.ts";
import { parseKeyFile } from "./key-file.ts";

export const borgName = "borg";

/** The account `borg`, an admin, whose keys are in BORG_SSHKEYS; null if that is not set. */
export function borgAccount({ borgKeys, timeZone }: { borgKeys: string; timeZone?: string | undefined }): {
  account: Account | null;
  problems: Problem[];
} {
  if (borgKeys.trim() === "") return { account: null, problems: [] };
  const source = "BORG_SSHKEYS";
  // A comma between keys, not one inside the quotes of an option.
  const lines = borgKeys.replace(/"[^"\n]*"|,/g, (found) => (found === "," ? "\n" : found));
  const { keys, problems } = parseKeyFile(source, Buffer.from(lines), timeZone);
  return { account: { name: borgName, role: "admin", source, state: null, keys }, problems };
}
