import { appendFileSync, mkdtempSync, readdirSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, expect, test } from "vitest";
import { Ledger, retention } from "../../src/ledger/ledger.ts";
import type { RepositoryState } from "../../src/ledger/reader.ts";
import { parseRecord, type SessionRecord } from "../../src/ledger/record.ts";

let file: string;
beforeEach(() => {
  file = join(mkdtempSync(join(tmpdir(), "ledger-")), "ledger.sqlite");
});

const day = 24 * 3600 * 1000;
const now = Date.UTC(2026, 10, 28);
const commits = (kind: string) => !["read", "check"].includes(kind);
let count = 0;
function record(
  kind: SessionRecord["kind"],
  ended: number,
  more: Partial<SessionRecord> = {},
): SessionRecord {
  count += 1;
  return {
    ...{
      id: `${count}`,
      account: "web",
      role: "repo",
      address: "192.0.2.7",
      key: "SHA256:x",
      repository: "web",
    },
    ...{ borg: "1.4.0", began: ended - 1000, ended, kind, complete: true, code: 0 },
    ...{
      committed: commits(kind) ? ended - 1 : null,
      transaction: commits(kind) ? count : null,
      checkOk: null,
    },
    ...{ puts: 1, deletes: 0, bytesIn: 10, bytesOut: 20, refused: 0, deletesRefused: 0, ...more },
  };
}

const at = (offset: number) => ({ node: "backup", file: "2026-11.jsonl", offset });
const opened = () => Ledger.open(file).ledger;

test("what was taken once is not taken twice, and how far it was read is stored with it", () => {
  const sessions = [record("init", now), record("create", now + 1)];
  const ledger = opened();
  ledger.take(at(100), sessions);
  ledger.close();
  const again = opened();
  expect(again.cursors()).toEqual([at(100)]);
  again.take(at(200), [...sessions, record("prune", now + 2)]);
  expect(again.sessions([], 10).map(({ kind }) => kind)).toEqual(["prune", "create", "init"]);
  expect(again.sessions(["other"], 10)).toEqual([]);
});

test("a session of another node with the same id is another session", () => {
  const ledger = opened();
  const session = record("create", now);
  ledger.take(at(1), [session]);
  ledger.take({ ...at(1), node: "second" }, [session]);
  expect(ledger.sessions([], 10).map(({ node }) => node)).toEqual(["backup", "second"]);
});

test("what sessions tell of a repository: only complete creates are backups", () => {
  const ledger = opened();
  const backup = record("create", now);
  const compact = record("compact", now + 5, { transaction: 99 });
  ledger.take(at(1), [
    record("init", now - day),
    backup,
    record("create", now + 1, { complete: false, committed: now + 1 }),
    record("prune", now + 2),
    record("check", now + 3, { checkOk: true }),
    record("check", now + 4, { checkOk: null }),
    compact,
    record("read", now + 6),
  ]);
  expect(ledger.histories().get("web")).toEqual({
    ...{ lastBackup: backup.committed, lastCheck: now + 3, lastCheckOk: true, lastCompact: now + 5 },
    ...{ transaction: compact.transaction, kind: "compact", brokenOff: 1 },
  });
});

test("backups that broke off are counted until one is complete", () => {
  const ledger = opened();
  const broken = (ended: number) => record("create", ended, { complete: false, committed: null });
  const brokenOff = () => ledger.histories().get("web")?.brokenOff;
  ledger.take(at(1), [record("create", now - 3), broken(now - 2), record("prune", now - 1), broken(now)]);
  expect(brokenOff()).toBe(2);
  ledger.take(at(2), [record("create", now + 1)]);
  expect(brokenOff()).toBe(0);
  ledger.take(at(3), [broken(now + 2)]);
  expect(brokenOff()).toBe(1);
});

test("sessions are counted for ever, each once, also those that are forgotten", () => {
  const ledger = opened();
  const sessions = [record("create", now), record("create", now, { complete: false }), record("read", now)];
  ledger.take(at(1), sessions);
  ledger.take(at(2), [...sessions, record("create", now - 500 * day)]);
  ledger.forget([], now);
  const of = (kind: string, complete: boolean, sessions: number) => ({
    ...{ repository: "web", kind, complete, sessions, bytesIn: 10 * sessions, bytesOut: 20 * sessions },
  });
  expect(ledger.totals().get("web")).toEqual([
    ...[of("create", false, 1), of("create", true, 2), of("read", true, 1)],
  ]);
});

