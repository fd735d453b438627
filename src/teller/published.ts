import { createHash } from "node:crypto";
import type { Day, LedgerSession, Total } from "../ledger/ledger.ts";
import { isoTime, type Status } from "../ledger/status.ts";

/**
 * What the keeper publishes of what it knows, for the teller, which sees nothing else. Times are in milliseconds since
 * 1970, sizes in bytes, null where unknown.
 */
export interface Published {
  /** When it was put together. */
  made: number;
  /** The host name. */
  node: string;
  /** That of the server. */
  version: string;
  /** Null where the index cannot answer. */
  index: { accounts: number; keys: number; published: number } | null;
  /** When the settings of the environment were read: at the server's start. */
  settings: number | null;
  /** How many problems in /sshkeys keep changes from taking effect. */
  problems: number;
  /** Of the file system that /repos lies on. */
  storage: { free: number; size: number } | null;
  /** By name. */
  repositories: PublishedRepository[];
}

export interface PublishedRepository {
  status: Status;
  /** A backup is late when the last complete one is older, in milliseconds. */
  lateAfter: number | null;
  /** The last 30 days in UTC, the oldest first, today last. The size is the one that was seen last on that day. */
  days: readonly Day[];
  /** Of all sessions that the ledger ever took up; those without a session are absent. */
  totals: Omit<Total, "repository">[];
}

/** How many days are published. */
export const publishedDays = 30;

/** A session as it is published: without the key that let it in. */
export type PublishedSession = Omit<LedgerSession, "key">;

/** The file of a repository's sessions, of whatever name it is. */
export const nameOfSessions = (repository: string) =>
  `${createHash("sha256").update(repository).digest("hex")}.json`;

/** The keeper publishes more often than that, also where nothing happens. In milliseconds. */
const longestSilence = 10 * 60 * 1000;

/** What is wrong with a state itself, as a sentence; null if nothing is. @param now in milliseconds since 1970 */
export function silence(state: Published | null, now: number): string | null {
  if (state === null) return "Nothing is known yet. The keeper, which starts with the server, finds it out.";
  return now - state.made > longestSilence
    ? `The keeper has not answered since ${isoTime(state.made)}.`
    : null;
}
