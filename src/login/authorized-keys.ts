import { stderr, stdout, write } from "bun";
import { reasonOf } from "../failure.ts";
import { lookUpGrant } from "../index/lookup.ts";
import { indexFile } from "../paths.ts";
import { printable } from "../printable.ts";
import { recordConnection } from "./connection-record.ts";
import { forcedCommand } from "./forced-command.ts";
import { keyLine } from "./key-line.ts";

/**
 * Answers sshd's question (sshd_config(5), AuthorizedKeysCommand): which line lets this account in with this
 * key? Prints that line, or nothing. In case of a fault it prints nothing, says why on stderr and returns 1.
 * @returns the exit code
 */
export async function authorizedKeys(account: string, fingerprint: string): Promise<number> {
  let line: string;
  try {
    const grant = lookUpGrant(indexFile, account, fingerprint);
    if (!grant) return 0;
    const command = forcedCommand(account, grant);
    line = keyLine(command, grant, grant.type, grant.blob);
  } catch (error) {
    return await denied(
      account,
      `the index ${indexFile} cannot answer: ${reasonOf(error)}. To build it anew: index rebuild --full`,
    );
  }
  try {
    await recordConnection({ account, fingerprint });
  } catch (error) {
    // A full /run keeps nobody out. It only means that removing the key will not end this connection.
    await say(`login of ${account}: its connection could not be recorded: ${reasonOf(error)}`);
  }
  try {
    await write(stdout, `${line}\n`);
    return 0;
  } catch (error) {
    return await denied(account, `the answer could not be written: ${reasonOf(error)}`);
  }
}

async function denied(account: string, reason: string): Promise<number> {
  await say(`login of ${account} denied: ${reason}`);
  return 1;
}

/**
 * Writes a line into sshd's log. That it arrives there hangs on a mistake of sshd's: it means to discard this output and
 * tests the flag of the other one (subprocess in misc.c, from 9.2 to 10.0). If that is repaired, sshd's own line that the
 * command failed is what is left, and `borgserver health` says why.
 */
async function say(line: string): Promise<void> {
  await write(stderr, `${printable(`borgserver: ${line}`)}\n`);
}
