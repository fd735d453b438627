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
  let line: string | null;
  try {
    line = answer(account, fingerprint);
  } catch (error) {
    return await denied(
      account,
      `the index ${indexFile} cannot answer: ${reasonOf(error)}. To build it anew: index rebuild --full`,
    );
  }
  try {
    if (line) await write(stdout, `${line}\n`);
    return 0;
  } catch (error) {
    return await denied(account, `the answer could not be written: ${reasonOf(error)}`);
  }
}

function answer(account: string, fingerprint: string): string | null {
  const grant = lookUpGrant(indexFile, account, fingerprint);
  if (!grant) return null;
  const command = forcedCommand(grant.role, account, grant.extraArguments, grant.landlock);
  return keyLine(command, grant, grant.type, grant.blob);
}

async function denied(account: string, reason: string): Promise<number> {
  await write(stderr, `${printable(`borgserver: login of ${account} denied: ${reason}`)}\n`);
  return 1;
}

const reasonOf = (error: unknown) => (error instanceof Error ? error.message : String(error));
