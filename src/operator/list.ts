import { reasonOf } from "../failure.ts";
import { readIndex } from "../index/read.ts";
import type { Account } from "../keys/account.ts";
import { type AccountSettings, describeSettings } from "../keys/account-settings.ts";
import { isRoot } from "../owner.ts";
import { indexFile } from "../paths.ts";
import { exitCode, OperatorError } from "../problem.ts";
import { note, say, sayJson } from "../report.ts";

/** Prints the accounts of the published index with their keys. @returns the exit code */
export function list(json: boolean): number {
  const accounts = publishedAccounts();
  if (json) {
    const shown = accounts.map(({ name, role, source, keys, settings }) => ({
      account: name,
      role,
      source,
      ...(settings && { settings: settingsAsJson(settings) }),
      keys: keys.map(({ blob: _, ...key }) => key),
    }));
    sayJson(shown);
    return exitCode.done;
  }
  for (const { name, role, keys, settings } of accounts) {
    say(`${name} (${role}${described(settings)})`);
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

/** What settings files say of an account, behind its role. */
export function described(settings: AccountSettings | undefined): string {
  return settings ? `; ${describeSettings(settings)}` : "";
}

/** By the names that they have in the files; sizes in bytes, times in seconds. */
function settingsAsJson({ lateAfter, ...others }: AccountSettings): Record<string, unknown> {
  return { ...others, ...(lateAfter !== undefined && { "late-after": lateAfter }) };
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