test("what is done beside is done once for each session, or not at all", () => {
  const ledger = opened();
  const first = record("create", now);
  const seen: string[] = [];
  const fail = () => {
    throw new Error("beside");
  };
  expect(() => ledger.take(at(1), [first], fail)).toThrow("beside");
  expect([ledger.cursors(), ledger.sessions([], 10)]).toEqual([[], []]);
  ledger.take(at(1), [first], ({ id }) => seen.push(id));
  ledger.take(at(1), [first], ({ id }) => seen.push(id));
  expect(seen).toEqual([first.id]);
});

test("the last days: complete backups, and the size that was seen last", () => {
  const ledger = opened();
  ledger.take(at(1), [
    ...[record("create", now), record("create", now + 1), record("create", now - day)],
    ...[record("create", now, { complete: false }), record("create", now - 3 * day)],
  ]);
  const seen = (repository: string, size: number | null) => ({
    ...{ repository, size, commit: 1, lastCommit: now, reclaimable: 0, objects: 1 },
    ...{ lock: null, unfinished: false, problem: null },
  });
  ledger.keepStates([seen("web", 5), seen("db", null)], now - day);
  ledger.keepStates([seen("web", 7)], now);
  ledger.keepStates([seen("web", 8)], now + 1000);
  expect([...ledger.lastDays(3, now + 2000)]).toEqual([
    [
      "web",
      [
        { backups: 0, size: null },
        { backups: 1, size: 5 },
        { backups: 2, size: 8 },
      ],
    ],
  ]);
  expect(ledger.objectsOf("web")).toBe(1);
  expect(ledger.objectsOf("db")).toBe(1);
  expect(ledger.objectsOf("other")).toBeNull();
});

test("lines of another node that come later do not turn the clock back", () => {
  const ledger = opened();
  const late = record("create", now);
  ledger.take(at(1), [late]);
  ledger.take({ ...at(1), node: "second" }, [record("create", now - day, { transaction: 0 })]);
  expect(ledger.histories().get("web")).toMatchObject({ lastBackup: late.committed, kind: "create" });
});

test("a repository that was deleted or made anew has no backup yet", () => {
  const ledger = opened();
  ledger.take(at(1), [
    record("create", now),
    record("delete", now + 1, { committed: null, transaction: null }),
  ]);
  expect(ledger.histories().get("web")).toMatchObject({ lastBackup: null, transaction: null });
  ledger.take(at(2), [record("init", now + 2), record("prune", now + 3)]);
  expect(ledger.histories().get("web")).toMatchObject({ lastBackup: null, kind: "prune" });
});

test("a delete of archives, and one that broke off, take no backup away", () => {
  const ledger = opened();
  const backup = record("create", now);
  ledger.take(at(1), [
    backup,
    record("delete", now + 1),
    record("delete", now + 2, { committed: null, transaction: null, complete: false }),
  ]);
  expect(ledger.histories().get("web")).toMatchObject({ lastBackup: backup.committed });
});

test("sessions are kept for 400 days; when the last backup was is known for ever", () => {
  const ledger = opened();
  const backup = record("create", now - retention - 2 * day);
  ledger.take(at(1), [backup, record("read", now - retention + day)]);
  ledger.forget([at(0)], now);
  expect(ledger.cursors()).toEqual([]);
  expect(ledger.sessions([], 10).map(({ kind }) => kind)).toEqual(["read"]);
  expect(ledger.histories().get("web")).toMatchObject({ lastBackup: backup.committed });
  ledger.take(at(1), [record("read", now)]);
  expect(ledger.histories().get("web")).toMatchObject({ lastBackup: backup.committed });
});

test("what repositories' files said is stored as it was", () => {
  const ledger = opened();
  const lock = { kind: "exclusive" as const, host: "backup", pid: 7, since: now };
  const state = {
    ...{ repository: "web", commit: 5, lastCommit: now, size: 1e13, reclaimable: 0, objects: 3 },
    ...{ lock, unfinished: true, problem: "x" },
  };
  const empty = {
    ...{ repository: "new", commit: null, lastCommit: null, size: null, reclaimable: null, objects: null },
    ...{ lock: null, unfinished: false, problem: null },
  };
  ledger.keepStates([state, empty], now);
  expect(ledger.states()).toEqual(
    new Map<string, RepositoryState>([
      ["web", state],
      ["new", empty],
    ]),
  );
  ledger.forgetStates(["new"]);
  expect([...ledger.states().keys()]).toEqual(["new"]);
});

