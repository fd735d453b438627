import type { Deletions } from "../role.ts";

/** What settings files say of an account; what none says is absent. */
export interface AccountSettings {
  /** The name of the repository that it opens, if that is not its own. */
  repository?: string;
  /** In bytes: with a larger repository, the account's sessions cannot write. */
  quota?: number;
  /** In seconds: a backup is late when the last complete one is older. */
  lateAfter?: number;
  /** What append-only is held to. */
  deletions?: Deletions;
  /** Whether the repository is frozen: every role but admin reads alone. */
  archived?: boolean;
}

/** Where what happens to an account's repository is told, as settings files say. They hold secrets: nothing prints them. */
export interface AccountAddresses {
  /** Apprise URLs. */
  notify?: string[];
  /** An address that is called after each backup. */
  ping?: string;
}

/** Whether this is written as a URL; only who sends to it can say whether it is one. */
export const isUrl = (value: unknown): value is string =>
  typeof value === "string" &&
  value.length <= longestUrl &&
  /^[a-z][a-z0-9+.-]*:\/\/[^\s\p{Cc}]+$/iu.test(value);

const longestUrl = 2048; // characters

/** What sizes are written in: decimal units, as borg counts. */
export const unitsOfSize: Record<string, number> = { "": 1, K: 1e3, M: 1e6, G: 1e9, T: 1e12, P: 1e15 };

/** What times are written in, each in seconds. */
export const unitsOfTime: Record<string, number> = { s: 1, m: 60, h: 3600, d: 24 * 3600, w: 7 * 24 * 3600 };

/** The settings as people read them: "repository web01, quota 500G". */
export function describeSettings(settings: AccountSettings): string {
  const { repository, quota, lateAfter, deletions, archived } = settings;
  return [
    repository !== undefined && `repository ${repository}`,
    quota !== undefined && `quota ${inUnits(quota, unitsOfSize)}`,
    lateAfter !== undefined && `late after ${inWholeUnits(lateAfter, unitsOfTime)}`,
    deletions !== undefined && `deletions ${deletions}`,
    archived && "archived",
  ]
    .filter(Boolean)
    .join(", ");
}

/** In the largest unit that leaves a whole number: times are not written with a point. */
function inWholeUnits(value: number, units: Record<string, number>): string {
  const [unit = "", size = 1] = Object.entries(units).findLast(([, each]) => value % each === 0) ?? [];
  return `${value / size}${unit}`;
}

/** In the largest unit that leaves a short number. */
function inUnits(value: number, units: Record<string, number>): string {
  const [unit = "", size = 1] =
    Object.entries(units)
      .reverse()
      .find(([, each]) => value % each === 0 || (value > each && (value * 100) % each === 0)) ?? [];
  return `${value / size}${unit}`;
}
