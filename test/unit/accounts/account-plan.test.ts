import { describe, expect, test } from "vitest";
import { accountId, hasAll, idsForAccounts } from "../../../src/accounts/account-id.ts";
import { planAccounts } from "../../../src/accounts/account-plan.ts";
import { nothingPublished, type PublishedAccounts } from "../../../src/accounts/passwd-cache.ts";
import { accountLine, describeAccounts, wantedAccounts } from "../../../src/accounts/wanted-accounts.ts";
import type { NamedRole } from "../../../src/keys/account.ts";

const gids = { repo: 991, appendonly: 992, restore: 994, admin: 993 };
const ids = { first: 70_000, count: 30_000 };
const idOf = (name: string) => accountId(name, 1000, ids);
const wanted = (...accounts: NamedRole[]) => wantedAccounts(accounts, 1000, ids, gids);
const published = (lines: string[]): PublishedAccounts => ({
  places: new Map(lines.map((line, place) => [line.slice(0, line.indexOf(":")), place])),
  lineAt: (place) => lines[place]!,
  free: new Map(),
  size: lines.length,
});
const session = "/usr/local/lib/borgserver/session";
const borg = `borg:*:${idOf("borg")}:993:borgserver:/:${session}`;

test("each account gets its line: an id of its own, role group, the session program, a password that matches nothing", () => {
  const accounts = wanted(
    { name: "web", role: "repo" },
    { name: "log", role: "appendonly" },
    { name: "boss", role: "admin" },
  );
  expect([...accounts.roles].map(([name, role]) => accountLine(name, role, accounts))).toEqual([
    borg,
    `web:*:${idOf("web")}:991:borgserver:/:${session}`,
    `log:*:${idOf("log")}:992:borgserver:/:${session}`,
    `boss:*:${idOf("boss")}:993:borgserver:/:${session}`,
  ]);
});

test("the account of BORG_SSHKEYS is there once, with keys and without", () => {
  expect([...wanted().roles]).toEqual([["borg", "admin"]]);
  expect([...wanted({ name: "web", role: "repo" }, { name: "borg", role: "admin" }).roles.keys()]).toEqual([
    "borg",
    "web",
  ]);
});

test("a plan says which accounts are added, changed and removed", () => {
  const accounts = wanted({ name: "web", role: "repo" }, { name: "new", role: "repo" });
  expect(planAccounts(nothingPublished, accounts)).toEqual({
    add: ["borg", "web", "new"],
    change: [],
    remove: [],
  });
  const before = published([
    borg,
    `web:*:${idOf("web")}:993:borgserver:/:${session}`,
    "old:*:1000:991:borgserver:/repos/old:/bin/sh",
  ]);
  expect(planAccounts(before, accounts)).toEqual({ add: ["new"], change: ["web"], remove: ["old"] });
  expect(planAccounts(published([borg]), wanted())).toEqual({ add: [], change: [], remove: [] });
  expect(planAccounts(published([borg]), wantedAccounts([], idOf("borg"), ids, gids)).change).toEqual([
    "borg",
  ]);
});

test("accounts are described alike if, and only if, all their lines are alike", () => {
  const web: NamedRole = { name: "web", role: "repo" };
  const described = describeAccounts(wanted(web));
  expect(describeAccounts(wanted({ ...web }))).toBe(described);
  for (const other of [
    wanted(),
    wanted({ ...web, role: "admin" }),
    wanted({ ...web, name: "webs" }),
    wantedAccounts([web], 1001, ids, gids),
    wantedAccounts([web], 1000, { ...ids, first: 60_000 }, gids),
    wantedAccounts([web], 1000, ids, { ...gids, repo: 990 }),
  ])
    expect(describeAccounts(other)).not.toBe(described);
});

describe("an account's own id", () => {
  const all = [{ first: 0, outside: 0, count: 2 ** 32 - 1 }];
  const ample = idsForAccounts(all);

  test("follows from the name alone, the same for ever", () => {
    expect(["web01", "borg", "_"].map((name) => accountId(name, 1000, ample))).toEqual([
      2020256742, 2079788281, 2058226030,
    ]);
  });

  test("lies above those of people where the container has such ids, and below nobody's where it has few", () => {
    const few = idsForAccounts([{ first: 0, outside: 100_000, count: 65_536 }]);
    for (let at = 0; at < 5000; at++) {
      expect(accountId(`host${at}`, 1000, ample)).toBeGreaterThanOrEqual(2_000_000_000);
      expect(accountId(`host${at}`, 1000, ample)).toBeLessThan(2_100_000_000);
      expect(accountId(`host${at}`, 1000, few)).toBeGreaterThanOrEqual(61_184);
      expect(accountId(`host${at}`, 1000, few)).toBeLessThan(65_520);
    }
  });

  test("is never the repositories' owner", () => {
    const few = { first: 61_184, count: 2 };
    for (const owner of [61_184, 61_185])
      for (const name of ["a", "b", "c", "d"]) expect(accountId(name, owner, few)).not.toBe(owner);
  });

  test("is the same for ever in a container with few ids too", () => {
    const few = idsForAccounts([{ first: 0, outside: 100_000, count: 65_536 }]);
    expect(["web01", "borg", "_"].map((name) => accountId(name, 1000, few))).toEqual([63958, 61209, 64718]);
  });

  test("steps aside for an owner who has it, in either range, and begins anew behind the last", () => {
    const few = idsForAccounts([{ first: 0, outside: 100_000, count: 65_536 }]);
    expect(accountId("web01", 2020256742, ample)).toBe(2020256743);
    expect(accountId("web01", 63958, few)).toBe(63959);
    expect(accountId("web01", 63959, few)).toBe(63958);
    const last = { first: few.first, count: 63958 - few.first + 1 };
    for (const { first, count } of [few, last])
      for (let owner = first; owner < first + count; owner += 7)
        expect(accountId("web01", owner, { first, count })).not.toBe(owner);
  });

  test("needs all of its range in the container", () => {
    expect(hasAll(all, ample)).toBe(true);
    for (const count of [61_184, 65_519]) {
      const cut = [{ first: 0, outside: 0, count }];
      expect(idsForAccounts(cut)).toEqual({ first: 61_184, count: 4336 });
      expect(hasAll(cut, idsForAccounts(cut))).toBe(false);
    }
    const enough = [{ first: 0, outside: 0, count: 65_520 }];
    expect(hasAll(enough, idsForAccounts(enough))).toBe(true);
    // Of the many, all but the last.
    expect(idsForAccounts([{ first: 0, outside: 0, count: 2_099_999_999 }]).first).toBe(61_184);
    expect(idsForAccounts([{ first: 0, outside: 0, count: 2_100_000_000 }]).first).toBe(2_000_000_000);
  });

  test("may lie in any piece of a range that the container has in several", () => {
    // As an engine makes them where the owner keeps his id of the host.
    const pieces = [
      { first: 0, outside: 1, count: 65_000 },
      { first: 65_000, outside: 0, count: 1 },
      { first: 65_001, outside: 65_001, count: 536 },
    ];
    expect(hasAll(pieces, idsForAccounts(pieces))).toBe(true);
    expect(hasAll(pieces.toSpliced(1, 1), idsForAccounts(pieces))).toBe(false);
  });

  test("is another for nearly every name", () => {
    const ids = new Set(Array.from({ length: 10_000 }, (_, at) => accountId(`host${at}`, 1000, ample)));
    expect(ids.size).toBeGreaterThan(9990);
  });
});
