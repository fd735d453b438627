import { createHash } from "node:crypto";
import { readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { type AddressesByAccount, readAddresses } from "../index/addresses.ts";
import { isUrl } from "../keys/account-settings.ts";
import { generationFolder, notifyFile } from "../paths.ts";
import type { Problem } from "../problem.ts";
import type { Environment } from "./settings.ts";

/** The addresses that are in force. They hold secrets: nothing prints them, and no command line has them. */
export interface Addresses {
  /** Those of NOTIFY, which are told of everything. */
  operator: string[];
  /** Those of settings files, by account. */
  accounts: AddressesByAccount;
}

/** Reads NOTIFY: Apprise URLs with white space between. @returns also its problems, which do not say what is written */
export function readNotify(environment: Environment): { urls: string[]; problems: Problem[] } {
  const urls = (environment.NOTIFY ?? "").split(/\s+/).filter(Boolean);
  const problems = urls.flatMap((url, at) =>
    isUrl(url)
      ? []
      : [
          {
            where: "NOTIFY",
            text: `address ${at + 1} is not a URL`,
            hint: "Write Apprise URLs with white space between, such as ntfy://ntfy.sh/topic.",
          },
        ],
  );
  return { urls: [...new Set(urls)], problems };
}

/** Records the addresses of NOTIFY for the keeper and for commands, which may not have the container's environment. */
export function keepNotify(urls: readonly string[]): void {
  rmSync(`${notifyFile}.new`, { force: true });
  writeFileSync(`${notifyFile}.new`, JSON.stringify(urls), { flag: "wx", mode: 0o600 });
  renameSync(`${notifyFile}.new`, notifyFile);
}

/** The addresses that are in force in this container. */
export function addresses(): Addresses {
  return { operator: keptNotify(), accounts: readAddresses(generationFolder) };
}

function keptNotify(): string[] {
  try {
    return JSON.parse(readFileSync(notifyFile, "utf8"));
  } catch {
    return []; // no server was started here
  }
}

/** What stands for an address where it is remembered what is to be sent to it. */
export const nameOfAddress = (url: string) => createHash("sha256").update(url).digest("hex");

/** An address as it is shown: which one it is, and of what kind, without what is secret in it. */
export function shownAddress(url: string, { operator, accounts }: Addresses): string {
  const kind = /^[a-z][a-z0-9+.-]*/i.exec(url)?.[0].toLowerCase() ?? "";
  const at = operator.indexOf(url);
  if (at !== -1) return `address ${at + 1} of NOTIFY (${kind})`;
  const found = Object.entries(accounts).find(
    ([, { notify, ping }]) => notify?.includes(url) || ping === url,
  );
  if (!found) return `an address (${kind})`;
  const [name, { ping }] = found;
  return `the ${ping === url ? "ping" : "notify"} address of ${name} (${kind})`;
}
