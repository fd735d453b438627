import { expect, test } from "vitest";
import type { History } from "../../src/ledger/ledger.ts";
import type { RepositoryState } from "../../src/ledger/reader.ts";
import {
  agoText,
  type Expectation,
  findingsOf,
  sizeText,
  statusAsJson,
  statusOf,
  statusTable,
} from "../../src/ledger/status.ts";

const now = Date.UTC(2026, 10, 28, 12);
const hour = 3600 * 1000;
const expected: Expectation = {
  ...{ repository: "web", accounts: ["web"], quota: null, lateAfter: null, archived: false },
};
const state: RepositoryState = {
  ...{ repository: "web", commit: 7, lastCommit: now - hour, size: 2e9, reclaimable: 1e6, objects: 12 },
  ...{ lock: null, unfinished: false, problem: null },
};
const history: History = {
  ...{ lastBackup: now - 2 * hour, lastCheck: now - 50 * hour, lastCheckOk: true, lastCompact: null },
  ...{ transaction: 7, kind: "prune", brokenOff: 0 },
};
const open = {
  node: "backup",
  account: "web",
  began: now - 60_000,
  pid: 42,
  repository: "web",
  exclusive: true,
};

const made = (
  expectation: Partial<Expectation> = {},
  seen: Partial<RepositoryState> | null = {},
  told: Partial<History> | null = {},
  sessions: (typeof open)[] = [],
  begun: number | null = null,
) =>
  statusOf(
    { ...expected, ...expectation },
    seen === null ? undefined : { ...state, ...seen },
    told === null ? undefined : { ...history, ...told },
    sessions,
    begun,
    now,
  );

test("what is not known is null, and never guessed", () => {
  expect(statusAsJson(made({}, null, null))).toEqual({
    ...{ repository: "web", accounts: ["web"], last_backup: null, last_commit: null, last_kind: null },
    ...{ size: null, reclaimable: null, objects: null, quota: null, last_check: null, last_check_ok: null },
    ...{ last_compact: null, lock: null, unfinished: false, late: false, archived: false, problem: null },
  });
});

test("a commit that no session made is of unknown kind", () => {
  expect(made().lastKind).toBe("prune");
  expect(made({}, { commit: 9 }).lastKind).toBe("unknown");
  expect(made({}, {}, null).lastKind).toBe("unknown");
  expect(made({}, {}, null).lastBackup).toBeNull();
});

test.each([
  ["without a limit", { lateAfter: null }, { lastBackup: 0 }, null, false],
  ["in time", { lateAfter: 2 * hour + 1 }, {}, null, false],
  ["too old", { lateAfter: 2 * hour - 1 }, {}, now - 1, true],
  ["archived", { lateAfter: hour, archived: true }, {}, null, false],
  ["never, made a moment ago", { lateAfter: hour }, { lastBackup: null }, now - 1, false],
  ["never, made long ago", { lateAfter: hour }, { lastBackup: null }, now - 2 * hour, true],
  ["never, made at a time that is not known", { lateAfter: hour }, { lastBackup: null }, null, true],
])("a backup is late: %s", (_, expectation, told, begun, late) => {
  expect(made(expectation, {}, told, [], begun).late).toBe(late);
});

test("a lock is that of the session that goes on, and else what the files say", () => {
  expect(made({}, {}, {}, [open]).lock).toEqual({ kind: "exclusive", account: "web", since: now - 60_000 });
  expect(made({}, {}, {}, [{ ...open, exclusive: false }]).lock).toBeNull();
  const lock = { kind: "exclusive" as const, host: "backup", pid: 42, since: now - hour };
  expect(made({}, { lock }).lock).toEqual({ kind: "exclusive", account: null, since: now - hour });
  expect(made({}, { lock: { ...lock, kind: "shared" } }, {}, [{ ...open, exclusive: false }]).lock).toEqual({
    ...{ kind: "shared", account: "web", since: now - hour },
  });
  // What is written and not committed yet is no remainder.
  expect(made({}, { unfinished: true }, {}, [open]).unfinished).toBe(false);
  expect(made({}, { unfinished: true }).unfinished).toBe(true);
});

