import { printable } from "../printable.ts";
import type { History } from "./ledger.ts";
import type { RepositoryState } from "./reader.ts";
import type { OpenSession } from "./records.ts";

/** What an operator set for a repository. */
export interface Expectation {
  repository: string;
  /** The accounts that open it, by name. */
  accounts: string[];
  /** In bytes. */
  quota: number | null;
  /** In milliseconds: a backup is late when the last complete one is older. */
  lateAfter: number | null;
  archived: boolean;
}

/** What is known of a repository; times in milliseconds since 1970, sizes in bytes, null where unknown. */
export interface Status {
  repository: string;
  accounts: string[];
  lastBackup: number | null;
  lastCommit: number | null;
  /** What its last commit was; "unknown" if no session that was recorded made it. */
  lastKind: string | null;
  size: number | null;
  reclaimable: number | null;
  objects: number | null;
  quota: number | null;
  lastCheck: number | null;
  lastCheckOk: boolean | null;
  lastCompact: number | null;
  lock: { kind: "exclusive" | "shared"; account: string | null; since: number } | null;
  unfinished: boolean;
  /** How many backups have broken off since the last complete one. */
  brokenOff: number;
  late: boolean;
  archived: boolean;
  /** Why its files could not be read. */
  problem: string | null;
}

/**
 * Puts together what is known of a repository.
 * @param made when its directory was made; null where that is not known
 * @param now in milliseconds since 1970
 */
export function statusOf(
  expected: Expectation,
  state: RepositoryState | undefined,
  history: History | undefined,
  open: readonly OpenSession[],
  made: number | null,
  now: number,
): Status {
  const { repository, accounts, quota, archived } = expected;
  const lastBackup = history?.lastBackup ?? null;
  const commit = state?.commit ?? null;
  return {
    ...{ repository, accounts, quota, archived, lastBackup },
    lastCommit: state?.lastCommit ?? null,
    lastKind: lastKindOf(commit, history),
    ...{
      size: state?.size ?? null,
      reclaimable: state?.reclaimable ?? null,
      objects: state?.objects ?? null,
    },
    lastCheck: history?.lastCheck ?? null,
    lastCheckOk: history?.lastCheckOk ?? null,
    lastCompact: history?.lastCompact ?? null,
    lock: lockOf(state, open),
    // While somebody writes, what is not committed yet is no remainder.
    unfinished: (state?.unfinished ?? false) && open.every((session) => !session.exclusive),
    brokenOff: history?.brokenOff ?? 0,
    late: isLate(expected, lastBackup ?? made, now),
    problem: state?.problem ?? null,
  };
}

/**
 * What the last commit was. Commits are numbered upwards: one that no session made has a higher number than the last that
 * one did, and where it is the other way round, the files have not been read again yet.
 */
function lastKindOf(commit: number | null, history: History | undefined): string | null {
  const { transaction = null, kind = null } = history ?? {};
  if (commit === null) return kind;
  return transaction !== null && transaction >= commit ? kind : "unknown";
}

/** @param since of when the last complete backup is, or the repository if there never was one */
function isLate({ lateAfter, archived }: Expectation, since: number | null, now: number): boolean {
  return lateAfter !== null && !archived && (since ?? 0) < now - lateAfter;
}

/** A session that goes on says who it is; a lock that was seen in the files may be what one left. */
function lockOf(state: RepositoryState | undefined, open: readonly OpenSession[]): Status["lock"] {
  const writing = open.find(({ exclusive }) => exclusive);
  if (writing) return { kind: "exclusive", account: writing.account, since: writing.began };
  const seen = state?.lock ?? null;
  if (seen === null) return null;
  const holder = open.find(({ node, pid }) => node === seen.host && pid === seen.pid);
  return { kind: seen.kind, account: holder?.account ?? null, since: seen.since };
}

/** What needs attention, a line each; for a monitoring system. */
export function findingsOf(status: Status): string[] {
  const { repository, lastBackup, late, lastCheckOk, size, quota, problem, lastKind } = status;
  const said: string[] = [];
  if (late)
    said.push(
      lastBackup !== null
        ? `late: the last complete backup is of ${isoTime(lastBackup)}`
        : lastKind === null
          ? "late: there has never been a backup"
          : "late: when the last complete backup was made is unknown",
    );
  if (lastCheckOk === false) said.push("damaged: its last check found errors");
  if (isFull(status)) said.push(`full: ${sizeText(size ?? 0)} of ${sizeText(quota ?? 0)} are used`);
  if (problem !== null) said.push(`unreadable: ${problem}`);
  return said.map((text) => `${repository}: ${text}`);
}

/** As ISO 8601 has it, in UTC, in whole seconds. @param time in milliseconds since 1970 */
export const isoTime = (time: number) => `${new Date(time).toISOString().slice(0, 19)}Z`;

const isoOrNull = (time: number | null) => (time === null ? null : isoTime(time));

/** The status as programs read it. */
export function statusAsJson(status: Status): Record<string, unknown> {
  return {
    ...{ repository: status.repository, accounts: status.accounts },
    ...{ last_backup: isoOrNull(status.lastBackup), last_commit: isoOrNull(status.lastCommit) },
    ...{ last_kind: status.lastKind, size: status.size, reclaimable: status.reclaimable },
    ...{ objects: status.objects, quota: status.quota },
    ...{ last_check: isoOrNull(status.lastCheck), last_check_ok: status.lastCheckOk },
    last_compact: isoOrNull(status.lastCompact),
    lock: status.lock && { ...status.lock, since: isoTime(status.lock.since) },
    ...{ unfinished: status.unfinished, late: status.late, archived: status.archived },
    problem: status.problem,
  };
}

