import { expect, test } from "vitest";
import type { Refusal } from "../../../src/problem.ts";
import { callRoll, lostRepositories } from "../../../src/repositories/roll-call.ts";
import type { Entry, State } from "../../../src/repositories/survey.ts";

const entry = (path: string, state: State, nested: string[] = []): Entry => ({
  path,
  directory: null,
  isLink: false,
  state,
  foreign: [],
  isLocked: false,
  nested,
});
const other: State = { is: "other", config: "" };

test("each repository is called, and what could be or was one is reported and fails", () => {
  const entries = [
    entry("/repos/.hidden", { is: "repository" }),
    entry("/repos/a", { is: "repository" }),
    entry("/repos/away", { is: "doubtful", why: { text: "it leads to nothing", hint: "" } }),
    entry("/repos/damaged", other),
    entry("/repos/dept", other, ["/repos/dept/laptop"]),
    entry("/repos/emptied", { is: "empty" }),
    entry("/repos/new", { is: "empty" }),
    entry("/repos/planted", { is: "other", config: "is not a regular file" }),
    entry("/repos/restic", { is: "other", config: "has no section [repository]" }),
    entry("/repos/x::y", { is: "repository" }),
  ];
  const unaddressable = [
    { path: "/repos/\\xff", isRepository: true },
    { path: "/repos/\\xfe", isRepository: false },
  ];
  const accounts = new Set(
    ["damaged", "emptied", "gone", "later", "new", "planted"].map((name) => `/repos/${name}`),
  );
  const known = new Set(["/repos/emptied", "/repos/gone", "/repos/removed"]);
  const calls = callRoll({ entries, unaddressable }, accounts, known, () => "rm it");
  const result = (fails: boolean) =>
    calls.filter((call) => call.problem && call.fails === fails).map(({ path }) => path);
  expect(calls.filter(({ problem }) => !problem)).toEqual([
    { path: "/repos/a", problem: null, fails: false },
    { path: "/repos/damaged", problem: null, fails: false },
  ]);
  expect(result(true)).toEqual([
    "/repos/.hidden",
    "/repos/\\xff",
    "/repos/away",
    "/repos/dept/laptop",
    "/repos/emptied",
    "/repos/gone",
    "/repos/planted",
    "/repos/x::y",
  ]);
  expect(result(false)).toEqual(["/repos/later", "/repos/new"]);
  expect(calls.find(({ path }) => path === "/repos/gone")?.problem?.hint).toContain("rm it");
  expect(lostRepositories({ entries, unaddressable }, accounts, known)).toEqual([
    "/repos/emptied",
    "/repos/gone",
  ]);
});

test("each problem says what is wrong, and what to do", () => {
  const refusal: Refusal = { text: "it leads to nothing", hint: "Look there." };
  const entries = [
    entry("/repos/.hidden", { is: "repository" }),
    entry("/repos/away", { is: "doubtful", why: refusal }),
    entry("/repos/dept", other, ["/repos/dept/rooms/laptop"]),
    entry("/repos/emptied", { is: "empty" }),
    entry("/repos/new", { is: "empty" }),
    entry("/repos/planted", { is: "other", config: "is no regular file" }),
    entry("/repos/x::y", { is: "repository" }),
  ];
  const unaddressable = [{ path: "/repos/\\xff", isRepository: true }];
  const accounts = new Set(["/repos/emptied", "/repos/new", "/repos/planted"]);
  const known = new Set(["/repos/emptied"]);
  const calls = callRoll({ entries, unaddressable }, accounts, known, (path) => `forget ${path}`);
  expect(calls.map(({ problem }) => problem)).toEqual(
    (
      [
        ["/repos/.hidden", /starts with a dot/, /Rename it/],
        ["/repos/\\xff", /not UTF-8/, /Rename it/],
        ["/repos/away", /^it leads to nothing$/, /^Look there\.$/],
        ["/repos/dept/rooms/laptop", /inside \/repos\/dept,/, /Move it to \/repos\/laptop\./],
        ["/repos/emptied", /missing/, /mounted\?.*: forget \/repos\/emptied$/],
        ["/repos/new", /nothing was backed up/, /^$/],
        ["/repos/planted", /its config is no regular file/, /^$/],
        ["/repos/x::y", /"::"/, /Rename it/],
      ] as const
    ).map(([where, text, hint]) => ({
      where,
      text: expect.stringMatching(text),
      hint: expect.stringMatching(hint),
    })),
  );
});

test("a place that is no repository and no account's, and never was one, is nobody's affair", () => {
  const entries = [
    entry("/repos/a", { is: "empty" }),
    entry("/repos/b", other),
    entry("/repos/c", { is: "other", config: "is no regular file" }),
  ];
  expect(callRoll({ entries, unaddressable: [] }, new Set(), new Set(), () => "")).toEqual([]);
});

test("a repository is lost where its place is empty or holds something else, or is missing and an account's", () => {
  const entries = [
    entry("/repos/back", { is: "repository" }),
    entry("/repos/away", { is: "doubtful", why: { text: "", hint: "" } }),
    entry("/repos/z", { is: "empty" }),
    entry("/repos/a", other),
  ];
  const known = new Set(["z", "a", "back", "away", "missing", "removed"].map((name) => `/repos/${name}`));
  const survey = { entries, unaddressable: [] };
  expect(lostRepositories(survey, new Set(["/repos/missing", "/repos/never"]), known)).toEqual([
    "/repos/a",
    "/repos/missing",
    "/repos/z",
  ]);
  expect(lostRepositories(survey, new Set(), known)).toEqual(["/repos/a", "/repos/z"]);
});
