import { expect, test } from "vitest";
import { conditionsOf } from "../../../src/alerts/condition.ts";
import type { Status } from "../../../src/ledger/status.ts";

const status = (more: Partial<Status>): Status => ({
  ...{ repository: "web", accounts: ["web"], lastBackup: 0, lastCommit: 0, lastKind: "create" },
  ...{ size: 10, reclaimable: 0, objects: 1, quota: null, lastCheck: null, lastCheckOk: null },
  ...{
    lastCompact: null,
    lock: null,
    unfinished: false,
    brokenOff: 0,
    late: false,
    archived: false,
    problem: null,
    ...more,
  },
});
const quiet = { storage: null, problems: [] };
const of = (more: Partial<Status>) =>
  conditionsOf([status(more)], quiet).map(({ kind, level, text }) => [kind, level, text]);

test("a repository that is well needs no attention", () => {
  expect(of({ lastCheckOk: true, quota: 100 })).toEqual([]);
});

test.each([
  ["late", { late: true }, "the last complete backup is of 1970-01-01T00:00:00Z"],
  ["late", { late: true, lastBackup: null, lastCommit: null }, "there has never been a backup"],
  ["late", { late: true, lastBackup: null }, "when the last complete backup was made is unknown"],
  ["damaged", { lastCheckOk: false }, "its last check found errors"],
  ["unreadable", { problem: "not a repository" }, "its files cannot be read: not a repository"],
] as const)("%s: %j", (kind, more, text) => {
  expect(of(more)).toEqual([[kind, 1, text]]);
});

test.each([
  [79, 0],
  [80, 1],
  [94.9, 1],
  [95, 2],
  [120, 2],
])("a repository of %s bytes, with a quota of 100, is at level %s", (size, level) => {
  expect(of({ size, quota: 100 }).map(([, found]) => found)).toEqual(level === 0 ? [] : [level]);
});

test("what is not full is not called so", () => {
  expect(of({ size: 999, quota: 1000 })[0]?.[2]).toBe("99 % of its quota are used, 999 B of 1.0 kB");
});

test("backups that break off one after the other", () => {
  expect(of({ brokenOff: 2 })).toEqual([]);
  expect(of({ brokenOff: 3 })).toEqual([["broken-off", 1, "the last 3 backups broke off"]]);
  expect(of({ archived: true, brokenOff: 3 })).toEqual([]);
});

test("the storage, from nine tenths on", () => {
  const at = (free: number) => conditionsOf([], { storage: { free, size: 1e12 }, problems: [] });
  expect(at(0.11e12)).toEqual([]);
  expect(at(0.1e12)).toMatchObject([{ kind: "storage", subject: "", level: 1 }]);
  expect(at(0.02e12)).toMatchObject([
    { level: 2, text: "98 % of the storage are used, 20.0 GB of 1.0 TB are free" },
  ]);
});

test("problems in /sshkeys: the first ones by name", () => {
  const text = (problems: string[]) => conditionsOf([], { storage: null, problems })[0]?.text;
  expect(text([])).toBeUndefined();
  expect(text(["a: x"])).toBe("changes in /sshkeys are not in force: a: x");
  expect(text(["a", "b", "c", "d", "e"])).toBe("changes in /sshkeys are not in force: a; b; c; and 2 more");
});
