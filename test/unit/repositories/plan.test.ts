import type { Stats } from "node:fs";
import { expect, test } from "vitest";
import {
  accountPaths,
  type CloserLook,
  ownerLines,
  planRepositories,
} from "../../../src/repositories/plan.ts";
import type { Entry, State, Top } from "../../../src/repositories/survey.ts";

const owner = { uid: 1000, gid: 1000 };
let inodes = 1;
const stats = (of: Partial<Stats> = {}) =>
  ({
    uid: 1000,
    gid: 1000,
    mode: 0o40700,
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
  const rootsTop = { folder: stats({ gid: 0, mode: 0o40655 }), records: stats({ uid: 7 }) };
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

test("only accounts of one repository have a directory", () => {
  const accounts = [
    { name: "a", role: "repo" },
    { name: "b", role: "appendonly" },
    { name: "boss", role: "admin" },
  ] as const;
  expect([...accountPaths(accounts)]).toEqual(["/repos/a", "/repos/b"]);
});

test("the folder of all repositories is made, left alone where it is a link, or reported", () => {
  const planned = (folder: Top["folder"], mayReown = true) =>
    planRepositories([], owner, survey(), { folder, records: null }, { ...never, mayReown });
  const refusal = { text: "it cannot be read", hint: "Look there." };
  expect(planned(null)).toEqual({ ...nothing, create: ["/repos"] });
  expect(planned("link")).toEqual(nothing);
  expect(planned(refusal)).toEqual({ ...nothing, blocked: [{ where: "/repos", ...refusal }] });
  // What it cannot have, it does not make below either, unless it may take it.
  const accounts = [{ name: "a", role: "repo" }] as const;
  for (const mayReown of [true, false])
    expect(
      planRepositories(accounts, owner, survey(), { folder: refusal, records: null }, { ...never, mayReown })
        .create,
    ).toEqual(mayReown ? ["/repos/a"] : []);
});

test("the owner's rights are given where one is missing, and nothing is taken away", () => {
  for (const [mode, expected] of [
    [0o42700, []],
    [0o42777, []],
    [0o40700, []],
    [0o42600, ["/repos/a"]],
    [0o42500, ["/repos/a"]],
  ] as const)
    expect(
      planRepositories([], owner, survey(entry("/repos/a", { directory: stats({ mode }) })), top, never).mode,
    ).toEqual(expected);
});

test("what is in the place of a directory is reported, with what was found out of it", () => {
  const why = { text: "it leads to nothing", hint: "Look there." };
  const found = survey(
    entry("/repos/a", { directory: stats({ isDirectory: () => false }), state: { is: "other", config: "" } }),
    entry("/repos/b", { directory: null, state: { is: "doubtful", why } }),
  );
  const accounts = [
    { name: "b", role: "repo" },
    { name: "a", role: "repo" },
  ] as const;
  expect(planRepositories(accounts, owner, found, top, never).blocked).toEqual([
    { where: "/repos/a", text: expect.stringContaining("not a directory"), hint: expect.stringMatching(/./) },
    { where: "/repos/b", ...why },
  ]);
});

test("another owner's directory is reported with both owners, and what to do", () => {
  const found = survey(entry("/repos/a", { directory: stats({ uid: 3001, gid: 3002 }) }));
  const { blocked } = planRepositories([], owner, found, top, { ...never, mayReown: false });
  expect(blocked).toEqual([
    {
      where: "/repos/a",
      text: expect.stringMatching(/3001:3002, not 1000:1000/),
      hint: expect.stringContaining("PUID and PGID"),
    },
  ]);
  // Another group alone, where the owner is right, is none.
  const group = survey(entry("/repos/a", { directory: stats({ gid: 7 }) }));
  expect(planRepositories([], owner, group, top, { ...never, mayReown: false })).toEqual({
    ...nothing,
    own: ["/repos/a"],
  });
});

test("files of others are given to the owner only where the directory is the owner's already", () => {
  const foreign = ["index.5"];
  const found = survey(entry("/repos/a", { directory: stats({ uid: 7 }), foreign }));
  expect(planRepositories([], owner, found, top, never)).toEqual({ ...nothing, own: ["/repos/a"] });
});

test("directories are told apart by device and inode, and none is where that says nothing", () => {
  const accounts = ["a", "b", "c"].map((name) => ({ name, role: "repo" }) as const);
  const blocked = (...directories: Partial<Stats>[]) =>
    planRepositories(
      accounts,
      owner,
      survey(...directories.map((of, i) => entry(`/repos/${"abc"[i]}`, { directory: stats(of) }))),
      top,
      { ...never, isSameDirectory: () => true },
    ).blocked;
  expect(blocked({ dev: 1, ino: 5 }, { dev: 2, ino: 5 }, { dev: 1, ino: 6 })).toEqual([]);
  expect(blocked({ ino: 0 }, { ino: 0 })).toEqual([]);
  expect(blocked({ dev: 12, ino: 3 }, { dev: 1, ino: 23 })).toEqual([]);
  expect(blocked({ ino: 5 }, { ino: 5 }, { ino: 5 })).toEqual([
    { where: "/repos/b", text: expect.stringContaining("/repos/a,"), hint: expect.stringMatching(/Rename/) },
    { where: "/repos/c", text: expect.stringContaining("/repos/b,"), hint: expect.stringMatching(/Rename/) },
  ]);
});

test("what was given to the owner is a line each", () => {
  const mend = [{ path: "/repos/b", names: ["config", "index.5"] }];
  expect(ownerLines({ ...nothing, own: ["/repos", "/repos/a"], mend })).toEqual([
    "/repos: new owner",
    "/repos/a: new owner",
    expect.stringMatching(/^\/repos\/b: new owner of .*\(config, index\.5\)$/),
  ]);
  expect(ownerLines(nothing)).toEqual([]);
});

test("where /repos itself is no directory, that is said, and nothing of it is changed", () => {
  const file = { folder: stats({ uid: 7, isDirectory: () => false }), records: null };
  expect(planRepositories([], owner, survey(), file, never)).toEqual({
    ...nothing,
    blocked: [{ where: "/repos", text: "this is not a directory", hint: "Move it away." }],
  });
});