test("one that is damaged is set aside and begun anew, and nobody else may read it", () => {
  opened().close();
  expect(statSync(file).mode & 0o777).toBe(0o600);
  writeFileSync(file, "no database");
  const { ledger, aside } = Ledger.open(file);
  expect(ledger.cursors()).toEqual([]);
  expect(aside).toContain(`${file}.damaged-`);
  ledger.take(
    at(1),
    Array.from({ length: 3000 }, () => record("create", now)),
  );
  ledger.close();
  truncateSync(file, 3 * 4096);
  appendFileSync(file, Buffer.alloc(40 * 4096, 7));
  expect(Ledger.open(file).aside).not.toBeNull();
  expect(readdirSync(join(file, "..")).filter((name) => name.includes("damaged"))).toHaveLength(2);
});

test("there is none before the keeper has made it", () => {
  expect(Ledger.read(file)).toBeNull();
  writeFileSync(file, "");
  expect(() => Ledger.read(file)).toThrow("its schema is version 0");
});

test("a line is a session, or nothing", () => {
  const line = {
    ...{
      id: "1-2",
      account: "web",
      role: "repo",
      address: "::1",
      key: "SHA256:x",
      began: 1.5e18,
      ended: 1.6e18,
    },
    ...{
      repository: "/repos/web",
      borg: "1.4.0",
      kind: "create",
      complete: true,
      committed: 1.55e18,
      transaction: 7,
    },
    ...{ check_ok: null, code: 0, puts: 1, deletes: 2, bytes_in: 3, bytes_out: 4, refused: 5, new: "field" },
    deletes_refused: 6,
  };
  expect(parseRecord(JSON.stringify(line))).toEqual({
    ...{
      id: "1-2",
      account: "web",
      role: "repo",
      address: "::1",
      key: "SHA256:x",
      began: 1.5e12,
      ended: 1.6e12,
    },
    ...{
      repository: "web",
      borg: "1.4.0",
      kind: "create",
      complete: true,
      committed: 1.55e12,
      transaction: 7,
    },
    ...{ checkOk: null, code: 0, puts: 1, deletes: 2, bytesIn: 3, bytesOut: 4, refused: 5 },
    deletesRefused: 6,
  });
  for (const bad of [
    { id: "" },
    { account: 7 },
    { began: -1 },
    { ended: "x" },
    { kind: "backup" },
    { role: "root" },
    { complete: 1 },
  ])
    expect(parseRecord(JSON.stringify({ ...line, ...bad })), JSON.stringify(bad)).toBeNull();
  for (const text of ["", "{", "[]", "null", "7", '{"id":"x"}']) expect(parseRecord(text)).toBeNull();
  expect(parseRecord(JSON.stringify({ ...line, repository: "/etc/passwd" }))?.repository).toBeNull();
  expect(parseRecord(JSON.stringify({ ...line, repository: "/repos/a/b" }))?.repository).toBe("a");
  expect(parseRecord(JSON.stringify({ ...line, key: "x".repeat(5000) }))?.key).toBe("");
});

test("a repository is behind whose files do not have what a session committed", () => {
  const ledger = opened();
  ledger.take(at(1), [record("create", now, { transaction: 7 }), record("init", now, { repository: "new" })]);
  const seen = (repository: string, commit: number | null, problem: string | null = null) => ({
    ...{ repository, commit, lastCommit: now, size: 1, reclaimable: 0, objects: 1, lock: null, problem },
    unfinished: false,
  });
  ledger.keepStates([seen("web", 6), seen("new", null), seen("db", 1)], now);
  expect(ledger.behind(["web", "new", "db"]).sort()).toEqual(["new", "web"]);
  expect(ledger.behind(["db"])).toEqual([]);
  ledger.keepStates([seen("web", 7), seen("new", null, "it is not a repository")], now);
  expect(ledger.behind(["web", "new", "db"])).toEqual([]);
  expect(ledger.unexplained().sort()).toEqual(["db", "new"]);
});
