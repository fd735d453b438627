import { accountsServed } from "../index/read.ts";
import { repositoryOf } from "../keys/account.ts";
import { Ledger } from "../ledger/ledger.ts";
import type { Owner } from "../owner.ts";
import { indexFile, ledgerFile, repositoryFolder } from "../paths.ts";
import { knownRepositories } from "../repositories/known-repositories.ts";

/** The repositories that accounts open, or that were there once: all, or those that were not looked at yet. */
export function repositoriesToLookAt(which: "all" | "new", owner: Owner): string[] {
  const known = [...knownRepositories(repositoryFolder, owner)].map((path) =>
    path.slice(repositoryFolder.length + 1),
  );
  const opened = accountsServed(indexFile).flatMap((account) => repositoryOf(account) ?? []);
  const names = [...new Set([...opened, ...known])];
  const ledger = which === "new" ? Ledger.read(ledgerFile) : null;
  try {
    return ledger?.withoutState(names) ?? names;
  } finally {
    ledger?.close();
  }
}
