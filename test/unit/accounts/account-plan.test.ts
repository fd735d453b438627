import { expect, test } from "vitest";
import { planAccounts } from "../../../src/accounts/account-plan.ts";
import { nothingPublished, type PublishedAccounts } from "../../../src/accounts/passwd-cache.ts";
import { accountLine, describeAccounts, wantedAccounts } from "../../../src/accounts/wanted-accounts.ts";
import type { NamedRole } from "../../../src/keys/account.ts";

const gids = { repo: 991, appendonly: 992, restore: 994, admin: 993 };
const wanted = (...accounts: NamedRole[]) => wantedAccounts(accounts, 1000, gids);
const published = (lines: string[]): PublishedAccounts => ({
  places: new Map(lines.map((line, place) => [line.slice(0, line.indexOf(":")), place])),
  lineAt: (place) => lines[place]!,
  free: new Map(),
  size: lines.length,
});
const borg = "borg:*:1000:993:borgserver:/repos:/bin/sh";

test("each account gets its line: shared id, role group, repository as home, a password that matches nothing", () => {
  const accounts = wanted(
    { name: "web", role: "repo" },
    { name: "log", role: "appendonly" },
    { name: "boss", role: "admin" },
  );
  expect([...accounts.roles].map(([name, role]) => accountLine(name, role, accounts))).toEqual([
    borg,
    "web:*:1000:991:borgserver:/repos/web:/bin/sh",
    "log:*:1000:992:borgserver:/repos/log:/bin/sh",
    "boss:*:1000:993:borgserver:/repos:/bin/sh",
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
    "web:*:1000:993:borgserver:/repos:/bin/sh",
    "old:*:1000:991:borgserver:/repos/old:/bin/sh",
  ]);
  expect(planAccounts(before, accounts)).toEqual({ add: ["new"], change: ["web"], remove: ["old"] });
  expect(planAccounts(published([borg]), wanted())).toEqual({ add: [], change: [], remove: [] });
  expect(planAccounts(published([borg]), wantedAccounts([], 1001, gids)).change).toEqual(["borg"]);
});

test("accounts are described alike if, and only if, all their lines are alike", () => {
  const web: NamedRole = { name: "web", role: "repo" };
  const described = describeAccounts(wanted(web));
  expect(describeAccounts(wanted({ ...web }))).toBe(described);
  for (const other of [
    wanted(),
    wanted({ ...web, role: "admin" }),
    wanted({ ...web, name: "webs" }),
    wantedAccounts([web], 1001, gids),
    wantedAccounts([web], 1000, { ...gids, repo: 990 }),
  ])
    expect(describeAccounts(other)).not.toBe(described);
});
