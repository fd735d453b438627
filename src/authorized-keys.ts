import { stderr, stdout, write } from "bun";
import { lookUpGrant } from "./index-lookup.ts";
import { keyLine } from "./key-line.ts";
import { indexFile } from "./paths.ts";
import { printable } from "./problem.ts";
import { forcedCommand } from "./role.ts";

/**
 * Answers sshd's question (sshd_config(5), AuthorizedKeysCommand): which line lets this account in with this
 * key? Prints that line, or nothing. A fault prints nothing either, says so on stderr and returns 1.
 * @returns the exit code
 */
export async function authorizedKeys(account: string, fingerprint: string): Promise<number> {
  try {
    const grant = lookUpGrant(indexFile, account, fingerprint);
    if (grant) {
      const command = forcedCommand(grant.role, account, grant.extraArguments, grant.landlock);
      await write(stdout, `${keyLine(command, grant, grant.type, grant.blob)}\n`);
    }
    return 0;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const line = `borgserver: login of ${account} denied: the index ${indexFile} cannot answer: ${reason}. To build it anew: index rebuild`;
    await write(stderr, `${printable(line)}\n`);
    return 1;
  }
}
