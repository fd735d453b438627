import type { IdRange } from "../user-namespace.ts";

/** Ids that an account may have: `count` of them from `first` on. */
export interface Ids {
  first: number;
  count: number;
}

/** Above all ids that people and packages get, and below 2^31, which some programs cannot print. */
const ample: Ids = { first: 2_000_000_000, count: 100_000_000 };

/** For a container with few ids of its own: what systemd hands out by the same right, below nobody's 65534. */
const few: Ids = { first: 61_184, count: 65_520 - 61_184 };

/** The ids for accounts in a container that has these ids: many, where it can. */
export function idsForAccounts(map: readonly IdRange[]): Ids {
  return hasAll(map, ample) ? ample : few;
}

/** Whether a container has all of these ids. They may lie in several ranges, of which no two have one in common. */
export function hasAll(map: readonly IdRange[], { first, count }: Ids): boolean {
  const had = map.reduce((sum, range) => {
    const end = Math.min(first + count, range.first + range.count);
    return sum + Math.max(0, end - Math.max(first, range.first));
  }, 0);
  return had === count;
}

/**
 * The numeric id that an account logs in as: a function of its name, so that it is the same after every rebuild and on
 * every node. It owns nothing. Two names that fall on one id share it, which lets neither do more: what a session may
 * follows from the name and the index, and the kernel says only that it is not another's.
 * @param owner the owner of the repositories, which no account has
 */
export function accountId(name: string, owner: number, { first, count }: Ids): number {
  // FNV-1a (RFC 9923), 32 bits: a million accounts take a tenth of a second.
  let hash = 0x811c9dc5;
  for (let at = 0; at < name.length; at++) hash = Math.imul(hash ^ name.charCodeAt(at), 0x01000193) >>> 0;
  const id = first + (hash % count);
  return id === owner ? first + ((hash + 1) % count) : id;
}
