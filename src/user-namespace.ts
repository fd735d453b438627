import { readFileSync, statSync } from "node:fs";
import type { Refusal } from "./problem.ts";

/** A range of ids of this container, and where it begins outside (user_namespaces(7), uid_map). */
export interface IdRange {
  first: number;
  outside: number;
  count: number;
}

export function parseIdMap(text: string): IdRange[] {
  return text
    .trim()
    .split("\n")
    .map((line) => line.trim().split(/ +/).map(Number))
    .map(([first = 0, outside = 0, count = 0]) => ({ first, outside, count }));
}

/** The ids that this container has. Without a user namespace of its own it has all. */
export const idMap = (kind: "uid" | "gid") => parseIdMap(readFileSync(`/proc/self/${kind}_map`, "latin1"));

export const hasId = (map: readonly IdRange[], id: number) =>
  map.some(({ first, count }) => id >= first && id < first + count);

/** "0 to 65535, 100000" */
export function formatIds(map: readonly IdRange[]): string {
  return map
    .map(({ first, count }) => (count === 1 ? `${first}` : `${first} to ${first + count - 1}`))
    .join(", ");
}

/**
 * Why root cannot open a file or folder whose owner or group is not an id of this container: root's rights end where its
 * ids do (user_namespaces(7)). Null if that is not the reason.
 */
export function foreignOwner(path: string | Buffer): Refusal | null {
  try {
    const found = statSync(path);
    const lacking = (["uid", "gid"] as const).filter((kind) => {
      const overflow = Number(readFileSync(`/proc/sys/kernel/overflow${kind}`, "latin1"));
      return found[kind] === overflow && idMap(kind)[0]?.count !== 2 ** 32 - 1;
    });
    if (lacking.length === 0) return null;
    const root = idMap("uid").find(({ first }) => first === 0)?.outside;
    return {
      text: "root cannot open it, because it belongs to an id that this container does not have (user namespace)",
      hint: `On the host, give it to ${root === undefined ? "an id that the container has" : `${root}, which is root in here`}.`,
    };
  } catch {
    return null;
  }
}
