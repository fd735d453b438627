import { jsonObject } from "../json-object.ts";
import { type Role, roleNames } from "../role.ts";

/** What borg command a session was (kind_of in libexec/record.py). */
export type Kind = (typeof kinds)[number];

const kinds = [
  ...(["init", "create", "prune", "delete", "compact", "check"] as const),
  ...(["read", "rename", "key", "break-lock", "other"] as const),
];

/** What is left of a session: a line of /repos/.borgserver/NODE/YEAR-MONTH.jsonl. Times are milliseconds since 1970. */
export interface SessionRecord {
  /** Unlike that of any other session of its node. */
  id: string;
  account: string;
  /** That of the account, or "operator" for a command on the server. */
  role: Role | "operator";
  address: string;
  /** The fingerprint of the key that let it in. */
  key: string;
  /** The name of the repository that it opened; null if it opened none. */
  repository: string | null;
  /** The client's version of borg. */
  borg: string;
  began: number;
  ended: number;
  kind: Kind;
  complete: boolean;
  /** The exit code of its borg serve; null if that was killed. */
  code: number | null;
  /** When it last committed, and the number of that commit. */
  committed: number | null;
  transaction: number | null;
  /** Whether its check of the whole repository found it sound; null if there was none. */
  checkOk: boolean | null;
  /** Objects and bytes. */
  puts: number;
  deletes: number;
  bytesIn: number;
  bytesOut: number;
  refused: number;
  /** How many of the refused calls would have deleted an object, or the repository. */
  deletesRefused: number;
}

/** Reads a line. @returns null if it is not one: nothing that lies on a storage that others may write to is trusted */
export function parseRecord(line: string): SessionRecord | null {
  const said = jsonObject(line);
  if (said === null) return null;
  const text = (name: string) => {
    const value = said[name];
    return typeof value === "string" && value.length <= longestText ? value : null;
  };
  const number = (name: string) => {
    const value = said[name];
    return typeof value === "number" && Number.isFinite(value) && value >= 0 ? value : null;
  };
  const time = (name: string) => {
    const nanoseconds = number(name);
    return nanoseconds === null ? null : Math.floor(nanoseconds / 1e6);
  };
  const flag = (name: string) => {
    const value = said[name];
    return typeof value === "boolean" ? value : null;
  };
  const [id, account, began, ended] = [text("id"), text("account"), time("began"), time("ended")];
  const role = [...roleNames, "operator" as const].find((name) => name === said.role);
  const kind = kinds.find((name) => name === said.kind);
  const complete = flag("complete");
  if (!id || account === null || began === null || ended === null || !role || !kind || complete === null)
    return null;
  return {
    ...{ id, account, role, kind, complete, began, ended },
    address: text("address") ?? "",
    key: text("key") ?? "",
    repository: repositoryIn(text("repository")),
    borg: text("borg") ?? "",
    code: number("code"),
    committed: time("committed"),
    transaction: number("transaction"),
    checkOk: flag("check_ok"),
    ...{ puts: number("puts") ?? 0, deletes: number("deletes") ?? 0, refused: number("refused") ?? 0 },
    ...{ bytesIn: number("bytes_in") ?? 0, bytesOut: number("bytes_out") ?? 0 },
    deletesRefused: number("deletes_refused") ?? 0,
  };
}

/** In characters. A name, an address and a fingerprint are shorter; a path has 4,096 bytes at most. */
const longestText = 4096;

/** Repositories lie side by side: the first name below /repos is the repository's. */
function repositoryIn(path: string | null): string | null {
  return /^\/repos\/([^/]+)/.exec(path ?? "")?.[1] ?? null;
}
