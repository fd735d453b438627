import { expect, test } from "vitest";
import { planRemoval, RemovedLately, type RoleFolders } from "../../../src/keeper/removal.ts";
import type { Role } from "../../../src/role.ts";

const account = (name: string, role: Role = "repo") => ({
  name,
  role,
  source: `/sshkeys/repos/${name}`,
  keys: [],
});
const accounts = (count: number) => Array.from({ length: count }, (_, at) => account(`u${at}`));
const found = (published: ReturnType<typeof account>[]) =>
  published.map((each) => ({ ...each, state: null, keys: null }));
const names = (some: readonly { name: string }[]) => some.map(({ name }) => name);

const plan = (all: number, gone: number, lately = 0) =>
  planRemoval(found(accounts(all).slice(gone)), accounts(all), lately, {}, {});

test.each([
  [1, 1],
  [10, 10], // not more than ten
  [11, 10],
  [55, 11], // not more than a fifth
  [100, 20],
  [100_000, 20_000],
])("of %i accounts, %i are removed", (all, gone) => {
  expect(plan(all, gone)).toEqual({ removed: gone, kept: [], isHeld: false, lost: [], problems: [] });
});

test.each([
  [11, 11],
  [54, 11],
  [100, 21],
  [100_000, 20_001],
])("of %i accounts, %i at once are kept, and it is said how to remove them", (all, gone) => {
  const { removed, kept, isHeld, lost, problems } = plan(all, gone);
  expect({ removed, kept: kept.length, isHeld, lost }).toEqual({
    removed: 0,
    kept: gone,
    isHeld: true,
    lost: [],
  });
  expect(kept[0]).toEqual({ ...account("u0"), state: null, keys: null });
  expect(problems).toEqual([
    {
      where: "/sshkeys",
      text: expect.stringContaining(`the files of ${gone} of ${all} accounts, such as u0, are gone`),
      hint: expect.stringContaining("update-borgusers"),
    },
  ]);
});

test("what was removed just before counts, so that many do not go one after the other", () => {
  expect(plan(95, 6, 4).removed).toBe(6);
  expect(plan(35, 6, 5)).toMatchObject({ removed: 0, kept: { length: 6 } });
  expect(plan(44, 6, 5)).toMatchObject({ removed: 0 });
  expect(plan(50, 6, 5)).toMatchObject({ removed: 6, kept: [] });
});

test("accounts that were added do not hide those that went", () => {
  const more = Array.from({ length: 90 }, (_, at) => account(`new${at}`));
  expect(planRemoval(found(more), accounts(12), 0, {}, {})).toMatchObject({
    removed: 0,
    kept: { length: 12 },
  });
});

test("an account whose file moved to another role, or got its name in another letter case, is not gone", () => {
  const published = [...accounts(20)];
  const moved = found(published.map(({ name }) => account(name.toUpperCase(), "admin")));
  expect(planRemoval(moved, published, 0, {}, {})).toEqual({
    removed: 0,
    kept: [],
    isHeld: false,
    lost: [],
    problems: [],
  });
});

test("accounts of a folder in whose place an empty one is are kept, and others are removed", () => {
  const published = [account("a"), account("b"), account("boss", "admin"), account("left", "admin")];
  const before: RoleFolders = { repo: "1:2", admin: "1:3" };
  const now: RoleFolders = { repo: "9:2", admin: "9:3" };
  const { kept, removed, lost, problems } = planRemoval(
    found([account("left", "admin")]),
    published,
    0,
    before,
    now,
  );
  expect({ kept: names(kept), removed, lost }).toEqual({ kept: ["a", "b"], removed: 1, lost: ["repo"] });
  expect(problems).toEqual([
    expect.objectContaining({
      where: "/sshkeys/repos",
      text: expect.stringContaining("another folder is in its place"),
    }),
  ]);
});

test("the same folder that was emptied, and one of which nothing is known, remove few accounts", () => {
  for (const before of [{ repo: "1:2" }, {}])
    expect(planRemoval([], [account("a"), account("b")], 0, before, { repo: "1:2" })).toMatchObject({
      removed: 2,
      kept: [],
    });
});

test("what was removed counts for a minute", () => {
  const removed = new RemovedLately();
  removed.add(0, 3, false);
  removed.add(30_000, 4, false);
  removed.add(30_000, 0, false);
  expect([59_999, 60_000, 90_000].map((now) => removed.count(now))).toEqual([7, 4, 0]);
});

test("what was removed counts as long as more wait for a command", () => {
  const removed = new RemovedLately();
  removed.add(0, 3, false);
  removed.add(1000, 0, true);
  expect(removed.count(500_000)).toBe(3);
  removed.add(500_000, 0, false);
  expect(removed.count(500_000)).toBe(0);
});
