import type { Account, FoundAccount } from "../keys/account.ts";
import type { KeyAt } from "../keys/key-file.ts";

/** How many accounts of the files an index lacks or has with another role or other keys, and how many it has that no file gives. */
export interface Difference {
  lacks: number;
  otherwise: number;
  beyond: number;
}

/** Compares the accounts of all files with those of an index. One without keys is of a file that has not changed, and has the index's. */
export function compare(
  files: readonly FoundAccount[],
  index: readonly Omit<Account, "state">[],
): Difference {
  const published = new Map(index.map((account) => [account.name, account]));
  const lacks = files.filter(({ name }) => !published.has(name)).length;
  const same = files.filter((account) => {
    const other = published.get(account.name);
    return other && said(other) === said({ ...account, keys: account.keys ?? other.keys });
  }).length;
  const otherwise = files.length - lacks - same;
  return { lacks, otherwise, beyond: index.length - (files.length - lacks) };
}

/** "accounts: 1 missing in it, 2 other in it, 3 only in it"; null if there is no difference. */
export function formatDifference({ lacks, otherwise, beyond }: Difference): string | null {
  const parts = [
    [lacks, "missing in it"],
    [otherwise, "other in it"],
    [beyond, "only in it"],
  ] as const;
  const shown = parts.filter(([count]) => count > 0).map(([count, how]) => `${count} ${how}`);
  return shown.length === 0 ? null : `accounts: ${shown.join(", ")}`;
}

/** All that decides a login or is shown by `index list`, as one text that does not depend on the order of keys. */
function said(account: Pick<FoundAccount, "role" | "source" | "keys" | "settings">): string {
  const { role, source, keys, settings } = account;
  const key = ({ fingerprint, type, blob, addresses, expires, line, comment }: KeyAt) =>
    JSON.stringify([fingerprint, type, blob, addresses, expires, line, comment]);
  return JSON.stringify([
    role,
    source,
    Object.entries(settings ?? {}).sort(),
    ...(keys ?? []).map(key).sort(),
  ]);
}
