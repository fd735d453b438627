import type { SessionRecord } from "../ledger/record.ts";

/**
 * What a session did, or tried, that takes backups away on a large scale, in words that follow "web01: "; null where it did
 * not.
 * @param objects how many objects the repository had before it; null where that is not known
 */
export function deletionIn(session: SessionRecord, objects: number | null): string | null {
  const { account, role, address, kind, complete, committed, puts, deletes, deletesRefused } = session;
  const who = role === "operator" ? "an operator" : `${account}${address ? `, from ${address},` : ""}`;
  // What is complete and has committed nothing took the repository as a whole away.
  if (kind === "delete" && complete && committed === null && deletes === 0)
    return `${who} deleted the whole repository`;
  if (objects !== null && deletes > 0 && 2 * deletes > objects + puts)
    return `${who} removed ${deletes} of its ${objects + puts} objects`;
  if (role === "appendonly" && deletesRefused > 0)
    return `${who} tried to delete what was backed up and was refused; the account is append-only`;
  return null;
}
