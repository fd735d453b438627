import { expect, test } from "vitest";
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
  expect(calls.filter(({ problem }) => !problem).map(({ path }) => path)).toEqual([
    "/repos/a",
    "/repos/damaged",
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
