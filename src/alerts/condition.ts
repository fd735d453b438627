import { isoTime, type Status, sizeText } from "../ledger/status.ts";

/** Something that needs attention as long as it is so. */
export interface Condition {
  kind: ConditionKind;
  /** The name of the repository that it is about; empty where it is about the server. */
  subject: string;
  /** Where the same gets worse, this rises, and that is news. */
  level: number;
  /** What is so, in words that follow "web01: ". */
  text: string;
}

export type ConditionKind = (typeof conditionKinds)[number];

export const conditionKinds = [
  ...(["late", "broken-off", "damaged", "unreadable", "quota", "storage", "keys"] as const),
];

/** What is said of a kind when it is over, by which way it may be. */
export const over: Record<ConditionKind, string> = {
  late: "no longer late",
  "broken-off": "its backups no longer break off",
  damaged: "no longer damaged",
  unreadable: "its files can be read again",
  quota: "there is room in its quota again",
  storage: "the storage has room again",
  keys: "changes in /sshkeys are in force again",
};

/** Backups that break off one after the other, until it is said. */
const manyBrokenOff = 3;
/** Shares of a quota, and of the storage, from which on it is said. */
const quotaShares = [0.8, 0.95];
const storageShares = [0.9, 0.97];

/** What the server is asked about, besides its repositories. */
export interface Server {
  /** Of the file system that /repos lies on, in bytes; null where that is not known. */
  storage: { free: number; size: number } | null;
  /** What keeps changes in /sshkeys from taking effect: the lines of the problems. */
  problems: readonly string[];
}

/** All that needs attention. */
export function conditionsOf(statuses: readonly Status[], { storage, problems }: Server): Condition[] {
  const found = statuses.flatMap(repositoryConditions);
  const used = storage && storage.size > 0 ? 1 - storage.free / storage.size : 0;
  const full = levelOf(used, storageShares);
  if (storage && full > 0)
    found.push({
      ...{ kind: "storage", subject: "", level: full },
      text: `${percent(used)} of the storage are used, ${sizeText(storage.free)} of ${sizeText(storage.size)} are free`,
    });
  if (problems.length > 0) found.push({ kind: "keys", subject: "", level: 1, text: keysText(problems) });
  return found;
}

function repositoryConditions(status: Status): Condition[] {
  const { repository: subject, lastBackup, lastCommit, late, lastCheckOk, size, quota, problem } = status;
  const { brokenOff, archived } = status;
  const found: Condition[] = [];
  const add = (kind: ConditionKind, text: string, level = 1) => found.push({ kind, subject, level, text });
  if (late)
    add(
      "late",
      lastBackup !== null
        ? `the last complete backup is of ${isoTime(lastBackup)}`
        : lastCommit === null
          ? "there has never been a backup"
          : "when the last complete backup was made is unknown",
    );
  if (lastCheckOk === false) add("damaged", "its last check found errors");
  if (problem !== null) add("unreadable", `its files cannot be read: ${problem}`);
  const used = size !== null && quota !== null && quota > 0 ? size / quota : 0;
  const level = levelOf(used, quotaShares);
  if (level > 0)
    add(
      "quota",
      `${percent(used)} of its quota are used, ${sizeText(size ?? 0)} of ${sizeText(quota ?? 0)}`,
      level,
    );
  if (brokenOff >= manyBrokenOff && !archived) add("broken-off", `the last ${brokenOff} backups broke off`);
  return found;
}

const levelOf = (share: number, shares: readonly number[]) => shares.filter((each) => share >= each).length;

/** Rounded down: what is not full is not called so. */
const percent = (share: number) => `${Math.floor(100 * share)} %`;

/** How many problems are named; the log has them all. */
const fewProblems = 3;

function keysText(problems: readonly string[]): string {
  const shown = problems.slice(0, fewProblems);
  const more = problems.length - shown.length;
  return `changes in /sshkeys are not in force: ${shown.join("; ")}${more > 0 ? `; and ${more} more` : ""}`;
}
