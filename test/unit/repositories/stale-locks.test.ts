import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, expect, test } from "vitest";
import { foreignLocks, removeStaleLocks } from "../../../src/repositories/stale-locks.ts";

const owner = { uid: process.getuid!(), gid: process.getgid!() };
const here = hostname();
const gone = 2 ** 22 + 1; // no process has such a number (proc_sys_kernel(5), pid_max)
const roster = { exclusive: [], shared: [[here, gone, 0] as const, ["other", 5, 0] as const] };

let repository: string;
beforeEach(() => {
  repository = mkdtempSync(join(tmpdir(), "repository-"));
});
const write = (name: string, text: string) => writeFileSync(`${repository}/${name}`, text);
const readRoster = () => JSON.parse(readFileSync(`${repository}/lock.roster`, "utf8"));

test("a roster loses what is left of this server, and nothing of the lock that this needs is left", () => {
  write("lock.roster", JSON.stringify(roster));
  expect(removeStaleLocks([repository], owner)).toMatchObject([{ path: repository, host: "other" }]);
  expect(readRoster()).toEqual({ exclusive: [], shared: [["other", 5, 0]] });
  expect(readdirSync(repository)).toEqual(["lock.roster"]);
});

test("a roster is not written while a session of another server holds the lock", () => {
  write("lock.roster", JSON.stringify(roster));
  mkdirSync(`${repository}/lock.exclusive`);
  write("lock.exclusive/other.6-0", "");
  expect(removeStaleLocks([repository], owner)).toMatchObject([{ path: repository, host: "other" }]);
  expect(readRoster()).toEqual(roster);
  expect(readdirSync(repository).sort()).toEqual(["lock.exclusive", "lock.roster"]);
  expect(readdirSync(`${repository}/lock.exclusive`)).toEqual(["other.6-0"]);
});

test("an exclusive lock of this server whose process is gone is removed, another's is left", () => {
  mkdirSync(`${repository}/lock.exclusive`);
  write(`lock.exclusive/${here}.${gone}-0`, "");
  expect(removeStaleLocks([repository], owner)).toEqual([]);
  expect(existsSync(`${repository}/lock.exclusive`)).toBe(false);
});

const now = new Date(Date.UTC(2026, 10, 28));
const lock = (host: string, path = "/repos/web") => ({ path, host, time: new Date(now.getTime() - 120_000) });

test("locks of servers that run are told calmly, others with what to do", () => {
  expect(foreignLocks([], new Set(["b"]), now)).toEqual([]);
  expect(foreignLocks([lock("b")], new Set(["b"]), now)).toEqual([
    { text: "in use through other servers: /repos/web (of b, 2 minutes old)", hint: "" },
  ]);
  const both = foreignLocks([lock("b"), lock("c", "/repos/db")], new Set(["b"]), now);
  expect(both[1]).toEqual({
    text: "locked by other hosts, or by this server under another host name: /repos/db (of c, 2 minutes old)",
    hint: "If nothing there uses the repository any more: break-lock /repos/db",
  });
});

test("of many locks a few are named", () => {
  const many = Array.from({ length: 9 }, (_, at) => lock("b", `/repos/r${at}`));
  const [told] = foreignLocks(many, new Set(["b"]), now);
  expect(told?.text).toMatch(/\/repos\/r4 \(of b, 2 minutes old\) and 4 more$/);
});
