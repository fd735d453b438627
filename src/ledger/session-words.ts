import type { SessionRecord } from "./record.ts";

/** Who a session was of, and what it was and came to, in words. */
export function sessionWords({
  account,
  kind,
  complete,
  checkOk,
}: Pick<SessionRecord, "account" | "kind" | "complete" | "checkOk">): { who: string; what: string } {
  return {
    who: account || "an operator",
    what: `${kind}${complete ? "" : ", broken off"}${checkOk === false ? ", damaged" : ""}`,
  };
}
