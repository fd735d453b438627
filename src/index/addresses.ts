import { readFileSync, writeFileSync } from "node:fs";
import type { FoundAccount } from "../keys/account.ts";
import type { AccountAddresses } from "../keys/account-settings.ts";

/**
 * Where the addresses of accounts are kept in a publication's folder: readable by root alone, because they hold secrets, and
 * never in the index, which the login program reads.
 */
const addressesFileOf = (generation: string) => `${generation}/addresses.json`;

/** The addresses of accounts, by name. */
export type AddressesByAccount = Readonly<Record<string, AccountAddresses>>;

export function writeAddresses(generation: string, accounts: readonly FoundAccount[]): void {
  writeFileSync(addressesFileOf(generation), textOf(accounts), { flag: "wx", mode: 0o600 });
}

/** Those that are published; none where they cannot be read. */
export function readAddresses(generation: string): AddressesByAccount {
  try {
    return JSON.parse(readFileSync(addressesFileOf(generation), "utf8"));
  } catch {
    return {};
  }
}

/** Whether these accounts have the addresses that are published. */
export function areAddressesPublished(generation: string, accounts: readonly FoundAccount[]): boolean {
  return `${JSON.stringify(readAddresses(generation))}\n` === textOf(accounts);
}

function textOf(accounts: readonly FoundAccount[]): string {
  const found = accounts
    .filter(({ addresses }) => addresses)
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .map(({ name, addresses }) => [name, addresses]);
  return `${JSON.stringify(Object.fromEntries(found))}\n`;
}