/** A number of bytes in decimal units, as borg prints it. */
export function sizeText(bytes: number): string {
  let [number, unit] = [bytes, 0];
  while (number >= 999.5 && unit < units.length - 1) {
    number /= 1000;
    unit += 1;
  }
  const text = number >= 99.95 || unit === 0 ? number.toFixed(0) : number.toFixed(1);
  return `${text} ${units[unit]}`;
}

const units = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];

/** How long ago something was, in its largest unit: "3 days ago". @param time and now in milliseconds since 1970 */
export function agoText(time: number, now: number): string {
  const seconds = Math.max(0, Math.floor((now - time) / 1000));
  const [size, name] = spans.find(([each]) => seconds >= 2 * each || each === 1) ?? [1, "second"];
  const count = Math.floor(seconds / size);
  return seconds < 60 ? "just now" : `${count} ${name}${count === 1 ? "" : "s"} ago`;
}

const spans: [number, string][] = [
  [365 * 24 * 3600, "year"],
  [24 * 3600, "day"],
  [3600, "hour"],
  [60, "minute"],
  [1, "second"],
];

export const columns = ["Repository", "Last backup", "Size", "Freeable", "Quota", "Last check"] as const;

/** What is late first, then what else needs attention, each by name. */
export function byUrgency<Row>(all: readonly Row[], of: (row: Row) => Status): Row[] {
  const urgency = (status: Status) => (status.late ? 2 : Number(alarmsOf(status).length > 0));
  return all
    .map((row) => ({ row, name: of(row).repository, urgency: urgency(of(row)) }))
    .sort((a, b) => b.urgency - a.urgency || (a.name < b.name ? -1 : 1))
    .map(({ row }) => row);
}

/**
 * A table of 100 columns at most, by urgency; below a repository's line, what is to be said of it.
 * @param colour whether the terminal shows colours
 */
export function statusTable(all: readonly Status[], now: number, colour: boolean): string[] {
  const rows = byUrgency(all, (status) => status)
    // A name may be an admin's, and a problem name a file: neither is to move a terminal's cursor.
    .map((status) => ({
      status,
      cells: cellsOf(status, now).map(printable),
      notes: [...alarmsOf(status), ...remarksOf(status)].map(printable),
    }));
  const widths = columns.map((title, at) =>
    Math.max(title.length, ...rows.map(({ cells }) => cells[at]?.length ?? 0)),
  );
  const others = widths.slice(1).reduce((sum, width) => sum + width + 2, 0);
  widths[0] = Math.min(widths[0] ?? 0, Math.max(20, 100 - others));
  const line = (cells: readonly string[], paint: (cell: string, at: number) => string = (cell) => cell) =>
    cells
      .map((cell, at) => paint(shortened(cell, widths[at] ?? 0).padEnd(widths[at] ?? 0), at))
      .join("  ")
      .trimEnd();
  return [
    line(columns.map((title) => title.toUpperCase())),
    ...rows.flatMap(({ status, cells, notes }) => [
      line(cells, (cell, at) => (colour && at === 1 ? painted(cell, backupColour(status)) : cell)),
      ...notes.map((note) => `  ${note}`),
    ]),
  ];
}

/** What the table shows of a repository, a cell for each of the columns. */
export function cellsOf(status: Status, now: number): string[] {
  const { repository, lastBackup, lastCommit, size, reclaimable, quota, lastCheck } = status;
  const backup = lastBackup !== null ? agoText(lastBackup, now) : lastCommit === null ? "never" : "unknown";
  const used = size !== null && quota ? ` ${Math.round((100 * size) / quota)} %` : "";
  const check = lastCheck === null ? "-" : agoText(lastCheck, now);
  return [
    ...[repository, backup, size === null ? "-" : sizeText(size)],
    ...[
      reclaimable === null ? "-" : sizeText(reclaimable),
      quota === null ? "-" : sizeText(quota) + used,
      check,
    ],
  ];
}

/** What needs attention, in few words: the same as findingsOf says. */
export function alarmsOf(status: Status): string[] {
  const { late, problem, lastCheckOk } = status;
  return [
    ...(late ? ["late"] : []),
    ...(lastCheckOk === false ? ["damaged: the last check found errors"] : []),
    ...(isFull(status) ? ["full"] : []),
    ...(problem === null ? [] : [`cannot be read: ${problem}`]),
  ];
}

/** What else is to be said beside the figures. */
export function remarksOf({ lock, unfinished, archived }: Status): string[] {
  const holder = lock && (lock.account === null ? "by nobody that is connected" : `by ${lock.account}`);
  return [
    ...(lock?.kind === "exclusive" ? [`locked ${holder} since ${isoTime(lock.since)}`] : []),
    ...(unfinished && lock === null ? ["the last session broke off"] : []),
    ...(archived ? ["archived"] : []),
  ];
}

const isFull = ({ size, quota }: Status) => size !== null && quota !== null && size >= quota;

const backupColour = ({ late, lastBackup }: Status) => (late ? 31 : lastBackup === null ? 33 : 32);
const painted = (text: string, code: number) => `\x1b[${code}m${text}\x1b[0m`;

/** A long name keeps its beginning and its end. */
function shortened(text: string, width: number): string {
  if (text.length <= width) return text;
  const end = Math.floor((width - 1) / 2);
  return `${text.slice(0, width - 1 - end)}…${text.slice(text.length - end)}`;
}
