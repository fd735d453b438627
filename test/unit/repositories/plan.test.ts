import type { Stats } from "node:fs";
import { expect, test } from "vitest";
import { type CloserLook, planRepositories } from "../../../src/repositories/plan.ts";
import type { Entry, State, Top } from "../../../src/repositories/survey.ts";

const owner = { uid: 1000, gid: 1000 };
let inodes = 1;
const stats = (of: Partial<Stats> = {}) =>
  ({
    uid: 1000,
    gid: 1000,
    mode: 0o42700,
    dev: 1,
    ino: inodes++,
    isDirectory: () => true,
    ...of,
  }) as Stats;
const entry = (path: string, of: Partial<Entry> = {}): Entry => ({
  path,
  directory: stats(),
  isLink: false,
  state: { is: "repository" },
  foreign: [],
  isLocked: false,
  nested: [],
  ...of,
});
const top: Top = { folder: stats(), records: null };
const nothing = { create: [], own: [], mend: [], mode: [], blocked: [] };
const survey = (...entries: Entry[]) => ({ entries, unaddressable: [] });
const never: CloserLook = { keepsOwnOwners: () => false, isSameDirectory: () => false, mayReown: true };

test("missing directories are made, others get their owner and mode, admins need none", () => {
  const accounts = [
    { name: "b", role: "repo" },
    { name: "a", role: "appendonly" },
    { name: "c", role: "repo" },
    { name: "d", role: "repo" },
    { name: "boss", role: "admin" },
  ] as const;
  const found = survey(
    entry("/repos/a"),
    entry("/repos/c", { directory: stats({ uid: 7 }), state: { is: "empty" } }),
    entry("/repos/d", { directory: null, state: { is: "other", config: "" } }),
  );
  const rootsTop = { folder: stats({ gid: 0, mode: 0o40755 }), records: stats({ uid: 7 }) };
  expect(planRepositories(accounts, owner, found, rootsTop, never)).toEqual({
    create: ["/repos/b"],
    own: ["/repos", "/repos/.borgserver", "/repos/c"],
    mend: [],
    mode: ["/repos"],
    blocked: [{ where: "/repos/d", text: "this is not a directory", hint: "Move it away." }],
  });
});

test("a symlink to a directory is left alone", () => {
  const found = survey(entry("/repos/a", { isLink: true, directory: stats({ uid: 7, mode: 0o40755 }) }));
  expect(planRepositories([{ name: "a", role: "repo" }], owner, found, top, never)).toEqual(nothing);
});

test("repositories without an account are given to the owner too, and nothing else is", () => {
  const others = { uid: 7 };
  const states: State[] = [
    { is: "other", config: "" },
    { is: "other", config: "has no section [repository]" },
    { is: "empty" },
    { is: "doubtful", why: { text: "", hint: "" } },
  ];
  const found = survey(
    entry("/repos/a"),
    entry("/repos/b", { directory: stats(others) }),
    entry("/repos/gone", { directory: stats({ gid: 7 }) }),
    ...states.map((state, i) =>
      entry(`/repos/z${i}`, { state, directory: stats(others), foreign: ["config"] }),
    ),
  );
  expect(planRepositories([{ name: "a", role: "repo" }], owner, found, top, never)).toEqual({
    ...nothing,
    own: ["/repos/b", "/repos/gone"],
  });
});

test("storage that shows another owner, and works, is left as it is", () => {
  const found = survey(entry("/repos/a", { directory: stats({ uid: 99, gid: 99 }), foreign: ["config"] }));
  expect(
    planRepositories([{ name: "a", role: "repo" }], owner, found, top, {
      ...never,
      keepsOwnOwners: (path) => path === "/repos/a",
    }),
  ).toEqual(nothing);
});

test("files that another user left in a repository are given to the owner", () => {
  const found = survey(entry("/repos/a", { foreign: ["index.5"] }), entry("/repos/b", { foreign: [] }));
  expect(planRepositories([], owner, found, top, never)).toEqual({
    ...nothing,
    mend: [{ path: "/repos/a", names: ["index.5"] }],
  });
});

test("two accounts with the same directory are reported", () => {
  const directory = stats({ ino: 5 });
  const found = survey(entry("/repos/a", { directory }), entry("/repos/b", { directory }));
  const accounts = [
    { name: "a", role: "repo" },
    { name: "b", role: "appendonly" },
  ] as const;
  const same = () => true;
  const { blocked } = planRepositories(accounts, owner, found, top, { ...never, isSameDirectory: same });
  expect(blocked).toMatchObject([
    { where: "/repos/b", text: expect.stringContaining("the same directory as /repos/a,") },
  ]);
  expect(
    planRepositories(accounts.slice(0, 1), owner, found, top, { ...never, isSameDirectory: same }).blocked,
  ).toEqual([]);
});

test("where no server was started, another owner keeps what it has, and nothing is made next to it", () => {
  const others = { uid: 3001, gid: 3002 };
  const found = survey(entry("/repos/a", { directory: stats(others) }));
  const accounts = [
    { name: "a", role: "repo" },
    { name: "new", role: "repo" },
  ] as const;
  const plan = planRepositories(
    accounts,
    owner,
    found,
    { folder: stats(others), records: null },
    { ...never, mayReown: false },
  );
  expect(plan).toMatchObject({ create: [], own: [] });
  expect(plan.blocked.map(({ where }) => where)).toEqual(["/repos", "/repos/a"]);
  // What is root's is a new volume.
  const fresh = { folder: stats({ uid: 0, gid: 0 }), records: null };
  expect(planRepositories(accounts, owner, survey(), fresh, { ...never, mayReown: false })).toMatchObject({
    create: ["/repos/a", "/repos/new"],
    own: ["/repos"],
    blocked: [],
  });
});
