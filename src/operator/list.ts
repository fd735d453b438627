import { reasonOf } from "../failure.ts";
import { readIndex } from "../index/read.ts";
import type { Account } from "../keys/account.ts";
import { isRoot } from "../owner.ts";
import { indexFile } from "../paths.ts";
import { exitCode, OperatorError } from "../problem.ts";
import { note, say, sayJson } from "../report.ts";

/** Prints the accounts of the published index with their keys. @returns the exit code */
export function list(json: boolean): number {
  const accounts = publishedAccounts();
  if (json) {
    const shown = accounts.map(({ name, role, source, keys }) => ({
      account: name,
      role,
      source,
      keys: keys.map(({ blob: _, ...key }) => key),
    }));
    sayJson(shown);
    return exitCode.done;
  }
  for (const { name, role, keys } of accounts) {
    say(`${name} (${role})`);
    for (const { fingerprint, type, comment, addresses, expires } of keys) {
      const limits = [addresses && `from ${addresses}`, expires && `until ${expires}`]
        .filter(Boolean)
        .map((limit) => ` (${limit})`);
      say(`  ${fingerprint} ${type}${comment && ` ${comment}`}${limits.join("")}`);
    }
  }
  if (accounts.length === 0) note("the index holds no accounts");
  return exitCode.done;
}

/** The accounts of the published index. */
export function publishedAccounts(): Omit<Account, "state">[] {
  try {
    return readIndex(indexFile);
  } catch (error) {
    if (error instanceof OperatorError) throw error;
    throw new OperatorError(
      `the index ${indexFile} cannot answer: ${reasonOf(error)}`,
      isRoot() ? "To build it anew: index rebuild --full" : "Only root and the login program may read it.",
    );
  }
}