test("findings say what needs attention, and where nothing does there is none", () => {
  expect(findingsOf(made())).toEqual([]);
  expect(findingsOf(made({ lateAfter: hour }))).toEqual([
    "web: late: the last complete backup is of 2026-11-28T10:00:00Z",
  ]);
  expect(findingsOf(made({ lateAfter: hour }, {}, null))).toEqual([
    "web: late: when the last complete backup was made is unknown",
  ]);
  expect(findingsOf(made({ lateAfter: hour }, { commit: null }, null))).toEqual([
    "web: late: there has never been a backup",
  ]);
  expect(findingsOf(made({ quota: 2e9 }, { problem: "it is a link" }, { lastCheckOk: false }))).toEqual([
    "web: damaged: its last check found errors",
    "web: full: 2.0 GB of 2.0 GB are used",
    "web: unreadable: it is a link",
  ]);
});

test("the table fits a hundred columns, late ones first", () => {
  const lines = statusTable(
    [
      made({}, { size: 999_949_999_999 }),
      made({ repository: "x".repeat(255), quota: 1.5e12 }, { size: 1.2e12 }, { lastCheckOk: false }),
      made(
        { repository: "never", lateAfter: hour },
        { commit: null, lastCommit: null },
        { lastBackup: null },
      ),
      made({ repository: "old", archived: true }, { unfinished: true }, { lastBackup: null }),
      made({ repository: "busy" }, {}, {}, [open]),
    ],
    now,
    false,
  );
  expect(lines).toMatchInlineSnapshot(`
    [
      "REPOSITORY                                    LAST BACKUP  SIZE    FREEABLE  QUOTA        LAST CHECK",
      "never                                         never        2.0 GB  1.0 MB    -            2 days ago",
      "  late",
      "xxxxxxxxxxxxxxxxxxxxxx…xxxxxxxxxxxxxxxxxxxxx  2 hours ago  1.2 TB  1.0 MB    1.5 TB 80 %  2 days ago",
      "  damaged: the last check found errors",
      "busy                                          2 hours ago  2.0 GB  1.0 MB    -            2 days ago",
      "  locked by web since 2026-11-28T11:59:00Z",
      "old                                           unknown      2.0 GB  1.0 MB    -            2 days ago",
      "  the last session broke off",
      "  archived",
      "web                                           2 hours ago  1.0 TB  1.0 MB    -            2 days ago",
    ]
  `);
  for (const line of lines) expect(line.length).toBeLessThanOrEqual(100);
});

test("what a client named is shown as text", () => {
  const name = "web\n\x1b[2Jx";
  const lines = statusTable([made({ repository: name }, { problem: `${name} is missing` })], now, false);
  expect(lines[1]).toMatch(/^web\\x0a\\x1b\[2Jx {2}/);
  expect(lines[2]).toBe("  cannot be read: web\\x0a\\x1b[2Jx is missing");
});

test("colours only where they are asked for", () => {
  expect(statusTable([made()], now, true)[1]).toContain("\x1b[32m2 hours ago\x1b[0m");
  expect(statusTable([made({ lateAfter: 1 })], now, true)[1]).toContain("\x1b[31m");
});

test.each([
  [0, "0 B"],
  [999, "999 B"],
  [1000, "1.0 kB"],
  [99_949, "99.9 kB"],
  [999_499, "999 kB"],
  [999_500, "1.0 MB"],
  [1.5e12, "1.5 TB"],
  [2e21, "2000 EB"],
])("%d bytes are %s", (bytes, text) => {
  expect(sizeText(bytes)).toBe(text);
});

test.each([
  [0, "just now"],
  [-hour, "just now"],
  [60_000, "60 seconds ago"],
  [2 * 60_000, "2 minutes ago"],
  [hour * 47, "47 hours ago"],
  [hour * 48, "2 days ago"],
  [hour * 24 * 900, "2 years ago"],
])("%d ms before is %s", (before, text) => {
  expect(agoText(now - before, now)).toBe(text);
});
